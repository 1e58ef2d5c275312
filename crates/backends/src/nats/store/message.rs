//! How a batch lies in messages: a line of JSON, then the data of its events one after the other.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use steadfast_core::store::{Position, Revision, StoredEvent};
use steadfast_core::{Event, EventId};

use crate::epoch;

/// The version of this format.
pub(super) const VERSION: u32 = 1;

/// What a message says.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Message {
    /// The events of a batch in one stream.
    Events(Events),
    /// The messages before this one, as many as `parts`, are the parts of a batch, which is whole with this one.
    Whole { batch: EventId, parts: u64, events: u32 },
    /// What stood in `stream` is deleted; its next event has the revision `next`.
    Gone { stream: Arc<str>, next: u64, head: Position },
    /// Events that will be deleted, for their identities are to be recognised.
    Recall { head: Position, events: Vec<Recalled> },
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Events {
    pub(super) stream: Arc<str>,
    /// The revision of the first event.
    pub(super) first: u64,
    /// What has a lower revision is deleted.
    pub(super) since: u64,
    /// Which message holds the events before these, of the same stream; zero if there are none.
    pub(super) before: u64,
    /// None of a batch in one stream, which is whole by itself.
    pub(super) part: Option<Part>,
    /// The events with their places in the batch.
    pub(super) events: Vec<(u32, Event)>,
}

/// Of which batch over several streams a message is a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) batch: EventId,
    /// How many messages further on the batch is whole.
    pub(super) ahead: u64,
    /// How many events the batch has.
    pub(super) events: u32,
    /// Where the newest event stood when the batch was appended.
    pub(super) head: Position,
}

/// What is left of an event that was deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Recalled {
    #[serde(with = "identity")]
    pub(super) id: EventId,
    /// The first part of its position, and the second, its place in the batch.
    pub(super) major: u64,
    pub(super) minor: u32,
    /// How many events its batch had.
    pub(super) of: u32,
    pub(super) revision: u64,
}

impl Message {
    pub(super) fn encode(&self) -> Vec<u8> {
        let line = match self {
            Self::Events(events) => Line::Events {
                stream: events.stream.to_string(),
                first: events.first,
                since: events.since,
                before: events.before,
                part: events.part.map(|part| PartLine {
                    batch: part.batch,
                    ahead: part.ahead,
                    events: part.events,
                    head: split(part.head),
                }),
                events: events.events.iter().map(|(at, event)| Attributes::of(*at, event)).collect(),
            },
            Self::Whole { batch, parts, events } => {
                Line::Whole { batch: *batch, parts: *parts, events: *events }
            }
            Self::Gone { stream, next, head } => {
                Line::Gone { stream: stream.to_string(), next: *next, head: split(*head) }
            }
            Self::Recall { head, events } => Line::Recall { head: split(*head), events: events.clone() },
        };
        let mut bytes = serde_json::to_vec(&line).expect("texts and numbers can be written as JSON");
        bytes.push(b'\n');
        if let Self::Events(events) = self {
            events.events.iter().for_each(|(_, event)| bytes.extend_from_slice(event.data()));
        }
        bytes
    }

    /// Reads a message.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn decode(bytes: &Bytes) -> Result<Self, String> {
        let end = bytes.iter().position(|byte| *byte == b'\n').ok_or("it has no line of JSON")?;
        let line = serde_json::from_slice(&bytes[..end]).map_err(|error| error.to_string())?;
        Ok(match line {
            Line::Events { stream, first, since, before, part, events } => {
                let mut rest = bytes.slice(end + 1..);
                let events: Result<Vec<_>, String> =
                    events.into_iter().map(|attributes| attributes.event(&mut rest)).collect();
                let part = part.map(|part| Part {
                    batch: part.batch,
                    ahead: part.ahead,
                    events: part.events,
                    head: join(part.head),
                });
                Self::Events(Events { stream: stream.into(), first, since, before, part, events: events? })
            }
            Line::Whole { batch, parts, events } => Self::Whole { batch, parts, events },
            Line::Gone { stream, next, head } => Self::Gone { stream: stream.into(), next, head: join(head) },
            Line::Recall { head, events } => Self::Recall { head: join(head), events },
        })
    }

    /// Returns where the newest event stands, as of this message at `sequence`.
    pub(super) fn head(&self, sequence: u64) -> Position {
        match self {
            Self::Events(Events { part: Some(Part { head, .. }), .. })
            | Self::Gone { head, .. }
            | Self::Recall { head, .. } => *head,
            Self::Events(events) => Position::from_parts(sequence, events.events.len() as u64 - 1),
            Self::Whole { events, .. } => Position::from_parts(sequence, u64::from(*events) - 1),
        }
    }
}

impl Events {
    /// Returns the revision after those of these events.
    pub(super) fn next(&self) -> u64 {
        self.first + self.events.len() as u64
    }

    /// Returns the events as they are read, of a message at `sequence`.
    pub(super) fn stored(self, sequence: u64) -> impl DoubleEndedIterator<Item = StoredEvent> {
        let major = sequence + self.part.map_or(0, |part| part.ahead);
        let (stream, first) = (self.stream, self.first);
        self.events.into_iter().enumerate().map(move |(place, (at, event))| StoredEvent {
            position: Position::from_parts(major, at.into()),
            stream: Arc::clone(&stream),
            revision: Revision(first + place as u64),
            event,
        })
    }
}

/// A message's line of JSON.
#[derive(Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "camelCase")]
enum Line {
    Events {
        stream: String,
        first: u64,
        since: u64,
        before: u64,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        part: Option<PartLine>,
        events: Vec<Attributes>,
    },
    Whole {
        #[serde(with = "identity")]
        batch: EventId,
        parts: u64,
        events: u32,
    },
    Gone {
        stream: String,
        next: u64,
        head: (u64, u64),
    },
    Recall {
        head: (u64, u64),
        events: Vec<Recalled>,
    },
}

#[derive(Serialize, Deserialize)]
struct PartLine {
    #[serde(with = "identity")]
    batch: EventId,
    ahead: u64,
    events: u32,
    head: (u64, u64),
}

/// An event but for its data.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Attributes {
    #[serde(with = "identity")]
    id: EventId,
    at: u32,
    #[serde(rename = "type")]
    kind: String,
    source: String,
    time: (i64, u32),
    #[serde(default, skip_serializing_if = "Option::is_none")]
    subject: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    content_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    data_schema: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    trace: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    extensions: BTreeMap<String, String>,
    /// How many bytes its data has.
    size: usize,
}

impl Attributes {
    fn of(at: u32, event: &Event) -> Self {
        Self {
            id: event.id(),
            at,
            kind: event.kind().to_owned(),
            source: event.source().to_owned(),
            time: epoch::split(event.time()),
            subject: event.subject().map(str::to_owned),
            content_type: event.content_type().map(str::to_owned),
            data_schema: event.data_schema().map(str::to_owned),
            trace: event.trace().map(|trace| trace.to_string()),
            extensions: event.extensions().clone(),
            size: event.data().len(),
        }
    }

    /// Makes the event, whose data `rest` begins with.
    fn event(self, rest: &mut Bytes) -> Result<(u32, Event), String> {
        if self.size > rest.len() {
            return Err(format!("the data of event {} are cut off", self.id));
        }
        let data = rest.split_to(self.size);
        let time = epoch::join(self.time.0, self.time.1).ok_or("a time is out of range")?;
        let mut event = Event::restore(self.id, self.source, self.kind, time);
        if let Some(subject) = self.subject {
            event = event.subject(subject);
        }
        if let Some(media_type) = self.content_type {
            event = event.content_type(media_type);
        }
        if let Some(schema) = self.data_schema {
            event = event.data_schema(schema);
        }
        if let Some(trace) = self.trace {
            event = event.trace(trace.parse().map_err(|_| "a trace is none")?);
        }
        for (name, value) in self.extensions {
            event = event.extension(name, value);
        }
        Ok((self.at, event.bytes(data)))
    }
}

fn split(position: Position) -> (u64, u64) {
    position.parts()
}

fn join((major, minor): (u64, u64)) -> Position {
    Position::from_parts(major, minor)
}

/// An identity as text.
mod identity {
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};
    use steadfast_core::EventId;

    pub(super) fn serialize<S: Serializer>(id: &EventId, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(id)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<EventId, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events() -> Events {
        let full = Event::new("/orders/é", "order.created")
            .subject("")
            .data_schema("https://example.com/1")
            .extension("tenant", "a\nb")
            .data("application/json", "{\n}");
        let bare = Event::new("", "").build();
        let raw = Event::new("/r", "raw").bytes(vec![0_u8, 10, 255]);
        let events = [full, bare, raw].into_iter().zip([0, 2, 3]).map(|(event, at)| (at, event)).collect();
        Events { stream: "s.*>\n".into(), first: 7, since: 2, before: 12, part: None, events }
    }

    #[test]
    fn messages_survive() {
        let part = Part { batch: EventId::generate(), ahead: 2, events: 4, head: Position::from_parts(3, 1) };
        let recalled = Recalled { id: EventId::generate(), major: 3, minor: 1, of: 2, revision: 9 };
        for message in [
            Message::Events(events()),
            Message::Events(Events { part: Some(part), ..events() }),
            Message::Whole { batch: part.batch, parts: 2, events: 4 },
            Message::Gone { stream: "é".into(), next: 5, head: part.head },
            Message::Recall { head: part.head, events: vec![recalled] },
        ] {
            assert_eq!(Message::decode(&message.encode().into()), Ok(message));
        }
    }

    #[test]
    fn the_events_of_a_part_stand_where_their_batch_is_whole() {
        let part = Part { batch: EventId::generate(), ahead: 2, events: 4, head: Position::START };
        let stored: Vec<_> = Events { part: Some(part), ..events() }.stored(20).collect();
        let places: Vec<_> =
            stored.iter().map(|stored| (stored.position.parts(), stored.revision.0)).collect();
        assert_eq!(places, [((22, 0), 7), ((22, 2), 8), ((22, 3), 9)]);
    }

    #[test]
    fn what_is_cut_off_or_something_else_is_told() {
        let whole = Message::Events(events()).encode();
        for wrong in [&whole[..whole.len() - 1], &whole[..20], b"hello\n", b""] {
            Message::decode(&Bytes::copy_from_slice(wrong)).expect_err("it is no message");
        }
    }
}
