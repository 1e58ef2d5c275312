//! Readers of all streams and of one, forward and backward. They keep nothing at the server: where the connection was
//! lost they go on where they were.

use std::collections::VecDeque;
use std::sync::Arc;

use steadfast_core::store::{Error, Filter, Position, StoredEvent};
use tokio::time::Instant;

use super::access::{Access, Stored, Which};
use super::message::{Events, Message, Part};
use super::streams::Stream;

/// How many messages a backward reader looks at, at once.
const WINDOW: u64 = 64;
/// How many it may look at where there is almost nothing.
const WINDOW_MAX: u64 = 1 << 20;

/// Reads on after a position.
pub(super) enum Forward {
    All(AllForward),
    One(OneForward),
}

impl Forward {
    /// Begins after `after`. Where `filter` names one stream, that is read by itself, without what is deleted, which has
    /// a lower revision than `since`.
    pub(super) async fn begin(
        access: &Access,
        filter: &Filter,
        after: Position,
        since: u64,
        until: Instant,
    ) -> Result<Self, Error> {
        let (major, _) = after.parts();
        let Some(stream) = only(filter) else {
            return Ok(Self::All(AllForward { start: major.max(1), next: major.max(1), parts: Vec::new() }));
        };
        let mut next = major;
        // A position may lie within a batch whose events stand in the messages before the one that makes it whole.
        if major > 0
            && let Some(message) = access.message(Which::At(major), until).await?
            && let Message::Whole { parts, .. } = access.decode(&message)?
        {
            next -= parts;
        }
        Ok(Self::One(OneForward { subject: access.subjects.stream(stream), next, since }))
    }

    /// Returns the next events up to the message `upto`, none if there are no more at present. Some may stand before
    /// the position that it began after.
    pub(super) async fn chunk(
        &mut self,
        access: &Access,
        max: usize,
        upto: u64,
        until: Instant,
    ) -> Result<Option<Vec<StoredEvent>>, Error> {
        let (next, subject) = match self {
            Self::All(all) => (all.next, None),
            Self::One(one) => (one.next, Some(one.subject.as_str())),
        };
        if next > upto {
            return Ok(None);
        }
        let found = access.range(next, subject, max, until).await?;
        let found = found.iter().take_while(|stored| stored.sequence <= upto);
        let messages = found.map(|stored| Ok((stored.sequence, access.decode(stored)?)));
        let messages: Vec<_> = messages.collect::<Result<_, Error>>()?;
        if messages.is_empty() {
            return Ok(None);
        }
        match self {
            Self::All(all) => all.events(access, messages, until).await.map(Some),
            Self::One(one) => one.events(access, messages, until).await,
        }
    }
}

pub(super) struct AllForward {
    /// Where it began.
    start: u64,
    next: u64,
    /// The parts that stand before the next message.
    parts: Vec<(u64, Events)>,
}

impl AllForward {
    async fn events(
        &mut self,
        access: &Access,
        messages: Vec<(u64, Message)>,
        until: Instant,
    ) -> Result<Vec<StoredEvent>, Error> {
        let mut events = Vec::new();
        for (sequence, message) in messages {
            self.next = sequence + 1;
            match message {
                Message::Events(part @ Events { part: Some(_), .. }) => {
                    self.parts.push((sequence, part));
                    continue;
                }
                Message::Events(whole) => events.extend(whole.stored(sequence)),
                Message::Whole { batch, parts, .. } => {
                    let parts = if sequence.saturating_sub(parts) < self.start {
                        access.parts(sequence, parts, until).await?
                    } else {
                        std::mem::take(&mut self.parts)
                    };
                    events.extend(assemble(parts, sequence, batch));
                }
                Message::Gone { .. } | Message::Recall { .. } => {}
            }
            self.parts.clear();
        }
        Ok(events)
    }
}

pub(super) struct OneForward {
    subject: String,
    next: u64,
    /// What has a lower revision is deleted.
    since: u64,
}

impl OneForward {
    async fn events(
        &mut self,
        access: &Access,
        messages: Vec<(u64, Message)>,
        until: Instant,
    ) -> Result<Option<Vec<StoredEvent>>, Error> {
        let mut messages = messages.into_iter().peekable();
        let mut all = Vec::new();
        while let Some((sequence, message)) = messages.next() {
            let Message::Events(events) = message else {
                self.next = sequence + 1;
                continue;
            };
            let whole = match (events.part, messages.peek()) {
                (None, _) => true,
                // The next one says what it stands on.
                (Some(_), Some((_, Message::Events(next)))) => next.before == sequence,
                (Some(_), Some(_)) => false,
                (Some(part), None) => match access.is_whole(sequence, part, until).await? {
                    Some(whole) => whole,
                    // It is not decided yet: whoever comes again looks again.
                    None if all.is_empty() => return Ok(None),
                    None => break,
                },
            };
            self.next = sequence + 1;
            if whole {
                let since = self.since;
                all.extend(events.stored(sequence).filter(|stored| stored.revision.0 >= since));
            }
        }
        Ok(Some(all))
    }
}

/// Reads on before a position, a window of messages at a time, which is the wider the less there is.
pub(super) struct Backward {
    before: u64,
    width: u64,
    one: Option<OneBackward>,
}

/// Which messages hold the events of one stream: each names the one before it.
struct OneBackward {
    subject: String,
    last: u64,
    since: u64,
}

impl Backward {
    /// Begins before the message `before`.
    pub(super) fn all(before: u64) -> Self {
        Self { before, width: WINDOW, one: None }
    }

    /// Begins with the newest of a stream that stands as `stream` says.
    pub(super) fn one(subject: String, stream: Stream) -> Self {
        let one = OneBackward { subject, last: stream.last, since: stream.since };
        Self { before: stream.last + 1, width: WINDOW, one: Some(one) }
    }

    /// Returns the next events, newest first, none at the end.
    pub(super) async fn chunk(
        &mut self,
        access: &Access,
        until: Instant,
    ) -> Result<Option<Vec<StoredEvent>>, Error> {
        if self.before <= 1 {
            return Ok(None);
        }
        let subject = self.one.as_ref().map(|one| one.subject.as_str());
        let (found, start) = window(access, self.before, self.width, subject, until).await?;
        let is_sparse = (found.len() as u64) < WINDOW / 2;
        self.width = if is_sparse { (self.width * 2).min(WINDOW_MAX) } else { WINDOW };
        self.before = start;
        let mut events = Vec::new();
        for stored in found.iter().rev() {
            let sequence = stored.sequence;
            match (access.decode(stored)?, &mut self.one) {
                (Message::Events(part), Some(one)) if sequence == one.last => {
                    one.last = part.before;
                    let since = one.since;
                    events.extend(part.stored(sequence).rev().filter(|event| event.revision.0 >= since));
                }
                (Message::Events(whole @ Events { part: None, .. }), None) => {
                    events.extend(whole.stored(sequence).rev());
                }
                (Message::Whole { batch, parts, .. }, None) => {
                    let parts = access.parts(sequence, parts, until).await?;
                    events.extend(assemble(parts, sequence, batch).into_iter().rev());
                }
                _ => {}
            }
        }
        if let Some(one) = &self.one {
            // What is between does not count, and what is not there any more was deleted meanwhile.
            self.before = if one.last < self.before { one.last + 1 } else { 0 };
        }
        Ok(Some(events))
    }
}

/// Returns the newest messages of the `width` before `before`, and from where on these are all.
async fn window(
    access: &Access,
    before: u64,
    width: u64,
    subject: Option<&str>,
    until: Instant,
) -> Result<(VecDeque<Stored>, u64), Error> {
    let mut start = before.saturating_sub(width).max(1);
    let (mut newest, mut next) = (VecDeque::new(), start);
    while next < before {
        let found = access.range(next, subject, WINDOW as usize, until).await?;
        let Some(last) = found.last() else { break };
        next = last.sequence + 1;
        for stored in found.into_iter().take_while(|stored| stored.sequence < before) {
            newest.push_back(stored);
            if newest.len() > WINDOW as usize {
                newest.pop_front();
                start = newest[0].sequence;
            }
        }
    }
    Ok((newest, start))
}

impl Access {
    /// Returns the parts that stand before the message `sequence`, at most `count`.
    pub(super) async fn parts(
        &self,
        sequence: u64,
        count: u64,
        until: Instant,
    ) -> Result<Vec<(u64, Events)>, Error> {
        let (mut next, mut parts) = (sequence.saturating_sub(count), Vec::new());
        while next < sequence {
            let found = self.range(next, None, usize::try_from(sequence - next).unwrap_or(usize::MAX), until);
            let found = found.await?;
            let Some(last) = found.last() else { break };
            next = last.sequence + 1;
            for stored in found.iter().take_while(|stored| stored.sequence < sequence) {
                if let Message::Events(events) = self.decode(stored)? {
                    parts.push((stored.sequence, events));
                }
            }
        }
        Ok(parts)
    }

    /// Says whether the batch of the part at `sequence` is whole; none while that is not decided.
    pub(super) async fn is_whole(
        &self,
        sequence: u64,
        part: Part,
        until: Instant,
    ) -> Result<Option<bool>, Error> {
        let end = sequence + part.ahead;
        let is_end = |stored: Stored| {
            let message = self.decode(&stored)?;
            Ok::<_, Error>(matches!(message, Message::Whole { batch, .. } if batch == part.batch))
        };
        if let Some(stored) = self.message(Which::At(end), until).await? {
            return is_end(stored).map(Some);
        }
        if self.end(until).await? < end {
            return Ok(None);
        }
        // It may have come between the two looks; what is deleted was another message.
        self.message(Which::At(end), until).await?.map_or(Ok(false), is_end).map(Some)
    }

    /// Returns how a stream stands, as of the newest message that is decided.
    pub(super) async fn stream(&self, name: &str, until: Instant) -> Result<Stream, Error> {
        let subject = self.subjects.stream(name);
        let Some(stored) = self.message(Which::Last(&subject), until).await? else {
            return Ok(Stream::default());
        };
        Ok(match self.decode(&stored)? {
            Message::Events(events) => match events.part {
                Some(part) if self.is_whole(stored.sequence, part, until).await? != Some(true) => {
                    Stream::before(&events)
                }
                _ => Stream::after(&events, stored.sequence),
            },
            Message::Gone { next, .. } => Stream::deleted(next),
            Message::Whole { .. } | Message::Recall { .. } => {
                let problem = "it does not belong among the events of a stream";
                return Err(super::error::damaged(&self.settings.stream, stored.sequence, problem));
            }
        })
    }

    /// Says whether an event after `after` passes `filter`.
    pub(super) async fn any(&self, filter: &Filter, after: Position, until: Instant) -> Result<bool, Error> {
        let (end, since) = match only(filter) {
            Some(stream) => {
                let stream = self.stream(stream, until).await?;
                (stream.last, stream.since)
            }
            None => (self.end(until).await?, 0),
        };
        let mut forward = Forward::begin(self, filter, after, since, until).await?;
        while let Some(events) = forward.chunk(self, self.settings.read_ahead, end, until).await? {
            let passes = |e: &StoredEvent| e.position > after && filter.matches(&e.stream, &e.event);
            if events.iter().any(passes) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Puts the events of a batch in their order.
fn assemble(parts: Vec<(u64, Events)>, sequence: u64, batch: steadfast_core::EventId) -> Vec<StoredEvent> {
    let is_of_it = |place: u64, part: Part| part.batch == batch && place + part.ahead == sequence;
    let parts =
        parts.into_iter().filter(|(place, events)| events.part.is_some_and(|part| is_of_it(*place, part)));
    let mut events: Vec<_> = parts.flat_map(|(place, events)| events.stored(place)).collect();
    events.sort_unstable_by_key(|stored| stored.position);
    events
}

/// The name of the one stream that a filter names.
pub(super) fn only(filter: &Filter) -> Option<&Arc<str>> {
    match &filter.streams[..] {
        [stream] => Some(stream),
        _ => None,
    }
}
