use std::sync::Arc;

use steadfast_core::store::{Deleted, Error, Expected, Position};
use tokio::time::Instant;

use super::attempts::Attempts;
use super::check::Unfit;
use super::draft::Draft;
use super::message::{Message, Recalled};
use super::writer::{Outgoing, Writer};

/// How many identities one message recalls: about 400 KiB.
const RECALLED_MAX: usize = 3_000;

impl Writer {
    /// Says in a message that the events of `stream` are deleted, and deletes those before it.
    pub(super) async fn delete(
        &mut self,
        stream: &Arc<str>,
        expected: Option<Expected>,
        until: Instant,
    ) -> Result<Deleted, Error> {
        let mut attempts = Attempts::new("deleting from NATS", until)?;
        let (achieved, mut sent) = (self.achieved, 0);
        loop {
            let draft = Draft::on(&self.known);
            let state = self.stream(&draft, stream, until).await.map_err(|error| attempts.failed(error))?;
            let is_empty = state.revision().is_none();
            if is_empty && attempts.unanswered {
                // This call has said so.
                self.sweep(stream, until).await?;
                return Ok(Deleted { events: sent, achieved });
            }
            let fit = match expected {
                Some(expected) => self.check_stream(&draft, stream, expected, until).await,
                None => Ok(()),
            };
            if is_empty && fit.is_ok() && attempts.fresh {
                // Whoever has said so may have died before it was done.
                self.sweep(stream, until).await?;
                return Ok(Deleted { events: 0, achieved });
            }
            let messages = match fit {
                // That there is nothing may be old news.
                Ok(()) if is_empty => {
                    Err(Unfit::Conflict(Error::Conflict { stream: Arc::clone(stream), actual: None }))
                }
                Ok(()) => {
                    sent = state.next - state.since;
                    self.last_words(stream, state.next, until).await.map_err(Unfit::Failed)
                }
                Err(unfit) => Err(unfit),
            };
            if self.attempt(&mut attempts, messages).await? {
                let subject = self.access.subjects.stream(stream);
                self.access.purge(&subject, self.known.end, until).await?;
                return Ok(Deleted { events: sent, achieved });
            }
        }
    }

    /// Deletes what is said to be deleted.
    async fn sweep(&self, stream: &Arc<str>, until: Instant) -> Result<(), Error> {
        let subject = self.access.subjects.stream(stream);
        let since = self.access.stream(stream, until).await?.since;
        let (mut next, mut keep) = (1, 0);
        'all: loop {
            let found = self.access.range(next, Some(&subject), usize::MAX, until).await?;
            let Some(last) = found.last() else { break };
            next = last.sequence + 1;
            for stored in &found {
                // The last one stays in any case: it says how the stream stands.
                keep = stored.sequence;
                if matches!(self.access.decode(stored)?, Message::Events(events) if events.next() > since) {
                    break 'all;
                }
            }
        }
        if keep > 1 { self.access.purge(&subject, keep, until).await } else { Ok(()) }
    }

    /// Makes the messages by which the events of `stream` are recognised when they are gone, and the one that says so.
    async fn last_words(&self, stream: &Arc<str>, next: u64, until: Instant) -> Result<Vec<Outgoing>, Error> {
        let revision = next;
        let subject = self.access.subjects.stream(stream);
        let (mut next, mut recalled) = (1, Vec::<Recalled>::new());
        while next <= self.known.end {
            let found = self.access.range(next, Some(&subject), usize::MAX, until).await?;
            let Some(last) = found.last() else { break };
            next = last.sequence + 1;
            for stored in &found {
                if let Message::Events(events) = self.access.decode(stored)? {
                    let ids = events.events.iter().map(|(_, event)| event.id());
                    recalled.extend(ids.filter_map(|id| self.known.ids.get(id)));
                }
            }
        }
        let (common, head): (_, Position) = (self.access.subjects.common(), self.known.head);
        let mut messages: Vec<Outgoing> = recalled
            .chunks(RECALLED_MAX)
            .map(|events| (common.clone(), Message::Recall { head, events: events.to_vec() }))
            .collect();
        messages.push((subject, Message::Gone { stream: Arc::clone(stream), next: revision, head }));
        Ok(messages)
    }
}
