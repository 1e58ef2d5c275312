//! How letters of events stand in a store: what is kept, what is amended and what is taken are events of one stream.
//!
//! A letter's event has the data, source, time and extensions of the one that is kept, but another type and no
//! subject, so that nobody who reads the store by type or subject takes it for the first one.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use super::{Error, Fate, Letter, LetterId};
use crate::delivery::message::About;
use crate::delivery::{Cause, Message};
use crate::{Event, EventId};

const KEPT: &str = "steadfast.letter.kept";
const AMENDED: &str = "steadfast.letter.amended";
const TAKEN: &str = "steadfast.letter.taken";
const SOURCE: &str = "/steadfast/letters";
/// The extension attribute that says what else belongs to a letter.
const ENVELOPE: &str = "steadfastletter";

/// One event of the stream.
pub(super) enum Record {
    Kept(Box<Letter<Event>>),
    Amended(LetterId, Fate),
    Taken(LetterId),
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope {
    id: String,
    #[serde(rename = "type")]
    kind: Arc<str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<Arc<str>>,
    destination: Arc<str>,
    subscriber: Arc<str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<Arc<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    partition_key: Option<Arc<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    operation: Option<Arc<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    traceparent: Option<String>,
    fate: FateRecord,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Amendment {
    letter: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    fate: Option<FateRecord>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "is")]
enum FateRecord {
    #[serde(rename_all = "camelCase")]
    Dead {
        cause: CauseRecord,
        reason: String,
        attempts: u32,
        first_failed_ms: u64,
    },
    Parked,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum CauseRecord {
    Failed,
    Panicked,
    TimedOut,
    Dropped,
    Lost,
    NotUpcast,
    ParkingFull,
}

/// Makes the event that keeps `letter`.
pub(super) fn kept(letter: &Letter<Event>, id: EventId) -> Result<Event, Error> {
    let event = &letter.message.payload;
    let About { key, partition_key, operation, trace } = letter.message.about();
    let envelope = Envelope {
        id: event.id.to_string(),
        kind: Arc::clone(&event.kind),
        subject: event.subject.clone(),
        destination: Arc::clone(&letter.destination),
        subscriber: Arc::clone(&letter.subscriber),
        key: key.clone(),
        partition_key: partition_key.clone(),
        operation: operation.clone(),
        traceparent: trace.map(|trace| trace.to_string()),
        fate: FateRecord::from(&letter.fate),
    };
    let mut kept = event.clone();
    (kept.id, kept.kind, kept.subject) = (id, KEPT.into(), None);
    kept.put_extension(ENVELOPE, serde_json::to_string(&envelope).map_err(damaged)?);
    Ok(kept)
}

/// Makes the event that amends a letter.
pub(super) fn amended(letter: LetterId, fate: &Fate) -> Result<Event, Error> {
    let amendment = Amendment { letter: letter.0, fate: Some(fate.into()) };
    Event::new(SOURCE, AMENDED).json(&amendment).map_err(damaged)
}

/// Makes the event that says that a letter was taken.
pub(super) fn taken(letter: LetterId) -> Result<Event, Error> {
    Event::new(SOURCE, TAKEN).json(&Amendment { letter: letter.0, fate: None }).map_err(damaged)
}

/// Reads an event of the stream; the letter that it keeps, if it does, is known by `id`.
pub(super) fn read(event: Event, id: LetterId) -> Result<Record, Error> {
    match event.kind() {
        KEPT => letter(event, id).map(|letter| Record::Kept(Box::new(letter))),
        AMENDED | TAKEN => {
            let Amendment { letter, fate } = serde_json::from_slice(event.data()).map_err(damaged)?;
            Ok(match fate {
                Some(fate) => Record::Amended(LetterId(letter), fate.into()),
                None => Record::Taken(LetterId(letter)),
            })
        }
        kind => Err(damaged(format!("an event of type `{kind}` stands among the letters"))),
    }
}

fn letter(mut event: Event, id: LetterId) -> Result<Letter<Event>, Error> {
    let envelope = event.take_extension(ENVELOPE).ok_or_else(|| damaged("a letter without envelope"))?;
    let envelope: Envelope = serde_json::from_str(&envelope).map_err(damaged)?;
    event.id = envelope.id.parse().map_err(damaged)?;
    event.kind = envelope.kind;
    event.subject = envelope.subject;
    let trace = match envelope.traceparent {
        Some(text) => Some(text.parse().map_err(damaged)?),
        None => None,
    };
    let (key, partition_key, operation) = (envelope.key, envelope.partition_key, envelope.operation);
    let message = Message::with(event, About { key, partition_key, operation, trace });
    let (destination, subscriber) = (envelope.destination, envelope.subscriber);
    Ok(Letter { id, destination, subscriber, message, fate: envelope.fate.into() })
}

fn damaged(reason: impl std::fmt::Display) -> Error {
    Error::Damaged { reason: reason.to_string() }
}

impl From<&Fate> for FateRecord {
    fn from(fate: &Fate) -> Self {
        let Fate::Dead { cause, attempts, first_failed } = fate else { return Self::Parked };
        let (cause, reason) = match cause {
            Cause::Failed { reason } => (CauseRecord::Failed, reason.clone()),
            Cause::Panicked { reason } => (CauseRecord::Panicked, reason.clone()),
            Cause::TimedOut => (CauseRecord::TimedOut, String::new()),
            Cause::Dropped => (CauseRecord::Dropped, String::new()),
            Cause::Lost => (CauseRecord::Lost, String::new()),
            Cause::NotUpcast { reason } => (CauseRecord::NotUpcast, reason.clone()),
            Cause::ParkingFull => (CauseRecord::ParkingFull, String::new()),
        };
        let since_epoch = first_failed.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self::Dead { cause, reason, attempts: *attempts, first_failed_ms: since_epoch.as_millis() as u64 }
    }
}

impl From<FateRecord> for Fate {
    fn from(record: FateRecord) -> Self {
        let FateRecord::Dead { cause, reason, attempts, first_failed_ms } = record else {
            return Self::Parked;
        };
        let cause = match cause {
            CauseRecord::Failed => Cause::Failed { reason },
            CauseRecord::Panicked => Cause::Panicked { reason },
            CauseRecord::TimedOut => Cause::TimedOut,
            CauseRecord::Dropped => Cause::Dropped,
            CauseRecord::Lost => Cause::Lost,
            CauseRecord::NotUpcast => Cause::NotUpcast { reason },
            CauseRecord::ParkingFull => Cause::ParkingFull,
        };
        let first_failed = SystemTime::UNIX_EPOCH + Duration::from_millis(first_failed_ms);
        Self::Dead { cause, attempts, first_failed }
    }
}
