//! What is done to the tables within one transaction.

use std::collections::HashMap;
use std::sync::Arc;

use rusqlite::{Connection, ErrorCode, OptionalExtension, params};
use steadfast_core::EventId;
use steadfast_core::store::{
    Appended, Batch, Condition, Durability, Error, Expected, Outcome, Position, Revision,
};

use super::error::of;
use super::query;
use super::row::{self, Place};
use crate::chunks::Range;

/// How many streams are remembered.
const STREAMS_MAX: usize = 100_000;

/// What is known of the tables; it holds as long as nobody else writes.
#[derive(Debug, Default)]
pub(super) struct Known {
    streams: HashMap<Arc<str>, Stream>,
    pub(super) next_position: u64,
    /// Some events were deleted.
    pub(super) gone: bool,
}

#[derive(Debug, Clone, Copy)]
struct Stream {
    id: i64,
    /// The revision of its newest event, if it has any.
    newest: Option<u64>,
    next: u64,
}

/// Why a job was not done.
pub(super) enum Failure {
    /// The request cannot be met; the transaction goes on without it.
    Refused(Error),
    /// The transaction cannot go on.
    Broken(rusqlite::Error),
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Broken(error)
    }
}

impl Known {
    pub(super) fn read(connection: &Connection) -> rusqlite::Result<Self> {
        let gone = connection.prepare_cached("SELECT 1 FROM steadfast_gone LIMIT 1")?.exists([])?;
        Ok(Self { streams: HashMap::new(), next_position: query::head(connection)? + 1, gone })
    }

    fn stream(&mut self, connection: &Connection, name: &str) -> rusqlite::Result<Option<Stream>> {
        if let Some(stream) = self.streams.get(name) {
            return Ok(Some(*stream));
        }
        let mut statement =
            connection.prepare_cached("SELECT id, next_revision FROM steadfast_streams WHERE name = ?")?;
        let found = statement.query_row([name], |row| Ok((row.get(0)?, row.get::<_, i64>(1)? as u64)));
        let Some((id, next)) = found.optional()? else { return Ok(None) };
        let newest = query::revision(connection, name)?.map(|revision| revision.0);
        let stream = Stream { id, newest, next };
        self.remember(name.into(), stream);
        Ok(Some(stream))
    }

    fn remember(&mut self, name: Arc<str>, stream: Stream) {
        if self.streams.len() >= STREAMS_MAX {
            self.streams.clear();
        }
        self.streams.insert(name, stream);
    }

    fn newest(&mut self, connection: &Connection, name: &str) -> rusqlite::Result<Option<Revision>> {
        Ok(self.stream(connection, name)?.and_then(|stream| stream.newest).map(Revision))
    }

    fn check_stream(
        &mut self,
        connection: &Connection,
        name: &str,
        expected: Expected,
    ) -> Result<(), Failure> {
        let actual = self.newest(connection, name)?;
        let holds = match expected {
            Expected::NoStream => actual.is_none(),
            Expected::Exists => actual.is_some(),
            Expected::Revision(revision) => actual == Some(revision),
        };
        if holds { Ok(()) } else { Err(Failure::Refused(Error::Conflict { stream: name.into(), actual })) }
    }

    fn check(&mut self, connection: &Connection, condition: &Condition) -> Result<(), Failure> {
        match condition {
            Condition::Any => Ok(()),
            Condition::Streams(streams) => streams.iter().try_for_each(|condition| {
                self.check_stream(connection, &condition.stream, condition.expected)
            }),
            Condition::NoneMatching { filter, after } => {
                let range = Range { after: *after, ..query::up_to(self.next_position) };
                if query::any(connection, filter, range)? {
                    return Err(Failure::Refused(Error::Conflict { stream: "".into(), actual: None }));
                }
                Ok(())
            }
            _ => Err(Failure::Refused(Error::Unsupported { what: "this kind of condition".to_owned() })),
        }
    }

    /// Appends a batch, which has been checked, or finds where it stands.
    pub(super) fn append(
        &mut self,
        connection: &Connection,
        batch: &Batch,
        condition: &Condition,
    ) -> Result<Appended, Failure> {
        let checked = self.check(connection, condition);
        if let Err(Failure::Refused(conflict)) = checked {
            // A batch that is repeated finds its place whatever the condition says by now.
            return find(connection, batch)?.ok_or(Failure::Refused(conflict));
        }
        checked?;
        if self.gone
            && let Some(earlier) = find(connection, batch)?
        {
            return Ok(earlier);
        }
        connection.prepare_cached("SAVEPOINT batch")?.execute([])?;
        match self.insert(connection, batch) {
            Ok(appended) => {
                connection.prepare_cached("RELEASE batch")?.execute([])?;
                Ok(appended)
            }
            Err(rusqlite::Error::SqliteFailure(error, _)) if error.code == ErrorCode::ConstraintViolation => {
                connection.prepare_cached("ROLLBACK TO batch")?.execute([])?;
                connection.prepare_cached("RELEASE batch")?.execute([])?;
                // What was noted of streams may not be so.
                self.streams.clear();
                let lost =
                    || Failure::Refused(Error::Invalid { reason: "the batch repeats an event".to_owned() });
                find(connection, batch)?.ok_or_else(lost)
            }
            Err(error) => Err(error.into()),
        }
    }

    fn insert(&mut self, connection: &Connection, batch: &Batch) -> rusqlite::Result<Appended> {
        let first = self.next_position;
        let mut position = first;
        let mut revision = 0;
        let mut insert = connection.prepare_cached(row::INSERT)?;
        for new in &batch.events {
            let stream = match self.stream(connection, &new.stream)? {
                Some(stream) => stream,
                None => {
                    let mut make = connection.prepare_cached(
                        "INSERT INTO steadfast_streams (name, next_revision) VALUES (?, 0)",
                    )?;
                    Stream { id: make.insert([&*new.stream])?, newest: None, next: 0 }
                }
            };
            revision = stream.next;
            let place = Place { position, batch: first, stream: stream.id, revision };
            row::insert(&mut insert, &place, &new.event)?;
            self.remember(
                Arc::clone(&new.stream),
                Stream { newest: Some(revision), next: revision + 1, ..stream },
            );
            position += 1;
        }
        let mut note =
            connection.prepare_cached("UPDATE steadfast_streams SET next_revision = ? WHERE id = ?")?;
        let mut noted: Vec<i64> = Vec::new();
        for new in batch.events.iter().rev() {
            if let Some(stream) = self.streams.get(&new.stream)
                && !noted.contains(&stream.id)
            {
                note.execute(params![stream.next as i64, stream.id])?;
                noted.push(stream.id);
            }
        }
        self.next_position = position;
        Ok(appended(position - 1, revision, false))
    }

    /// Deletes the events of a stream and returns how many they were.
    pub(super) fn delete(
        &mut self,
        connection: &Connection,
        name: &str,
        expected: Option<Expected>,
    ) -> Result<u64, Failure> {
        if let Some(expected) = expected {
            self.check_stream(connection, name, expected)?;
        }
        let Some(stream) = self.stream(connection, name)? else { return Ok(0) };
        connection
            .prepare_cached(
                "INSERT INTO steadfast_gone (position, batch, revision, id) \
                 SELECT position, batch, revision, id FROM steadfast_events WHERE stream = ?",
            )?
            .execute([stream.id])?;
        let deleted = connection
            .prepare_cached("DELETE FROM steadfast_events WHERE stream = ?")?
            .execute([stream.id])?;
        self.gone |= deleted > 0;
        self.remember(name.into(), Stream { newest: None, ..stream });
        Ok(deleted as u64)
    }

    /// Writes what the transaction has changed here, and something if the next position is what it was `before`.
    pub(super) fn save(&self, connection: &Connection, before: u64) -> rusqlite::Result<()> {
        let next = self.next_position as i64;
        let mut save = connection.prepare_cached("UPDATE steadfast_log SET next_position = ?")?;
        if self.next_position == before {
            // IMPORTANT: SQLite touches no page whose bytes stay as they are, and a commit that has touched none syncs
            // nothing.
            save.execute([next + 1])?;
        }
        save.execute([next]).map(drop)
    }
}

fn appended(position: u64, revision: u64, duplicate: bool) -> Appended {
    Appended {
        position: Position::from_parts(position, 0),
        revision: Revision(revision),
        // It is told once it has been achieved.
        achieved: Durability::Accepted,
        duplicate,
    }
}

/// Finds `batch` if it was appended before.
fn find(connection: &Connection, batch: &Batch) -> Result<Option<Appended>, Failure> {
    let mut find = connection.prepare_cached(
        "SELECT batch FROM steadfast_events WHERE id = ?1 UNION ALL SELECT batch FROM steadfast_gone WHERE id = ?1",
    )?;
    let mut start = None;
    for new in &batch.events {
        let id = new.event.id().as_u128().to_be_bytes();
        start = find.query_row([id], |row| row.get::<_, i64>(0)).optional()?;
        if start.is_some() {
            break;
        }
    }
    let Some(start) = start else { return Ok(None) };
    let mut members = connection.prepare_cached(
        "SELECT position, revision, id FROM steadfast_events WHERE position BETWEEN ?1 AND ?2 AND batch = ?1 UNION ALL \
         SELECT position, revision, id FROM steadfast_gone WHERE position BETWEEN ?1 AND ?2 AND batch = ?1 \
         ORDER BY position",
    )?;
    // One more than it should have, to see that it has not.
    let end = start.saturating_add(batch.events.len() as i64);
    let members = members.query_map(params![start, end], |row| {
        let id = EventId::from_u128(u128::from_be_bytes(row.get(2)?));
        Ok((row.get::<_, i64>(0)? as u64, row.get::<_, i64>(1)? as u64, id))
    })?;
    let members = members.collect::<rusqlite::Result<Vec<_>>>()?;
    if !members.iter().map(|(.., id)| *id).eq(batch.events.iter().map(|new| new.event.id())) {
        let reason = "the batch repeats an event of another batch".to_owned();
        return Err(Failure::Refused(Error::Invalid { reason }));
    }
    Ok(members.last().map(|(position, revision, _)| appended(*position, *revision, true)))
}

/// The error for whoever took part in a transaction that was rolled back.
pub(super) fn rolled_back(error: rusqlite::Error) -> Error {
    of("appending to SQLite", error, Outcome::NotAppended)
}
