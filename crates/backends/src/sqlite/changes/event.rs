use std::time::{Duration, UNIX_EPOCH};

use steadfast_core::Event;

use super::store::Recorded;
use crate::change::{Operation, Row, identity, subject};

/// Makes the event of a recorded change. The rows go into the data as the triggers wrote them, so that no digit of a
/// number is lost on the way.
pub(super) fn of(recorded: &Recorded, source: &str, origin: &str) -> Option<Event> {
    let operation: Operation = serde_json::from_str(&format!("\"{}\"", recorded.operation)).ok()?;
    let key: Row = serde_json::from_str(&recorded.key).ok()?;
    let table = serde_json::Value::from(recorded.table.as_str());
    let null = "null";
    let data = format!(
        r#"{{"table":{table},"operation":"{}","key":{},"before":{},"after":{}}}"#,
        recorded.operation,
        recorded.key,
        recorded.before.as_deref().unwrap_or(null),
        recorded.after.as_deref().unwrap_or(null),
    );
    let sequence = recorded.seq.to_string();
    let at = UNIX_EPOCH + Duration::from_millis(u64::try_from(recorded.at).unwrap_or(0));
    let kind = format!("sqlite.{}", operation.kind());
    let event = Event::restore(identity(origin, &sequence), source, kind, at)
        .subject(subject(&recorded.table, key.values()))
        .extension("sequence", sequence);
    Some(event.data("application/json", data))
}
