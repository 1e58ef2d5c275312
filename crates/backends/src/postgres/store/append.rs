use std::sync::Arc;

use steadfast_core::store::{
    Appended, Batch, Condition, Durability, Error, Expected, Outcome, Position, Revision,
};
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;

use super::error::of;
use super::query::texts;
use super::row;
use crate::epoch;

const SQL: &str = "SELECT outcome, stream, at_position, at_ordinal, at_revision FROM steadfast_append($1, $2, \
    $3::text[]::uuid[], $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21)";

/// How every transaction is committed, whatever was asked for. The functions do not heed it; those that an earlier
/// version has put in their place do.
///
/// IMPORTANT: with `off`, what is committed can be read before the server has written it. When it dies, an event that
/// somebody has seen is gone, and the number of its transaction is given again: another event stands at its position,
/// and whoever has passed that never sees it.
pub(super) const SYNCHRONOUS_COMMIT: &str = "on";

pub(super) fn expected(expected: Expected) -> i64 {
    match expected {
        Expected::NoStream => -1,
        Expected::Exists => -2,
        Expected::Revision(revision) => i64::try_from(revision.0).unwrap_or(i64::MAX),
    }
}

/// Why an append failed.
pub(super) enum Failure {
    /// The store has said no.
    Refused(Error),
    /// The statement failed.
    Sql(tokio_postgres::Error),
}

impl Failure {
    pub(super) fn into_error(self) -> Error {
        match self {
            Self::Refused(error) => error,
            Self::Sql(error) => of("appending to PostgreSQL", &error, Outcome::Unknown),
        }
    }

    /// Says whether another append brought an event of the same identity at this moment: asked again, it is found.
    pub(super) fn is_race(&self) -> bool {
        matches!(self, Self::Sql(error) if error.code() == Some(&SqlState::UNIQUE_VIOLATION))
    }
}

/// The columns of a batch.
#[derive(Default)]
struct Columns<'b> {
    streams: Vec<&'b str>,
    ids: Vec<String>,
    kinds: Vec<&'b str>,
    subjects: Vec<Option<&'b str>>,
    sources: Vec<&'b str>,
    seconds: Vec<i64>,
    nanos: Vec<i32>,
    content_types: Vec<Option<&'b str>>,
    data_schemas: Vec<Option<&'b str>>,
    traces: Vec<Option<String>>,
    extensions: Vec<Option<String>>,
    data: Vec<&'b [u8]>,
}

impl<'b> Columns<'b> {
    fn of(batch: &'b Batch) -> Self {
        let mut columns = Self::default();
        for new in &batch.events {
            let event = &new.event;
            let (seconds, nanos) = epoch::split(event.time());
            columns.streams.push(&new.stream);
            columns.ids.push(event.id().to_string());
            columns.kinds.push(event.kind());
            columns.subjects.push(event.subject());
            columns.sources.push(event.source());
            columns.seconds.push(seconds);
            columns.nanos.push(nanos.cast_signed());
            columns.content_types.push(event.content_type());
            columns.data_schemas.push(event.data_schema());
            columns.traces.push(event.trace().map(|trace| trace.to_string()));
            let extensions = (!event.extensions().is_empty())
                .then(|| serde_json::to_string(event.extensions()).expect("texts can be written as JSON"));
            columns.extensions.push(extensions);
            columns.data.push(event.data());
        }
        columns
    }
}

/// Appends a batch, which has been checked, or finds where it stands; what is committed `achieves` so much.
pub(super) async fn append(
    client: &Client,
    batch: &Batch,
    condition: &Condition,
    achieves: Durability,
) -> Result<Appended, Failure> {
    let columns = Columns::of(batch);
    let (mut condition_streams, mut wanted): (Vec<&str>, Vec<i64>) = (Vec::new(), Vec::new());
    let (mut none_matching, mut lists, mut after) =
        (false, [Vec::new(), Vec::new(), Vec::new()], Position::START);
    match condition {
        Condition::Any => {}
        Condition::Streams(conditions) => {
            for condition in conditions {
                condition_streams.push(&condition.stream);
                wanted.push(expected(condition.expected));
            }
        }
        Condition::NoneMatching { filter, after: seen } => {
            none_matching = true;
            lists = [texts(&filter.streams), texts(&filter.kinds), texts(&filter.subjects)];
            after = *seen;
        }
        _ => return Err(Failure::Refused(Error::Unsupported { what: "this kind of condition".to_owned() })),
    }
    let (major, minor) = after.parts();
    let after = (i64::try_from(major).unwrap_or(i64::MAX), i32::try_from(minor).unwrap_or(i32::MAX));
    let values: [&(dyn ToSql + Sync); 21] = [
        &SYNCHRONOUS_COMMIT,
        &columns.streams,
        &columns.ids,
        &columns.kinds,
        &columns.subjects,
        &columns.sources,
        &columns.seconds,
        &columns.nanos,
        &columns.content_types,
        &columns.data_schemas,
        &columns.traces,
        &columns.extensions,
        &columns.data,
        &condition_streams,
        &wanted,
        &none_matching,
        &lists[0],
        &lists[1],
        &lists[2],
        &after.0,
        &after.1,
    ];
    let row = client.query_one(SQL, &values).await.map_err(Failure::Sql)?;
    match row.get::<_, &str>(0) {
        "conflict" => {
            let stream: Arc<str> = row.get::<_, &str>(1).into();
            let actual = row.get::<_, Option<i64>>(4).map(|revision| Revision(revision as u64));
            Err(Failure::Refused(Error::Conflict { stream, actual }))
        }
        "other" => {
            let reason = "the batch repeats an event of another batch".to_owned();
            Err(Failure::Refused(Error::Invalid { reason }))
        }
        outcome => Ok(Appended {
            position: row::position(row.get(2), row.get(3)),
            revision: Revision(row.get::<_, i64>(4) as u64),
            achieved: achieves,
            duplicate: outcome == "duplicate",
        }),
    }
}
