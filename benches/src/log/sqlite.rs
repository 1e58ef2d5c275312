//! SQLite as an event store: a write-ahead log with full syncing, transactions of 64 events, prepared statements,
//! and the two indexes without which it could neither recognise an event that is appended again nor read a stream.

use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::{Connection, params};

use super::{EVENT, Round};

const BATCH: u64 = 64;

pub(super) struct Sqlite {
    connection: Connection,
    next: i64,
}

impl Sqlite {
    pub(super) fn open(path: &Path) -> anyhow::Result<Self> {
        let connection = Connection::open(path)?;
        // One process has the log as well; SQLite then keeps the index of its log in memory of its own.
        connection.execute_batch(
            "PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
             CREATE TABLE event (
                 position INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, stream TEXT NOT NULL,
                 revision INTEGER NOT NULL, source TEXT NOT NULL, type TEXT NOT NULL, time INTEGER NOT NULL,
                 data BLOB NOT NULL, UNIQUE (stream, revision));",
        )?;
        Ok(Self { connection, next: 0 })
    }

    pub(super) fn round(&mut self, length: Duration) -> anyhow::Result<Round> {
        let data = vec![b'x'; EVENT];
        let start = Instant::now();
        let mut events = 0;
        let mut insert = self
            .connection
            .prepare("INSERT INTO event (id, stream, revision, source, type, time, data) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?;
        while start.elapsed() < length {
            self.connection.execute_batch("BEGIN IMMEDIATE")?;
            for _ in 0..BATCH {
                let id = i128::from(self.next).to_be_bytes();
                insert.execute(params![
                    id.as_slice(),
                    "appender-0",
                    self.next,
                    "/bench",
                    "bench.appended",
                    1_800_000_000,
                    data
                ])?;
                self.next += 1;
            }
            self.connection.execute_batch("COMMIT")?;
            events += BATCH;
        }
        Ok(Round { events, elapsed: start.elapsed(), latencies: Vec::new() })
    }
}
