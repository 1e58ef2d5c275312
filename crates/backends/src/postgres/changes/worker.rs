use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use steadfast_base::{Backoff, Class, Classify, Rng, Seed};
use steadfast_core::transport::Error;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_postgres::error::SqlState;
use tokio_util::sync::CancellationToken;

use super::assemble::{Assembler, Step};
use super::pgoutput::{Message, decode};
use super::position::LogPosition;
use super::{Settings, prepare};
use crate::change::feed::Feed;
use crate::postgres::Config;
use crate::postgres::connect::connect;
use crate::postgres::error::{configuration, is_in_use, of_replication, rejected, unavailable};
use crate::postgres::replication::{Failure, Replication, Word};

/// How long a raised position may wait before it is sent, so that one message tells of many events.
const CONFIRM_WITHIN: Duration = Duration::from_millis(2);
/// How often the server hears that this side lives, also while the consumer is slow and nothing is read.
const IDLE_EVERY: Duration = Duration::from_secs(5);
const STOP_WITHIN: Duration = Duration::from_secs(2);
/// Settings of the session, by which values have one writing.
const SESSION: &str = "-c datestyle=ISO -c intervalstyle=iso_8601 -c bytea_output=hex -c extra_float_digits=3 \
                       -c timezone=UTC";

/// Reads the slot for one receiver.
pub(super) struct Worker {
    pub(super) config: Config,
    pub(super) settings: Settings,
    pub(super) source: Arc<str>,
    pub(super) slot: String,
    pub(super) keys: HashMap<String, Vec<String>>,
    pub(super) feed: Arc<Feed<LogPosition>>,
    pub(super) progress: Arc<Progress>,
}

/// Up to where the log is handled, and up to where the server has been told.
pub(super) struct Progress {
    pub(super) handled: watch::Sender<u64>,
    pub(super) told: watch::Sender<u64>,
    /// Nothing more will be told.
    pub(super) ended: CancellationToken,
}

impl Progress {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            handled: watch::Sender::new(0),
            told: watch::Sender::new(0),
            ended: CancellationToken::new(),
        })
    }

    /// Raises what is handled.
    pub(super) fn raise(&self, lsn: u64) {
        raise(&self.handled, lsn);
    }
}

fn raise(sender: &watch::Sender<u64>, lsn: u64) {
    sender.send_if_modified(|value| {
        let raised = lsn > *value;
        *value = lsn.max(*value);
        raised
    });
}

impl Worker {
    /// Reads until the receiver is closed.
    pub(super) async fn run(self) {
        let _ended = self.progress.ended.clone().drop_guard();
        self.work().await;
    }

    async fn work(&self) {
        let mut rng = Seed::random().rng();
        let (backoff, mut failures) = (Backoff::default(), 0);
        loop {
            let session = tokio::select! {
                biased;
                () = self.feed.closed().cancelled() => return,
                session = self.connect(&mut rng) => session,
            };
            let ended = match session {
                Ok((client, assembler)) => {
                    self.feed.up();
                    failures = 0;
                    self.read(client, assembler).await
                }
                Err(error) => Err(error),
            };
            let Err(error) = ended else { return };
            if error.classify() == Class::Permanent {
                self.feed.fail(error);
                return;
            }
            failures += 1;
            tracing::warn!(%error, failures, slot = %self.slot, "the replication connection is lost, connecting again");
            self.feed.down(failures, &error.to_string());
            tokio::select! {
                () = self.feed.closed().cancelled() => return,
                () = tokio::time::sleep(backoff.delay(failures, &mut rng)) => {}
            }
        }
    }

    /// Connects, and waits while another receiver uses the slot.
    async fn connect(&self, rng: &mut Rng) -> Result<(Replication, Assembler), Error> {
        let mut waits = 0;
        loop {
            let started = tokio::time::timeout(self.config.connect_timeout.0, self.start());
            match started.await.map_err(|_| unavailable("connecting took too long"))? {
                Err(error) if is_in_use(&error) => {
                    let backoff = Backoff { max: Duration::from_millis(250), ..Backoff::default() };
                    tokio::time::sleep(backoff.delay(waits, rng).max(Duration::from_millis(5))).await;
                    waits += 1;
                }
                Err(error) => return Err(self.explain(&error)),
                Ok(started) => return Ok(started),
            }
        }
    }

    async fn start(&self) -> Result<(Replication, Assembler), Failure> {
        let bytes_max = usize::try_from(self.settings.row_size_max.bytes()).unwrap_or(usize::MAX);
        let mut client = Replication::connect(&self.config, SESSION, bytes_max.min(1 << 30)).await?;
        let origin = format!("{}/{}", client.system_id().await?, self.config.database);
        client.start(&self.slot, &self.settings.publication).await?;
        Ok((client, Assembler::new(Arc::clone(&self.source), origin, self.keys.clone())))
    }

    fn explain(&self, error: &Failure) -> Error {
        match error {
            Failure::Server { message, .. } if message.contains("can no longer get changes") => {
                prepare::lost(&self.slot)
            }
            Failure::Server { code, message } if code == SqlState::UNDEFINED_OBJECT.code() => {
                configuration("slot", format!("`{}` or the publication is gone: {message}", self.slot))
            }
            error => of_replication(error),
        }
    }

    /// Reads until the receiver is closed (`Ok`) or the connection fails.
    async fn read(&self, mut client: Replication, mut assembler: Assembler) -> Result<(), Error> {
        let mut handled = self.progress.handled.subscribe();
        handled.mark_changed();
        let closed = self.feed.closed();
        let mut confirm_at = Instant::now() + IDLE_EVERY;
        loop {
            // Room first: what is not read stays with the server.
            let has_room = self.feed.room() > 0;
            let word = tokio::select! {
                biased;
                () = closed.cancelled() => {
                    let _ = tokio::time::timeout(STOP_WITHIN, self.finish(client)).await;
                    return Ok(());
                }
                Ok(()) = handled.changed() => {
                    handled.mark_unchanged();
                    confirm_at = confirm_at.min(Instant::now() + CONFIRM_WITHIN);
                    continue;
                }
                () = tokio::time::sleep_until(confirm_at) => {
                    self.confirm(&mut client).await?;
                    confirm_at = Instant::now() + IDLE_EVERY;
                    continue;
                }
                _ = self.feed.has_room(), if !has_room => continue,
                word = tokio::time::timeout(self.settings.silence_max.0, client.next()), if has_room => word,
            };
            match word {
                Err(_) => return Err(unavailable(format!("no word for {}", self.settings.silence_max))),
                Ok(Err(error)) => return Err(self.explain(&error)),
                Ok(Ok(None)) => return Err(unavailable("the server has ended the stream")),
                Ok(Ok(Some(Word::Data(data)))) => self.take(assembler.take(message(&data)?)?),
                Ok(Ok(Some(Word::Keepalive { wal_end, asks }))) => {
                    // What the log holds besides our tables need not be kept for us, once all of ours is handled.
                    if self.feed.is_empty() && !assembler.is_within() {
                        self.progress.raise(wal_end);
                    }
                    if asks {
                        confirm_at = Instant::now();
                    }
                }
            }
        }
    }

    /// Tells the server up to where all is handled.
    async fn confirm(&self, client: &mut Replication) -> Result<(), Error> {
        let handled = *self.progress.handled.borrow();
        let told = tokio::time::timeout(self.settings.silence_max.0, client.confirm(handled)).await;
        told.map_err(|_| unavailable("the server takes no word"))?.map_err(|error| self.explain(&error))?;
        raise(&self.progress.told, handled);
        Ok(())
    }

    /// Disconnects once the server has noted what was handled. It would not get to it if the connection were closed
    /// with data on the way: that resets it, and what the server has not read by then is lost.
    async fn finish(&self, mut client: Replication) {
        let handled = *self.progress.handled.borrow();
        if self.confirm(&mut client).await.is_ok()
            && handled > 0
            && let Ok(session) = connect(&self.config).await
        {
            let sql = "SELECT confirmed_flush_lsn >= $2::text::pg_lsn FROM pg_replication_slots WHERE slot_name = $1";
            let lsn = format!("{:X}/{:X}", handled >> 32, handled & 0xffff_ffff);
            while let Ok(Some(row)) = session.query_opt(sql, &[&self.slot, &lsn]).await {
                if row.get::<_, Option<bool>>(0) == Some(true) {
                    break;
                }
                tokio::time::sleep(CONFIRM_WITHIN).await;
            }
        }
        let _ = client.end().await;
    }

    fn take(&self, step: Step) {
        match step {
            Step::Events(events) => {
                for (position, event) in events {
                    self.feed.push(position, event);
                }
            }
            Step::Committed(position) => {
                if let Some(reached) = self.feed.pass(position) {
                    self.progress.raise(reached.end());
                }
            }
        }
    }
}

/// Decodes a message of the output plugin.
fn message(data: &[u8]) -> Result<Message, Error> {
    decode(data).map_err(|problem| {
        let kind = data.first().copied().unwrap_or(0);
        rejected(format!("a message of pgoutput of the kind {kind:#04x} cannot be decoded: {problem}"))
    })
}
