//! What stands in a log, and what is about to be stored behind it.

use std::collections::HashMap;
use std::sync::Arc;

use steadfast_core::store::{Batch, Error, Filter, Position, Revision};
use steadfast_core::{Event, EventId};

use super::ids::find;
use super::known::Known;
use super::message::{Events, Message, Recalled};
use super::streams::Stream;
use super::writer::Outgoing;

/// How the log will stand once what is sent together is stored: each batch is checked against what is before it.
#[derive(Debug)]
pub(super) struct Draft {
    /// The last message.
    pub(super) end: u64,
    /// Where the newest event stands.
    pub(super) head: Position,
    streams: HashMap<Arc<str>, Stream>,
    ids: HashMap<EventId, Recalled>,
    events: Vec<(Position, Arc<str>, Event)>,
}

impl Draft {
    /// Begins where what is known ends.
    pub(super) fn on(known: &Known) -> Self {
        Self {
            end: known.end,
            head: known.head,
            streams: HashMap::new(),
            ids: HashMap::new(),
            events: Vec::new(),
        }
    }

    /// Says whether all of it stands in the log already.
    pub(super) fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// Returns how a stream stands, if it is among what is to be stored.
    pub(super) fn stream(&self, name: &str) -> Option<Stream> {
        self.streams.get(name).copied()
    }

    /// Finds where `batch` stands, as [`find`] does.
    pub(super) fn find(&self, known: &Known, batch: &Batch) -> Result<Option<(Position, u64)>, Error> {
        find(batch, |id| self.ids.get(&id).copied().or_else(|| known.ids.get(id)))
    }

    /// Says whether an event after `after` that is to be stored passes `filter`.
    pub(super) fn any(&self, filter: &Filter, after: Position) -> bool {
        let passes = |(position, stream, event): &(Position, Arc<str>, Event)| {
            *position > after && filter.matches(stream, event)
        };
        self.events.iter().any(passes)
    }

    /// Takes the messages of a batch into account; returns where its last event will stand.
    pub(super) fn add(&mut self, messages: &[Outgoing]) -> (Position, Revision) {
        let mut last = Revision(0);
        for (_, message) in messages {
            self.end += 1;
            self.head = self.head.max(message.head(self.end));
            if let Message::Events(events) = message {
                self.take(events, &mut last);
            }
        }
        (self.head, last)
    }

    fn take(&mut self, events: &Events, last: &mut Revision) {
        let (ahead, of) =
            events.part.map_or((0, events.events.len() as u32), |part| (part.ahead, part.events));
        let major = self.end + ahead;
        self.streams.insert(Arc::clone(&events.stream), Stream::after(events, self.end));
        for ((minor, event), revision) in events.events.iter().zip(events.first..) {
            let minor = *minor;
            if minor + 1 == of {
                *last = Revision(revision);
            }
            self.ids.insert(event.id(), Recalled { id: event.id(), major, minor, of, revision });
            let position = Position::from_parts(major, minor.into());
            self.events.push((position, Arc::clone(&events.stream), event.clone()));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::message::Part;
    use super::super::streams::Streams;
    use super::*;

    /// Lays out a batch with events in these streams, as the writer does.
    fn lay_out(draft: &Draft, known: &Known, streams: &[u8]) -> (Batch, Vec<Outgoing>) {
        let names: Vec<Arc<str>> = streams.iter().map(|stream| stream.to_string().into()).collect();
        let new = |stream: &Arc<str>| steadfast_core::store::NewEvent {
            stream: Arc::clone(stream),
            event: Event::new("/", "e").build(),
        };
        let batch = Batch { events: names.iter().map(new).collect() };
        let mut distinct = names.clone();
        distinct.sort();
        distinct.dedup();
        let (id, of, parts) = (EventId::generate(), names.len() as u32, distinct.len() as u64);
        let mut messages: Vec<Outgoing> = Vec::new();
        for (stream, place) in distinct.iter().zip(0..) {
            let stands = draft.stream(stream).or_else(|| known.streams.get(stream)).unwrap_or_default();
            let events = batch.events.iter().zip(0..).filter(|(new, _)| new.stream == *stream);
            let part = Part { batch: id, ahead: parts - place, events: of, head: draft.head };
            let events = Events {
                stream: Arc::clone(stream),
                first: stands.next,
                since: stands.since,
                before: stands.last,
                part: (parts > 1).then_some(part),
                events: events.map(|(new, at)| (at, new.event.clone())).collect(),
            };
            messages.push((String::new(), Message::Events(events)));
        }
        if parts > 1 {
            messages.push((String::new(), Message::Whole { batch: id, parts, events: of }));
        }
        (batch, messages)
    }

    proptest! {
        /// What is expected of a group is what comes of it.
        #[test]
        fn a_group_leads_where_its_draft_says(
            groups in prop::collection::vec(prop::collection::vec(prop::collection::vec(0_u8..3, 1..5), 1..5), 1..5),
        ) {
            let mut known = Known::new(1_000, 1, Arc::new(Streams::default()));
            for group in groups {
                let (mut draft, mut sent, mut batches) = (Draft::on(&known), Vec::new(), Vec::new());
                for streams in &group {
                    let (batch, messages) = lay_out(&draft, &known, streams);
                    prop_assert!(matches!(draft.find(&known, &batch), Ok(None)));
                    let place = draft.add(&messages);
                    prop_assert!(draft.any(&Filter::all(), known.head));
                    batches.push((batch, place));
                    sent.extend(messages);
                }
                for (_, message) in sent {
                    known.apply(known.end + 1, &message.encode().into(), message);
                }
                prop_assert_eq!((draft.end, draft.head), (known.end, known.head));
                let after = Draft::on(&known);
                for (batch, (position, revision)) in batches {
                    prop_assert_eq!(after.find(&known, &batch).ok(), Some(Some((position, revision.0))));
                }
                for stream in ["0", "1", "2"] {
                    let drafted = draft.stream(stream);
                    prop_assert!(drafted.is_none() || drafted == known.streams.get(stream));
                }
            }
        }
    }
}
