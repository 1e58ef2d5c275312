//! How a process gets to know the log, and keeps up with it.

use std::sync::Arc;

use steadfast_core::store::Error;
use tokio::time::Instant;

use super::access::{Access, Stored};
use super::known::Known;
use super::message::Message;
use super::streams::Streams;

impl Known {
    /// Reads as much of the log's end as is needed to recognise the newest events. What somebody said is deleted, and
    /// may have died before it was, is deleted.
    pub(super) async fn load(access: &Access, streams: Arc<Streams>, until: Instant) -> Result<Self, Error> {
        let remember = access.settings.remember;
        let end = access.end(until).await?;
        let mut width = remember as u64;
        loop {
            let start = end.saturating_sub(width) + 1;
            let (mut known, mut gone) = (Self::new(remember, start, Arc::clone(&streams)), Vec::new());
            while known.end < end {
                let found = access.range(known.end + 1, None, usize::MAX, access.until()).await?;
                if found.is_empty() {
                    break;
                }
                for stored in &found {
                    let message = known.take_in(access, stored).await?;
                    gone.extend(message.map(|stream| (stream, stored.sequence)));
                }
            }
            // Nothing is left of the last messages where somebody has deleted them by hand.
            known.end = known.end.max(end);
            // Many messages may hold no event: those are none that are to be remembered.
            if start == 1 || known.events() >= remember {
                for (stream, sequence) in gone {
                    access.purge(&access.subjects.stream(&stream), sequence, access.until()).await?;
                }
                return Ok(known);
            }
            width = width.saturating_mul(2);
        }
    }

    /// Reads what was appended since; says whether that was anything.
    pub(super) async fn catch_up(&mut self, access: &Access, until: Instant) -> Result<bool, Error> {
        // The last message that is known, too: another in its place says that the server has lost some.
        let found = access.range(self.end, None, usize::MAX, until).await?;
        let (last, mut new) = match found.split_first() {
            Some((first, rest)) if first.sequence == self.end => (Some(first), rest.to_vec()),
            _ => (None, found),
        };
        let lost = match last {
            Some(last) => self.differs(&last.payload),
            None => self.end > 0 && new.is_empty() && access.end(until).await? < self.end,
        };
        if lost {
            let (stream, message) = (&access.settings.stream, self.end);
            tracing::warn!(stream, message, "NATS has lost messages that it had acknowledged");
            *self = Self::load(access, Arc::clone(&self.streams), until).await?;
            return Ok(true);
        }
        let before = self.end;
        if new.is_empty() && last.is_some() && !access.gives_many() {
            new = access.range(self.end + 1, None, 1, until).await?;
        }
        while !new.is_empty() {
            for stored in &new {
                self.take_in(access, stored).await?;
            }
            new = access.range(self.end + 1, None, usize::MAX, until).await?;
        }
        Ok(self.end > before)
    }

    /// Takes a message into account; returns the stream that it says is deleted.
    async fn take_in(&mut self, access: &Access, stored: &Stored) -> Result<Option<Arc<str>>, Error> {
        let message = access.decode(stored)?;
        if let Message::Whole { parts, .. } = message
            && self.begins_amid(stored.sequence, parts)
        {
            self.put_parts(access.parts(stored.sequence, parts, access.until()).await?);
        }
        let gone = match &message {
            Message::Gone { stream, .. } => Some(Arc::clone(stream)),
            _ => None,
        };
        self.apply(stored.sequence, &stored.payload, message);
        Ok(gone)
    }
}
