//! What a process knows of the log up to a message: enough to say what may be appended next.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use bytes::Bytes;
use steadfast_core::store::Position;

use super::ids::Ids;
use super::message::{Events, Message, Part, Recalled};
use super::streams::{Stream, Streams};

#[derive(Debug)]
pub(super) struct Known {
    /// The last message that is known.
    pub(super) end: u64,
    /// Something to recognise it by.
    mark: Option<u64>,
    /// Where the newest event stands.
    pub(super) head: Position,
    pub(super) ids: Ids,
    pub(super) streams: Arc<Streams>,
    /// The parts at the end, whose batch may become whole with the next message.
    parts: Vec<(u64, Events)>,
    /// The first message that was looked at.
    start: u64,
}

impl Known {
    /// Knows nothing yet of a log that is to be read from the message `start` on.
    pub(super) fn new(remember: usize, start: u64, streams: Arc<Streams>) -> Self {
        streams.clear();
        Self {
            end: start.saturating_sub(1),
            mark: None,
            head: Position::START,
            ids: Ids::new(remember),
            streams,
            parts: Vec::new(),
            start,
        }
    }

    /// How many events are known of those that were appended since the first message that was looked at.
    pub(super) fn events(&self) -> usize {
        self.ids.count_from(self.start)
    }

    /// Says whether `payload` is another than that of the last message as we know it: then this is another log.
    pub(super) fn differs(&self, payload: &Bytes) -> bool {
        self.mark.is_some_and(|mark| mark != hash(payload))
    }

    /// Says whether parts of a batch that is whole with `sequence` stand before what was looked at.
    pub(super) fn begins_amid(&self, sequence: u64, parts: u64) -> bool {
        sequence.saturating_sub(parts) < self.start
    }

    /// Takes parts into account of which some stand before what was looked at.
    pub(super) fn put_parts(&mut self, parts: Vec<(u64, Events)>) {
        self.parts = parts;
    }

    /// Takes the next message into account.
    pub(super) fn apply(&mut self, sequence: u64, payload: &Bytes, message: Message) {
        self.end = sequence;
        self.mark = Some(hash(payload));
        self.head = self.head.max(message.head(sequence));
        match message {
            Message::Events(events @ Events { part: Some(_), .. }) => {
                self.parts.push((sequence, events));
                return;
            }
            Message::Events(events) => self.take(sequence, sequence, events.events.len() as u32, &events),
            Message::Whole { batch, parts, events: count } => {
                for (place, events) in std::mem::take(&mut self.parts) {
                    let is_of_it = |part: Part| part.batch == batch && place + parts >= sequence;
                    if events.part.is_some_and(is_of_it) {
                        self.take(place, sequence, count, &events);
                    }
                }
            }
            Message::Gone { stream, next, .. } => self.streams.set(&stream, Stream::deleted(next)),
            Message::Recall { events, .. } => events.into_iter().for_each(|event| self.ids.insert(event)),
        }
        self.parts.clear();
        self.ids.trim();
    }

    /// Takes into account events that lie in the message `place`, of a batch of `of` events that is whole with `major`.
    fn take(&mut self, place: u64, major: u64, of: u32, events: &Events) {
        self.streams.set(&events.stream, Stream::after(events, place));
        for ((minor, event), revision) in events.events.iter().zip(events.first..) {
            self.ids.insert(Recalled { id: event.id(), major, minor: *minor, of, revision });
        }
    }
}

fn hash(payload: &Bytes) -> u64 {
    let mut hasher = DefaultHasher::new();
    payload.hash(&mut hasher);
    hasher.finish()
}
