use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use pgwire_replication::{
    FeedbackObserver, Lsn, PgWireError, ReplicationClient, ReplicationConfig, ReplicationEvent,
    ReplicationMetrics, TlsConfig,
};
use steadfast_base::{Backoff, Class, Classify, Rng, Seed};
use steadfast_core::transport::Error;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::assemble::{Assembler, Step};
use super::pgoutput::{Message, decode};
use super::position::LogPosition;
use super::{Settings, prepare};
use crate::change::feed::Feed;
use crate::postgres::Config;
use crate::postgres::connect::connect;
use crate::postgres::error::{configuration, is_in_use, of_replication, rejected, unavailable};

/// How long a raised position may wait before it is sent; while the consumer is slow it is also how often the server
/// hears that this side lives.
const CONFIRM_WITHIN: Duration = Duration::from_millis(2);
/// How often the server hears so when nothing happens.
const IDLE_EVERY: Duration = Duration::from_secs(5);
const BUFFERED_MESSAGES: usize = 64;
const STOP_WITHIN: Duration = Duration::from_secs(2);

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
    async fn connect(&self, rng: &mut Rng) -> Result<(ReplicationClient, Assembler), Error> {
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

    async fn start(&self) -> Result<(ReplicationClient, Assembler), PgWireError> {
        let metrics: Arc<std::sync::OnceLock<Arc<ReplicationMetrics>>> = Arc::default();
        let (progress, shared) = (Arc::clone(&self.progress), Arc::clone(&metrics));
        let told = FeedbackObserver::new(move |_| {
            if let Some(metrics) = shared.get() {
                raise(&progress.told, metrics.last_applied_lsn().as_u64());
            }
        });
        let mut client =
            ReplicationClient::connect_gated(self.replication().with_feedback_observer(told)).await?;
        let _ = metrics.set(client.metrics());
        let system = client.identify_system().await?;
        client.start().await?;
        client.wait_started().await?;
        let origin = format!("{}/{}", system.system_id, self.config.database);
        Ok((client, Assembler::new(Arc::clone(&self.source), origin, self.keys.clone())))
    }

    fn replication(&self) -> ReplicationConfig {
        let (config, settings) = (&self.config, &self.settings);
        let tls = match &config.tls {
            None => TlsConfig::disabled(),
            Some(tls) => {
                // The client asks for the process's provider of cryptography; whoever set one keeps it.
                let _ = rustls::crypto::ring::default_provider().install_default();
                let verified = TlsConfig::verify_full(Some(tls.ca.clone()));
                match (&tls.certificate, &tls.key) {
                    (Some(certificate), Some(key)) => {
                        verified.with_client_cert(certificate.clone(), key.clone())
                    }
                    _ => verified,
                }
            }
        };
        let options = "-c datestyle=ISO -c intervalstyle=iso_8601 -c bytea_output=hex -c extra_float_digits=3 \
                       -c timezone=UTC";
        ReplicationConfig::new(
            &config.host,
            &config.user,
            config.password.reveal(),
            &config.database,
            &self.slot,
            settings.publication.as_str(),
        )
        .with_port(config.port)
        .with_tls(tls)
        .with_application_name(&config.application_name)
        .with_options(options)
        .with_buffer_size(BUFFERED_MESSAGES)
        .with_status_interval(CONFIRM_WITHIN)
        .with_wakeup_interval(IDLE_EVERY)
        .with_max_message_size(
            usize::try_from(settings.row_size_max.bytes()).unwrap_or(usize::MAX).min(1 << 30),
        )
    }

    fn explain(&self, error: &PgWireError) -> Error {
        match error {
            PgWireError::Server(text) if text.contains("can no longer get changes") => {
                prepare::lost(&self.slot)
            }
            PgWireError::Server(text) if text.contains("SQLSTATE 42704") => {
                configuration("slot", format!("`{}` or the publication is gone: {text}", self.slot))
            }
            error => of_replication(error),
        }
    }

    /// Reads until the receiver is closed (`Ok`) or the connection fails.
    async fn read(&self, mut client: ReplicationClient, mut assembler: Assembler) -> Result<(), Error> {
        let mut handled = self.progress.handled.subscribe();
        handled.mark_changed();
        let closed = self.feed.closed();
        loop {
            // Room first: what is not read stays with the server.
            let has_room = self.feed.room() > 0;
            let event = tokio::select! {
                biased;
                () = closed.cancelled() => {
                    let _ = tokio::time::timeout(STOP_WITHIN, self.finish(client)).await;
                    return Ok(());
                }
                Ok(()) = handled.changed() => {
                    client.update_applied_lsn(Lsn::from_u64(*handled.borrow_and_update()));
                    continue;
                }
                _ = self.feed.has_room(), if !has_room => continue,
                event = tokio::time::timeout(self.settings.silence_max.0, client.recv()), if has_room => event,
            };
            let event = match event {
                Err(_) => return Err(unavailable(format!("no word for {}", self.settings.silence_max))),
                Ok(Err(error)) => return Err(self.explain(&error)),
                Ok(Ok(None)) => return Err(unavailable("the server has ended the stream")),
                Ok(Ok(Some(event))) => event,
            };
            if let Some(message) = self.message(event, &assembler)? {
                self.take(assembler.take(message)?);
            }
        }
    }

    /// Disconnects once the server has noted what was handled. It would not get to it if the connection were closed
    /// with data on the way: that resets it, and what the server has not read by then is lost.
    async fn finish(&self, mut client: ReplicationClient) {
        let handled = *self.progress.handled.borrow();
        client.update_applied_lsn(Lsn::from_u64(handled));
        if handled > 0
            && let Ok(session) = connect(&self.config).await
        {
            let sql = "SELECT confirmed_flush_lsn >= $2::text::pg_lsn FROM pg_replication_slots WHERE slot_name = $1";
            let lsn = Lsn::from_u64(handled).to_pg_string();
            while let Ok(Some(row)) = session.query_opt(sql, &[&self.slot, &lsn]).await {
                if row.get::<_, Option<bool>>(0) == Some(true) {
                    break;
                }
                tokio::time::sleep(CONFIRM_WITHIN).await;
            }
        }
        let _ = client.shutdown().await;
    }

    /// Reads the message of an event; a keepalive has none, but tells how far the server has read.
    fn message(&self, event: ReplicationEvent, assembler: &Assembler) -> Result<Option<Message>, Error> {
        Ok(Some(match event {
            ReplicationEvent::Begin { final_lsn, xid, commit_time_micros } => {
                Message::Begin { lsn: final_lsn.as_u64(), micros: commit_time_micros, xid }
            }
            ReplicationEvent::Commit { lsn, end_lsn, commit_time_micros } => {
                Message::Commit { lsn: lsn.as_u64(), end_lsn: end_lsn.as_u64(), micros: commit_time_micros }
            }
            ReplicationEvent::XLogData { data, .. } => decode(&data).map_err(|problem| {
                let kind = data.first().copied().unwrap_or(0);
                rejected(format!(
                    "a message of pgoutput of the kind {kind:#04x} cannot be decoded: {problem}"
                ))
            })?,
            ReplicationEvent::KeepAlive { wal_end, .. } => {
                // What the log holds besides our tables need not be kept for us, once all of ours is handled.
                if self.feed.is_empty() && !assembler.is_within() {
                    self.progress.raise(wal_end.as_u64());
                }
                return Ok(None);
            }
            _ => return Ok(None),
        }))
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
