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
use super::position::{LogPosition, Reached};
use super::prepare::Tables;
use super::status::status;
use super::{Settings, prepare};
use crate::change::feed::Feed;
use crate::postgres::Config;
use crate::postgres::connect::connect;
use crate::postgres::error::{configuration, is_in_use, of_replication, rejected, unavailable};
use crate::postgres::replication::{Failure, Replication, Word};

/// How long a raised position may wait before it is sent, so that one message tells of many events.
const CONFIRM_WITHIN: Duration = Duration::from_millis(2);
/// How often the server hears that this side lives, also while the consumer is slow and nothing is read, and is asked
/// whether it does: it says nothing by itself to one from whom it hears.
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
    pub(super) tables: Tables,
    pub(super) feed: Arc<Feed<LogPosition>>,
    pub(super) progress: Arc<Progress>,
    pub(super) server: Server,
}

/// The server that was last connected.
#[derive(Debug, Default)]
pub(super) struct Server {
    /// Its cluster, and which of the cluster's histories it writes.
    identity: Option<(String, String)>,
    /// How many there were before it.
    epoch: u32,
}

/// Up to where the log is handled, and up to where the server has been told.
pub(super) struct Progress {
    pub(super) handled: watch::Sender<Reached>,
    pub(super) told: watch::Sender<Reached>,
    /// Nothing more will be told.
    pub(super) ended: CancellationToken,
}

impl Progress {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            handled: watch::Sender::default(),
            told: watch::Sender::default(),
            ended: CancellationToken::new(),
        })
    }

    /// Raises what is handled.
    pub(super) fn raise(&self, reached: Reached) {
        raise(&self.handled, reached);
    }
}

fn raise(sender: &watch::Sender<Reached>, reached: Reached) {
    sender.send_if_modified(|value| {
        let raised = reached > *value;
        *value = reached.max(*value);
        raised
    });
}

impl Worker {
    /// Reads until the receiver is closed.
    pub(super) async fn run(mut self) {
        let _ended = self.progress.ended.clone().drop_guard();
        let _guard = self.feed.guard();
        self.work().await;
    }

    async fn work(&mut self) {
        let mut rng = Seed::random().rng();
        let (backoff, mut failures) = (Backoff::default(), 0);
        let closed = self.feed.closed().clone();
        loop {
            let session = tokio::select! {
                biased;
                () = closed.cancelled() => return,
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
                () = closed.cancelled() => return,
                () = tokio::time::sleep(backoff.delay(failures, &mut rng)) => {}
            }
        }
    }

    /// Connects, and waits while another receiver uses the slot.
    async fn connect(&mut self, rng: &mut Rng) -> Result<(Replication, Assembler), Error> {
        let mut waits = 0;
        loop {
            let started = tokio::time::timeout(self.config.connect_timeout.0, self.start());
            match started.await.map_err(|_| unavailable("connecting took too long"))? {
                Err(error) if is_in_use(&error) => {
                    let backoff = Backoff { max: Duration::from_millis(250), ..Backoff::default() };
                    tokio::time::sleep(backoff.delay(waits, rng).max(Duration::from_millis(5))).await;
                    waits += 1;
                }
                Err(error) => return Err(self.explain_start(&error).await),
                Ok(started) => return Ok(started),
            }
        }
    }

    async fn start(&mut self) -> Result<(Replication, Assembler), Failure> {
        let bytes_max = usize::try_from(self.settings.row_size_max.bytes()).unwrap_or(usize::MAX);
        let mut client = Replication::connect(&self.config, SESSION, bytes_max.min(1 << 30)).await?;
        let identity = client.identify().await?;
        let origin = format!("{}/{}", identity.0, self.config.database);
        client.start(&self.slot, &self.settings.publication).await?;
        if let Some(other) = self.server.identity.take_if(|other| *other != identity) {
            tracing::warn!(?other, ?identity, slot = %self.slot, "another server has taken the place of the one before");
            self.server.epoch += 1;
        }
        self.server.identity = Some(identity);
        let epoch = self.server.epoch;
        Ok((client, Assembler::new(Arc::clone(&self.source), origin, epoch, self.tables.clone())))
    }

    /// Says why streaming did not begin; asks where the server does not say it in words that stay.
    async fn explain_start(&self, error: &Failure) -> Error {
        let not_as_it_must_be = SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE;
        if matches!(error, Failure::Server { code, .. } if code == not_as_it_must_be.code())
            && let Ok(session) = connect(&self.config).await
            && let Ok(Some(status)) = status(&session, &self.slot).await
            && status.wal_status == "lost"
        {
            return prepare::lost(&self.slot);
        }
        self.explain(error)
    }

    fn explain(&self, error: &Failure) -> Error {
        match error {
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
        let silence_max = self.settings.silence_max.0;
        let idle_every = IDLE_EVERY.min(silence_max / 3);
        let (mut ask_at, mut confirm_at) = (Instant::now(), None);
        let (mut heard, mut had_room) = (Instant::now(), true);
        loop {
            // Room first: what is not read stays with the server.
            let has_room = self.feed.room() > 0;
            if !had_room {
                // While nothing was read nothing could be heard.
                heard = Instant::now();
            }
            had_room = has_room;
            let word = tokio::select! {
                biased;
                () = closed.cancelled() => {
                    let _ = tokio::time::timeout(STOP_WITHIN, self.finish(client)).await;
                    return Ok(());
                }
                Ok(()) = handled.changed() => {
                    handled.mark_unchanged();
                    confirm_at = confirm_at.or(Some(Instant::now() + CONFIRM_WITHIN));
                    continue;
                }
                () = tokio::time::sleep_until(confirm_at.map_or(ask_at, |at| ask_at.min(at))) => {
                    let asks = Instant::now() >= ask_at;
                    self.confirm(&mut client, asks).await?;
                    confirm_at = None;
                    if asks {
                        ask_at = Instant::now() + idle_every;
                    }
                    continue;
                }
                _ = self.feed.has_room(), if !has_room => continue,
                word = client.next(), if has_room => word,
                () = tokio::time::sleep_until(heard + silence_max), if has_room => {
                    return Err(unavailable(format!("no word for {}", self.settings.silence_max)));
                }
            };
            heard = Instant::now();
            match word {
                Err(error) => return Err(self.explain(&error)),
                Ok(None) => return Err(unavailable("the server has ended the stream")),
                Ok(Some(Word::Data(data))) => self.take(assembler.take(message(&data)?)?),
                Ok(Some(Word::Keepalive { wal_end, asks })) => {
                    // What the log holds besides our tables need not be kept for us, once all of ours is handled.
                    if self.feed.is_empty() && !assembler.is_within() {
                        self.progress.raise(Reached { epoch: self.server.epoch, lsn: wal_end });
                    }
                    if asks {
                        confirm_at = Some(Instant::now());
                    }
                }
            }
        }
    }

    /// Tells the server up to where all is handled, and asks it whether it lives.
    async fn confirm(&self, client: &mut Replication, asks: bool) -> Result<(), Error> {
        let handled = self.progress.handled.borrow().of(self.server.epoch);
        let telling = client.confirm(handled.lsn, asks);
        let told = tokio::time::timeout(self.settings.silence_max.0, telling).await;
        told.map_err(|_| unavailable("the server takes no word"))?.map_err(|error| self.explain(&error))?;
        raise(&self.progress.told, handled);
        Ok(())
    }

    /// Disconnects once the server has noted what was handled. It would not get to it if the connection were closed
    /// with data on the way: that resets it, and what the server has not read by then is lost.
    async fn finish(&self, mut client: Replication) {
        let handled = self.progress.handled.borrow().of(self.server.epoch).lsn;
        if self.confirm(&mut client, false).await.is_ok()
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
