//! PostgreSQL as it would be used for the same: one table, one transaction per batch, a prepared insert of many rows.

use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use anyhow::Context as _;
use bytes::{BufMut, BytesMut};
use steadfast_servers::Postgres;
use tokio::task::JoinSet;
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};
use tokio_postgres::{Client, NoTls, Statement};

use super::{EVENT, Round};
use crate::servers;

const BATCH: usize = 64;

/// The same columns and keys as SQLite has.
const TABLE: &str = "CREATE TABLE event (
    position BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, id UUID NOT NULL UNIQUE, stream TEXT NOT NULL,
    revision BIGINT NOT NULL, source TEXT NOT NULL, type TEXT NOT NULL, time TIMESTAMPTZ NOT NULL,
    data BYTEA NOT NULL, UNIQUE (stream, revision))";

/// All rows by one statement, which is a transaction of its own: one round trip each.
const INSERT: &str = "INSERT INTO event (id, stream, revision, source, type, time, data)
    SELECT * FROM unnest($1::uuid[], $2::text[], $3::bigint[], $4::text[], $5::text[], $6::timestamptz[], $7::bytea[])";

pub(super) struct Peer {
    runtime: tokio::runtime::Runtime,
    writers: Vec<Writer>,
    // Dropped last: it ends when nobody asks it any more.
    _server: Postgres,
}

/// A connection, and what it has inserted.
struct Writer {
    client: Client,
    insert: Statement,
    stream: String,
    /// The identities of its events are counted from here; no two writers' meet.
    ids: u128,
    next: u64,
}

/// An event's identity.
#[derive(Debug)]
struct Id(u128);

impl ToSql for Id {
    fn to_sql(
        &self,
        _: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        out.put_u128(self.0);
        Ok(IsNull::No)
    }

    fn accepts(kind: &Type) -> bool {
        *kind == Type::UUID
    }

    to_sql_checked!();
}

impl Peer {
    /// Starts a server in `folder` and connects `writers` times, by its socket.
    pub(super) fn start(folder: &Path, writers: usize) -> anyhow::Result<Self> {
        let server = servers::postgres(folder)?;
        let workers = writers.min(2);
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(workers).enable_all().build()?;
        let mut config = tokio_postgres::Config::new();
        config.host_path(server.folder().join("data")).port(server.address().port());
        config.user(Postgres::USER).password(Postgres::PASSWORD).dbname("postgres");
        let connected = runtime.block_on(async {
            let mut connected = Vec::new();
            for number in 0..writers {
                let (client, connection) = config.connect(NoTls).await.context("PostgreSQL's socket")?;
                tokio::spawn(connection);
                if number == 0 {
                    client.batch_execute(TABLE).await?;
                }
                let insert = client.prepare(INSERT).await?;
                let (stream, ids) = (format!("appender-{number}"), (number as u128) << 64);
                connected.push(Writer { client, insert, stream, ids, next: 0 });
            }
            anyhow::Ok(connected)
        })?;
        let mut peer = Self { runtime, writers: connected, _server: server };
        peer.warm_up()?;
        Ok(peer)
    }

    /// Fills files of its log and has it keep them to be written to again, which is cheaper than making new ones.
    fn warm_up(&mut self) -> anyhow::Result<()> {
        self.round(Duration::from_secs(2))?;
        let writer = self.writers.first().context("there is a writer")?;
        self.runtime.block_on(writer.client.batch_execute("CHECKPOINT"))?;
        Ok(())
    }

    /// Has every writer insert for `length`.
    pub(super) fn round(&mut self, length: Duration) -> anyhow::Result<Round> {
        let start = Instant::now();
        let end = start + length;
        let writers = std::mem::take(&mut self.writers);
        let done = self.runtime.block_on(async {
            let mut tasks = JoinSet::new();
            for writer in writers {
                tasks.spawn(writer.insert_until(end));
            }
            tasks.join_all().await
        });
        let elapsed = start.elapsed();
        let (mut events, mut latencies) = (0, Vec::new());
        for done in done {
            let (writer, inserted, took) = done?;
            self.writers.push(writer);
            events += inserted;
            latencies.extend(took);
        }
        Ok(Round { events, elapsed, latencies })
    }
}

impl Writer {
    async fn insert_until(mut self, end: Instant) -> anyhow::Result<(Self, u64, Vec<u64>)> {
        let (data, time) = (vec![b'x'; EVENT], SystemTime::now());
        let (mut events, mut latencies) = (0, Vec::new());
        let mut now = Instant::now();
        while now < end {
            let numbers: Vec<i64> = (self.next..).take(BATCH).map(|number| number as i64).collect();
            let id: Vec<Id> =
                (u128::from(self.next)..).take(BATCH).map(|number| Id(self.ids + number)).collect();
            let begun = Instant::now();
            let rows: [&(dyn ToSql + Sync); 7] = [
                &id,
                &vec![self.stream.as_str(); BATCH],
                &numbers,
                &vec!["/bench"; BATCH],
                &vec!["bench.appended"; BATCH],
                &vec![time; BATCH],
                &vec![data.as_slice(); BATCH],
            ];
            self.client.execute(&self.insert, &rows).await?;
            now = Instant::now();
            latencies.push((now - begun).as_nanos() as u64);
            self.next += BATCH as u64;
            events += BATCH as u64;
        }
        Ok((self, events, latencies))
    }
}
