//! The thread that writes: whatever waits at the same time shares one transaction.

use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, TransactionBehavior};
use steadfast_core::store::{Appended, Deleted, Durability, Error, Outcome};
use tokio::sync::watch;

use super::append::{Failure, Known, rolled_back};
use super::error::of;
use super::query;
use super::queue::{Answer, Job, Queue};

/// How many batches share a transaction at most.
const GROUP_MAX: usize = 1_024;

/// How long appends may wait while the write-ahead log is emptied.
const WIPE_WITHIN: Duration = Duration::from_millis(100);

/// What readers see.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Head {
    pub(super) position: u64,
    pub(super) closed: bool,
}

pub(super) struct Writer {
    pub(super) connection: Connection,
    pub(super) queue: Arc<Queue>,
    pub(super) head: watch::Sender<Head>,
    pub(super) poll: Duration,
    pub(super) busy_timeout: Duration,
    /// The write-ahead log holds what was deleted.
    pub(super) holds_deleted: bool,
}

/// An answer that is given once the transaction is committed.
enum Done {
    Appended(Answer<Appended>, Appended),
    Deleted(Answer<Deleted>, u64),
    // What a refusal tells of may be in the same transaction, so that nobody can read it before.
    NotAppended(Answer<Appended>, Error),
    NotDeleted(Answer<Deleted>, Error),
}

impl Done {
    fn tell(self, achieved: Durability) {
        match self {
            Self::Appended(answer, appended) => drop(answer.send(Ok(Appended { achieved, ..appended }))),
            Self::Deleted(answer, events) => drop(answer.send(Ok(Deleted { events, achieved }))),
            Self::NotAppended(answer, refusal) => drop(answer.send(Err(refusal))),
            Self::NotDeleted(answer, refusal) => drop(answer.send(Err(refusal))),
        }
    }

    fn refuse(self, error: Error) {
        match self {
            Self::Appended(answer, _) | Self::NotAppended(answer, _) => drop(answer.send(Err(error))),
            Self::Deleted(answer, _) | Self::NotDeleted(answer, _) => drop(answer.send(Err(error))),
        }
    }
}

/// How a transaction has failed.
enum Fatal {
    /// It was rolled back.
    RolledBack(rusqlite::Error),
    /// It may or may not have been committed.
    Unknown(rusqlite::Error),
}

impl Writer {
    pub(super) fn run(mut self) {
        let _end = End(self.head.clone());
        // What readers were told of last, and what `known` holds for.
        let (mut shown, mut known, mut version) = (None, None, None);
        loop {
            let found = self.queue.take(GROUP_MAX, self.poll);
            if found.jobs.is_empty() {
                if found.closing {
                    break;
                }
                self.look_at_others(&mut shown);
                self.wipe(Duration::ZERO);
                continue;
            }
            if let Err(error) = self.write(found.jobs, &mut known, &mut version) {
                tracing::error!(%error, "SQLite cannot be trusted any more; open the store again");
                self.queue.fail(error);
                break;
            }
        }
        // What is in the write-ahead log is safe there; moving it saves the next start the work.
        let _ = self.connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)");
    }

    /// Empties the write-ahead log of what was deleted, if nobody reads or stops within a time; else it is tried again.
    fn wipe(&mut self, within: Duration) {
        if !self.holds_deleted {
            return;
        }
        let work = || -> rusqlite::Result<bool> {
            self.connection.busy_timeout(within)?;
            let busy = self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0));
            self.connection.busy_timeout(self.busy_timeout)?;
            busy
        };
        self.holds_deleted = work().unwrap_or(true);
    }

    /// Tells readers what other processes have appended.
    fn look_at_others(&self, version: &mut Option<i64>) {
        let now = data_version(&self.connection).ok();
        if now.is_some() && now == *version {
            return;
        }
        if let Ok(position) = query::head(&self.connection) {
            *version = now;
            self.show(position);
        }
    }

    fn show(&self, position: u64) {
        self.head.send_if_modified(|head| {
            let is_new = position > head.position;
            head.position = head.position.max(position);
            is_new
        });
    }

    /// Does the jobs in one transaction and answers them. It fails only when nothing more may be written.
    fn write(
        &mut self,
        jobs: Vec<Job>,
        known: &mut Option<Known>,
        version: &mut Option<i64>,
    ) -> Result<(), Error> {
        let durability = jobs.iter().map(Job::durability).max().unwrap_or(Durability::Written);
        let durability = durability.max(Durability::Written);
        let mut done = Vec::with_capacity(jobs.len());
        let mut jobs = jobs.into_iter();
        let result = transact(&mut self.connection, durability, known, version, &mut jobs, &mut done);
        match result {
            Ok(position) => {
                self.show(position);
                if done.iter().any(|done| matches!(done, Done::Deleted(_, events) if *events > 0)) {
                    self.holds_deleted = true;
                    self.wipe(WIPE_WITHIN);
                }
                done.into_iter().for_each(|done| done.tell(durability));
                Ok(())
            }
            Err(Fatal::RolledBack(error)) => {
                *known = None;
                let error = rolled_back(error);
                done.into_iter().for_each(|done| done.refuse(error.clone()));
                jobs.for_each(|job| job.refuse(error.clone()));
                // Full and busy pass; of anything else nobody knows what it has done to the connection.
                let passes = matches!(error, Error::Full | Error::Overloaded);
                if passes { Ok(()) } else { Err(error) }
            }
            Err(Fatal::Unknown(error)) => {
                let error = of("committing to SQLite", error, Outcome::Unknown);
                done.into_iter().for_each(|done| done.refuse(error.clone()));
                Err(error)
            }
        }
    }
}

/// Does what the jobs ask for in one transaction; returns the position of the newest event.
fn transact(
    connection: &mut Connection,
    durability: Durability,
    known: &mut Option<Known>,
    version: &mut Option<i64>,
    jobs: &mut std::vec::IntoIter<Job>,
    done: &mut Vec<Done>,
) -> Result<u64, Fatal> {
    let level = if durability >= Durability::Durable { "FULL" } else { "NORMAL" };
    let begin = |connection: &mut Connection| -> rusqlite::Result<()> {
        connection.execute_batch(&format!("PRAGMA synchronous={level}"))
    };
    begin(connection).map_err(Fatal::RolledBack)?;
    let transaction =
        connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(Fatal::RolledBack)?;
    let mut work = || -> rusqlite::Result<u64> {
        let now = data_version(&transaction)?;
        let known = match known {
            Some(known) if *version == Some(now) => known,
            // Somebody else has written since.
            _ => known.insert(Known::read(&transaction)?),
        };
        *version = Some(now);
        let before = known.next_position;
        for job in jobs.by_ref() {
            match job {
                Job::Append { batch, condition, answer, .. } => {
                    match known.append(&transaction, &batch, &condition) {
                        Ok(appended) => done.push(Done::Appended(answer, appended)),
                        Err(Failure::Refused(error)) => done.push(Done::NotAppended(answer, error)),
                        Err(Failure::Broken(error)) => {
                            let _ = answer.send(Err(rolled_back(copy(&error))));
                            return Err(error);
                        }
                    }
                }
                Job::Delete { stream, expected, answer, .. } => {
                    match known.delete(&transaction, &stream, expected) {
                        Ok(events) => done.push(Done::Deleted(answer, events)),
                        Err(Failure::Refused(error)) => done.push(Done::NotDeleted(answer, error)),
                        Err(Failure::Broken(error)) => {
                            let _ = answer.send(Err(rolled_back(copy(&error))));
                            return Err(error);
                        }
                    }
                }
            }
        }
        // Written even if nothing has changed: a repeated batch is made as safe as it is asked to be now.
        known.save(&transaction, before)?;
        Ok(known.next_position - 1)
    };
    let position = work().map_err(Fatal::RolledBack)?;
    transaction.commit().map_err(|error| match error.sqlite_error_code() {
        Some(rusqlite::ErrorCode::DiskFull | rusqlite::ErrorCode::DatabaseBusy) => Fatal::RolledBack(error),
        _ => Fatal::Unknown(error),
    })?;
    Ok(position)
}

/// A number that changes when another connection has written.
fn data_version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.prepare_cached("PRAGMA data_version")?.query_row([], |row| row.get(0))
}

/// The same error once more: SQLite's cannot be cloned.
fn copy(error: &rusqlite::Error) -> rusqlite::Error {
    match error {
        rusqlite::Error::SqliteFailure(code, text) => rusqlite::Error::SqliteFailure(*code, text.clone()),
        other => rusqlite::Error::ToSqlConversionFailure(other.to_string().into()),
    }
}

/// Tells readers that nothing more comes, also after a panic.
struct End(watch::Sender<Head>);

impl Drop for End {
    fn drop(&mut self) {
        self.0.send_modify(|head| head.closed = true);
    }
}
