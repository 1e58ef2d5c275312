//! Filters and queries as SQL.

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, params_from_iter};
use steadfast_core::store::{Direction, Error, Filter, Position, Revision};

use super::error::reading;
use super::row;
use crate::chunks::{BYTES, Chunk, Range};

/// A condition and its parameters.
struct Where {
    sql: String,
    values: Vec<Value>,
}

/// All up to the position `last`.
pub(super) fn up_to(last: u64) -> Range {
    Range { after: Position::START, before: Position::from_parts(last.saturating_add(1), 0) }
}

fn matching(filter: &Filter, range: Range) -> Where {
    let mut sql = "e.position BETWEEN ? AND ?".to_owned();
    let clamp = |position: u64| Value::from(i64::try_from(position).unwrap_or(i64::MAX));
    // Positions have no second part, so one that has lies behind the event.
    let last = match range.before.parts() {
        (before, 0) => before.saturating_sub(1),
        (before, _) => before,
    };
    let mut values = vec![clamp(range.after.parts().0.saturating_add(1)), clamp(last)];
    let mut any_of = |column: &str, names: &[std::sync::Arc<str>]| {
        if !names.is_empty() {
            let marks = vec!["?"; names.len()].join(", ");
            sql.push_str(&format!(" AND {column} IN ({marks})"));
            values.extend(names.iter().map(|name| Value::from(name.to_string())));
        }
    };
    any_of("s.name", &filter.streams);
    any_of("e.kind", &filter.kinds);
    any_of("e.subject", &filter.subjects);
    Where { sql, values }
}

/// Reads up to `size` events in `range`, and no more once they have the bytes of a chunk.
pub(super) fn events(
    connection: &Connection,
    filter: &Filter,
    range: Range,
    direction: Direction,
    size: usize,
) -> Result<Chunk, Error> {
    let Where { sql, mut values } = matching(filter, range);
    let order = match direction {
        Direction::Forward => "ASC",
        Direction::Backward => "DESC",
    };
    // A cross join keeps the tables in this order: one stream is found by its index, all are read by position.
    let from = if filter.streams.is_empty() {
        "steadfast_events e CROSS JOIN steadfast_streams s ON s.id = e.stream"
    } else {
        "steadfast_streams s CROSS JOIN steadfast_events e ON e.stream = s.id"
    };
    let columns = row::COLUMNS;
    let sql = format!("SELECT {columns} FROM {from} WHERE {sql} ORDER BY e.position {order} LIMIT ?");
    values.push(Value::from(i64::try_from(size).unwrap_or(i64::MAX)));
    let mut statement = connection.prepare_cached(&sql).map_err(reading)?;
    let mut rows = statement.query(params_from_iter(values)).map_err(reading)?;
    let (mut events, mut bytes) = (Vec::new(), 0);
    while bytes < BYTES
        && let Some(row) = rows.next().map_err(reading)?
    {
        let stored = row::read(row)?;
        bytes += stored.event.weight();
        events.push(stored);
    }
    let more = events.len() >= size || bytes >= BYTES;
    Ok(Chunk::new(events, range, direction, more))
}

/// Says whether an event passes `filter`.
pub(super) fn any(connection: &Connection, filter: &Filter, range: Range) -> rusqlite::Result<bool> {
    let Where { sql, values } = matching(filter, range);
    let from = "steadfast_events e CROSS JOIN steadfast_streams s ON s.id = e.stream";
    let sql = format!("SELECT 1 FROM {from} WHERE {sql} LIMIT 1");
    let mut statement = connection.prepare_cached(&sql)?;
    statement.exists(params_from_iter(values))
}

/// Returns the position of the newest event that was ever appended.
pub(super) fn head(connection: &Connection) -> rusqlite::Result<u64> {
    let mut statement = connection.prepare_cached("SELECT next_position FROM steadfast_log")?;
    statement.query_row([], |row| row.get::<_, i64>(0)).map(|next| next as u64 - 1)
}

/// Returns the revision of the newest event of a stream.
pub(super) fn revision(connection: &Connection, stream: &str) -> rusqlite::Result<Option<Revision>> {
    let sql = "SELECT e.revision FROM steadfast_streams s CROSS JOIN steadfast_events e ON e.stream = s.id \
        WHERE s.name = ? ORDER BY e.position DESC LIMIT 1";
    let mut statement = connection.prepare_cached(sql)?;
    let newest = statement.query_row([stream], |row| row.get::<_, i64>(0)).optional()?;
    Ok(newest.map(|revision| Revision(revision as u64)))
}
