//! How an event lies in a row.

use std::sync::Arc;

use bytes::Bytes;
use rusqlite::{Row, Statement, params};
use steadfast_core::store::{Error, Position, Revision, StoredEvent};
use steadfast_core::{Event, EventId};

use super::error::{damaged, reading};
use crate::epoch;

pub(super) const INSERT: &str = "INSERT INTO steadfast_events (position, batch, stream, revision, id, kind, subject, \
    source, seconds, nanos, content_type, data_schema, trace, extensions, data) \
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";

pub(super) const COLUMNS: &str = "e.position, s.name, e.revision, e.id, e.kind, e.subject, e.source, e.seconds, \
    e.nanos, e.content_type, e.data_schema, e.trace, e.extensions, e.data";

/// Where a row is to stand.
pub(super) struct Place {
    pub(super) position: u64,
    pub(super) batch: u64,
    pub(super) stream: i64,
    pub(super) revision: u64,
}

pub(super) fn insert(statement: &mut Statement<'_>, place: &Place, event: &Event) -> rusqlite::Result<()> {
    let (seconds, nanos) = epoch::split(event.time());
    let extensions = (!event.extensions().is_empty())
        .then(|| serde_json::to_string(event.extensions()).expect("texts can be written as JSON"));
    statement.execute(params![
        place.position as i64,
        place.batch as i64,
        place.stream,
        place.revision as i64,
        event.id().as_u128().to_be_bytes(),
        event.kind(),
        event.subject(),
        event.source(),
        seconds,
        nanos,
        event.content_type(),
        event.data_schema(),
        event.trace().map(|trace| trace.to_string()),
        extensions,
        &event.data()[..],
    ])?;
    Ok(())
}

/// Reads a row of [`COLUMNS`].
pub(super) fn read(row: &Row<'_>) -> Result<StoredEvent, Error> {
    let position = row.get::<_, i64>(0).map_err(reading)? as u64;
    decode(row, position).map_err(|error| damaged(position, error))
}

fn decode(row: &Row<'_>, position: u64) -> Result<StoredEvent, Box<dyn std::error::Error>> {
    let text = |column: usize| -> rusqlite::Result<Option<Arc<str>>> { row.get(column) };
    let id = EventId::from_u128(u128::from_be_bytes(row.get(3)?));
    let time = epoch::join(row.get(7)?, row.get(8)?).ok_or("its time is out of range")?;
    let mut event = Event::restore(id, row.get::<_, Arc<str>>(6)?, row.get::<_, Arc<str>>(4)?, time);
    if let Some(subject) = text(5)? {
        event = event.subject(subject);
    }
    if let Some(media_type) = text(9)? {
        event = event.content_type(media_type);
    }
    if let Some(schema) = text(10)? {
        event = event.data_schema(schema);
    }
    if let Some(trace) = text(11)? {
        event = event.trace(trace.parse()?);
    }
    if let Some(extensions) = text(12)? {
        let extensions: std::collections::BTreeMap<String, String> = serde_json::from_str(&extensions)?;
        for (name, value) in extensions {
            event = event.extension(name, value);
        }
    }
    Ok(StoredEvent {
        position: Position::from_parts(position, 0),
        stream: row.get(1)?,
        revision: Revision(row.get::<_, i64>(2)? as u64),
        event: event.bytes(Bytes::from(row.get::<_, Vec<u8>>(13)?)),
    })
}
