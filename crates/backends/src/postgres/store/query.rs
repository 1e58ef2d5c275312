//! Filters and queries as SQL.

use std::sync::Arc;

use steadfast_core::store::{Direction, Error, Filter, Position, Revision};
use tokio_postgres::Client;
use tokio_postgres::types::ToSql;

use super::error::reading;
use super::horizon::Horizon;
use super::row;
use crate::chunks::{Chunk, Range};

/// Of one stream all that is there may be read: what is appended later has a later revision.
pub(super) const WHOLE: Range =
    Range { after: Position::START, before: Position::from_parts(i64::MAX as u64, i32::MAX as u64) };

pub(super) fn up_to(after: Position, Horizon(end): Horizon) -> Range {
    Range { after, before: Position::from_parts(end as u64, 0) }
}

fn parts(position: Position) -> (i64, i32) {
    let (major, minor) = position.parts();
    (i64::try_from(major).unwrap_or(i64::MAX), i32::try_from(minor).unwrap_or(i32::MAX))
}

/// Reads up to `size` events in `range`.
pub(super) async fn events(
    client: &Client,
    filter: &Filter,
    range: Range,
    direction: Direction,
    size: usize,
) -> Result<Chunk, Error> {
    let (after, before) = (parts(range.after), parts(range.before));
    let mut values: Vec<&(dyn ToSql + Sync)> = vec![&after.0, &after.1, &before.0, &before.1];
    let mut sql = format!(
        "SELECT {} FROM steadfast_events WHERE (position, ordinal) > ($1, $2) AND (position, ordinal) < ($3, $4)",
        row::COLUMNS
    );
    let lists = [("stream", &filter.streams), ("kind", &filter.kinds), ("subject", &filter.subjects)];
    let lists = lists.map(|(column, names)| (column, texts(names)));
    for (column, names) in &lists {
        if !names.is_empty() {
            values.push(names);
            sql.push_str(&format!(" AND {column} = ANY (${})", values.len()));
        }
    }
    let way = match direction {
        Direction::Forward => "ASC",
        Direction::Backward => "DESC",
    };
    // Within one stream the revision's index gives the same order.
    let order = if filter.streams.len() == 1 {
        format!("revision {way}")
    } else {
        format!("position {way}, ordinal {way}")
    };
    sql.push_str(&format!(" ORDER BY {order} LIMIT {size}"));
    let rows = client.query(&sql, &values).await.map_err(|error| reading(&error))?;
    let events = rows.iter().map(row::read).collect::<Result<Vec<_>, _>>()?;
    let more = events.len() >= size;
    Ok(Chunk::new(events, range, direction, more))
}

/// Returns the revision of the newest event of a stream.
pub(super) async fn revision(client: &Client, stream: &str) -> Result<Option<Revision>, Error> {
    let row = client
        .query_one("SELECT steadfast_revision($1)", &[&stream])
        .await
        .map_err(|error| reading(&error))?;
    Ok(row.get::<_, Option<i64>>(0).map(|revision| Revision(revision as u64)))
}

pub(super) fn texts(names: &[Arc<str>]) -> Vec<&str> {
    names.iter().map(|name| &**name).collect()
}
