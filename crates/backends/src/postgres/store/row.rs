//! How an event lies in a row.

use std::sync::Arc;

use bytes::Bytes;
use steadfast_core::store::{Error, Position, Revision, StoredEvent};
use steadfast_core::{Event, EventId};
use tokio_postgres::Row;

use crate::epoch;

pub(super) const COLUMNS: &str = "position, ordinal, stream, revision, id::text, kind, subject, source, seconds, nanos, \
    content_type, data_schema, trace, extensions, data";

/// Makes a position of its parts in a row.
pub(super) fn position(major: i64, ordinal: i32) -> Position {
    Position::from_parts(major as u64, u64::from(ordinal.unsigned_abs()))
}

/// Reads a row of [`COLUMNS`].
pub(super) fn read(row: &Row) -> Result<StoredEvent, Error> {
    let place = || match (row.try_get::<_, i64>(0), row.try_get::<_, i32>(1)) {
        (Ok(position), Ok(ordinal)) => format!("event {position}.{ordinal} of steadfast_events"),
        _ => "steadfast_events".to_owned(),
    };
    decode(row).map_err(|error| Error::Damaged { place: place(), problem: error.to_string() })
}

fn decode(row: &Row) -> Result<StoredEvent, Box<dyn std::error::Error + Send + Sync>> {
    let text = |column: usize| -> Result<Option<Arc<str>>, tokio_postgres::Error> {
        Ok(row.try_get::<_, Option<&str>>(column)?.map(Into::into))
    };
    let name = |column: usize| -> Result<Arc<str>, tokio_postgres::Error> {
        Ok(row.try_get::<_, &str>(column)?.into())
    };
    let id: EventId = row.try_get::<_, &str>(4)?.parse()?;
    let time = epoch::join(row.try_get(8)?, row.try_get::<_, i32>(9)?.cast_unsigned())
        .ok_or("its time is out of range")?;
    let mut event = Event::restore(id, name(7)?, name(5)?, time);
    if let Some(subject) = text(6)? {
        event = event.subject(subject);
    }
    if let Some(media_type) = text(10)? {
        event = event.content_type(media_type);
    }
    if let Some(schema) = text(11)? {
        event = event.data_schema(schema);
    }
    if let Some(trace) = text(12)? {
        event = event.trace(trace.parse()?);
    }
    if let Some(extensions) = row.try_get::<_, Option<&str>>(13)? {
        let extensions: std::collections::BTreeMap<String, String> = serde_json::from_str(extensions)?;
        for (name, value) in extensions {
            event = event.extension(name, value);
        }
    }
    Ok(StoredEvent {
        position: position(row.try_get(0)?, row.try_get(1)?),
        stream: name(2)?,
        revision: Revision(row.try_get::<_, i64>(3)? as u64),
        event: event.bytes(Bytes::copy_from_slice(row.try_get(14)?)),
    })
}
