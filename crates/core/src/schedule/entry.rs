use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::Error;
use crate::cloudevents;
use crate::{Event, EventId};

/// The types of the entries in a schedule's stream. Those of a command carry its id as subject.
pub(super) const REQUESTED: &str = "steadfast.schedule.requested";
pub(super) const DELIVERED: &str = "steadfast.schedule.delivered";
pub(super) const CANCELLED: &str = "steadfast.schedule.cancelled";
/// A receiver has begun to serve the schedule; those from before end.
pub(super) const OPENED: &str = "steadfast.schedule.opened";

const SOURCE: &str = "/steadfast/schedule";

/// The data of a [`REQUESTED`] entry.
#[derive(Serialize, Deserialize)]
struct Request {
    /// When to deliver, in milliseconds since 1970.
    #[serde(rename = "atMs")]
    at_ms: u64,
    /// The command as structured JSON of CloudEvents.
    command: Box<RawValue>,
}

/// Writes the entry that asks for `command` at `at`. Its id derives from the command's, so that asking twice is
/// recognised by the store.
pub(super) fn requested(command: &Event, at: SystemTime) -> Result<Event, Error> {
    let since = at.duration_since(SystemTime::UNIX_EPOCH).map_err(|_| Error::Time)?;
    // Rounded up, for a command must not be early.
    let at_ms = u64::try_from(since.as_nanos().div_ceil(1_000_000)).map_err(|_| Error::Time)?;
    let unwritable = |reason: String| Error::Command { reason };
    let command_json = cloudevents::to_json(command).map_err(|error| unwritable(error.to_string()))?;
    let command_json = String::from_utf8(command_json).map_err(|error| unwritable(error.to_string()))?;
    let command_json = RawValue::from_string(command_json).map_err(|error| unwritable(error.to_string()))?;
    let id = EventId::from_u128(command.id().as_u128() ^ ID_MASK);
    let mut entry = Event::new(SOURCE, REQUESTED).id(id).subject(command.id().to_string());
    if let Some(trace) = command.trace() {
        entry = entry.trace(trace);
    }
    entry.json(&Request { at_ms, command: command_json }).map_err(|error| unwritable(error.to_string()))
}

/// Tells the id of an entry from the id of its command; it leaves time and version of the UUID alone.
const ID_MASK: u128 = 0x5eed_5c4e;

/// Writes the entry that ends the command `id`.
pub(super) fn ended(kind: &str, id: EventId) -> Event {
    Event::new(SOURCE, kind).subject(id.to_string()).build()
}

/// Writes the entry by which a receiver takes the schedule over.
pub(super) fn opened() -> Event {
    Event::new(SOURCE, OPENED).build()
}

/// Reads the command and its time from a [`REQUESTED`] entry.
pub(super) fn read(entry: &Event) -> Result<(Event, SystemTime), String> {
    let request: Request = serde_json::from_slice(entry.data()).map_err(|error| error.to_string())?;
    let command = cloudevents::from_json(request.command.get().as_bytes(), entry.time())
        .map_err(|error| error.to_string())?;
    let at = SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(request.at_ms));
    Ok((command, at.ok_or("the time is out of range")?))
}
