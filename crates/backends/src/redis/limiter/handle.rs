//! The limiter that callers hold.

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ::redis::aio::MultiplexedConnection;
use futures::FutureExt;
use parking_lot::Mutex;
use steadfast_core::transport;
use steadfast_guard::rate_limit::{Decision, Error, Key, KeyedRateLimiter, Quota, SharedLimiter};
use steadfast_guard::{Observed, Probe};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, timeout};
use tokio_util::task::AbortOnDropHandle;

use super::answer::{Answer, Terms};
use super::keeper;
use super::leases::{Foregone, Lease, Leases};
use super::mode::Machine;
use super::record::Record;
use super::{Mode, Settings, Snapshot};
use crate::redis::connector::Connector;
use crate::redis::{Config, error};

/// A limiter whose quotas are kept in Redis, with a local share for when that does not answer. Clones share it.
///
/// Its one task, which holds the connection, ends when the last clone is dropped.
#[derive(Clone)]
pub struct RedisLimiter {
    owner: Arc<Owner>,
}

struct Owner {
    shared: Arc<Shared>,
    _keeper: AbortOnDropHandle<()>,
}

/// What the task holds too.
pub(super) struct Shared {
    pub(super) settings: Settings,
    pub(super) connector: Connector,
    /// Tells that the connection is lost.
    pub(super) broken: Notify,
    connection: watch::Sender<Option<MultiplexedConnection>>,
    terms: Mutex<Terms>,
    local: KeyedRateLimiter,
    leases: Leases,
    record: Arc<Record>,
}

impl RedisLimiter {
    /// Creates a limiter on the server of `config`, and waits for a connection for [`Config::connect_within`] at most:
    /// without one it begins with the local share.
    ///
    /// # Errors
    /// [`transport::Error::Configuration`] when address, certificates or settings cannot be used.
    ///
    /// # Cancel safety
    /// Nothing stays when the future is dropped.
    pub async fn open(config: &Config, settings: Settings) -> Result<Self, transport::Error> {
        settings.check()?;
        let connector = Connector::greeting(config, Duration::ZERO, Box::new(|_| async { Ok(()) }.boxed()))?;
        let shared = Arc::new(Shared {
            connector,
            broken: Notify::new(),
            connection: watch::Sender::new(None),
            terms: Mutex::new(Terms::new(settings.quota)),
            local: KeyedRateLimiter::new(settings.local_share, settings.keys_max),
            leases: Leases::new(settings.keys_max),
            record: Arc::new(Record::new(&settings.prefix)),
            settings,
        });
        let keeper = AbortOnDropHandle::new(tokio::spawn(keeper::keep(Arc::clone(&shared))));
        let limiter = Self { owner: Arc::new(Owner { shared, _keeper: keeper }) };
        let mut connection = limiter.owner.shared.connection.subscribe();
        let connected = connection.wait_for(Option::is_some);
        let is_late = timeout(config.connect_within.0, connected).await.is_err();
        if is_late {
            let prefix = limiter.prefix();
            tracing::warn!(prefix, "a rate limiter cannot reach Redis; the local share decides");
        }
        Ok(limiter)
    }

    fn prefix(&self) -> &str {
        &self.owner.shared.settings.prefix
    }

    /// Returns the quota of each key, of all processes together.
    pub fn quota(&self) -> Quota {
        self.owner.shared.terms.lock().quota()
    }

    /// Changes the quota of each key, for this process: all that share it are to be told. What was used stays used, in
    /// permits. What was taken in advance is lost.
    pub fn set_quota(&self, quota: Quota) {
        *self.owner.shared.terms.lock() = Terms::new(quota);
        self.owner.shared.leases.clear();
    }

    /// Changes the quota that this process has of each key while Redis does not answer.
    pub fn set_local_share(&self, share: Quota) {
        self.owner.shared.local.set_quota(share);
    }

    /// Returns who decides, how often who did, and what that took.
    pub fn snapshot(&self) -> Snapshot {
        self.owner.shared.record.snapshot()
    }

    /// Returns what shows the limiter to metrics. It keeps neither its task nor its connection.
    pub fn probe(&self) -> Probe<Snapshot> {
        Probe::new(Arc::clone(&self.owner.shared.record) as _)
    }
}

impl SharedLimiter for RedisLimiter {
    /// Without Redis the local share decides.
    type Error = Infallible;

    /// Takes at most [`Settings::answer_within`].
    async fn acquire(&self, key: &str, permits: u32) -> Result<Result<Decision, Error>, Infallible> {
        let decided = self.owner.shared.acquire(key, permits).await;
        let record = &self.owner.shared.record;
        let count = if decided.is_ok() { &record.allowed } else { &record.refused };
        count.add(1_u8);
        Ok(decided)
    }
}

impl Shared {
    async fn acquire(&self, key: &str, permits: u32) -> Result<Decision, Error> {
        let terms = *self.terms.lock();
        if permits > terms.quota().burst() {
            return Err(Error::ExceedsBurst { permits, burst: terms.quota().burst() });
        }
        if self.mode() == Mode::Local {
            return self.decide_alone(key, permits);
        }
        let shared = self.decide_together(terms, key, permits);
        match timeout(self.settings.answer_within, shared).await {
            Ok(Some(decided)) => {
                if decided.is_ok() {
                    // IMPORTANT: what is granted here counts there too, or falling back would give a new burst.
                    let _ = self.local.try_acquire(Key::of(key), permits);
                }
                decided
            }
            Ok(None) => self.decide_alone(key, permits),
            Err(_) => {
                self.record.timeouts.add(1_u8);
                self.failed("it does not answer in time");
                self.decide_alone(key, permits)
            }
        }
    }

    fn decide_alone(&self, key: &str, permits: u32) -> Result<Decision, Error> {
        self.record.local.add(1_u8);
        self.local.try_acquire(Key::of(key), permits).map_err(|error| match error {
            // It is too much for the share, not for the quota: when Redis is back it may conform.
            Error::ExceedsBurst { .. } => {
                Error::Limited { quota: self.local.quota(), retry_after: self.settings.retry_every }
            }
            error => error,
        })
    }

    /// Asks Redis, or what it has said before; nothing where it cannot be asked.
    async fn decide_together(
        &self,
        terms: Terms,
        key: &str,
        permits: u32,
    ) -> Option<Result<Decision, Error>> {
        let lease = self.settings.lease.min(terms.quota().burst() / 2).max(1);
        let kept = if lease > 1 { self.leases.of(key, Instant::now()) } else { None };
        let Some(kept) = kept else {
            return self.ask(terms, key, permits, permits, None).await;
        };
        if let Some(decided) = self.foregone(terms, &kept, permits) {
            return Some(decided);
        }
        // One asks for all that come meanwhile.
        let _asking = kept.asking.lock().await;
        if let Some(decided) = self.foregone(terms, &kept, permits) {
            return Some(decided);
        }
        self.ask(terms, key, permits, permits.max(lease), Some(&kept)).await
    }

    fn foregone(&self, terms: Terms, kept: &Lease, permits: u32) -> Option<Result<Decision, Error>> {
        let decided = match kept.take(permits, Instant::now())? {
            Foregone::Taken { debt } => {
                self.record.leased_permits_used.add(permits);
                Ok(terms.decision(debt))
            }
            Foregone::Refused { wait } => Err(terms.refusal(wait)),
        };
        self.record.leased.add(1_u8);
        Some(decided)
    }

    async fn ask(
        &self,
        terms: Terms,
        key: &str,
        fewest: u32,
        most: u32,
        kept: Option<&Lease>,
    ) -> Option<Result<Decision, Error>> {
        let mut connection = self.connection.borrow().clone()?;
        let asked = Instant::now();
        let key = format!("{}:{key}", self.settings.prefix);
        match terms.ask(&mut connection, &key, fewest, most).await {
            Ok(answer) => {
                self.record.shared.add(1_u8);
                self.record.round_trips.record(asked.elapsed());
                self.record.machine.lock().answered();
                Some(match answer {
                    Answer::Taken { permits, debt } => {
                        if let Some(kept) = kept {
                            self.lease(kept, permits.saturating_sub(fewest), debt, asked);
                        }
                        Ok(terms.decision(debt))
                    }
                    Answer::Refused { wait } => {
                        if let Some(kept) = kept {
                            kept.refuse(fewest, asked, wait);
                        }
                        Err(terms.refusal(wait))
                    }
                })
            }
            Err(error) => {
                self.record.errors.add(1_u8);
                if error::is_connection_lost(&error) {
                    self.broken.notify_one();
                    self.lost("the connection is lost");
                } else {
                    tracing::debug!(%error, "a rate limiter got an error for an answer");
                    self.failed("it answers with errors");
                }
                None
            }
        }
    }

    /// Keeps what was taken in advance.
    fn lease(&self, kept: &Lease, permits: u32, debt: u64, asked: Instant) {
        if permits > 0 {
            self.record.leases.add(1_u8);
            self.record.leased_permits.add(permits);
        }
        kept.keep(permits, debt, asked, self.settings.lease_for);
    }

    pub(super) fn mode(&self) -> Mode {
        self.record.machine.lock().mode()
    }

    pub(super) fn connected(&self, connection: MultiplexedConnection) {
        self.change("", Machine::connected);
        self.connection.send_replace(Some(connection));
    }

    pub(super) fn lost(&self, reason: &str) {
        self.change(reason, Machine::lost);
        self.connection.send_replace(None);
    }

    pub(super) fn tried(&self, is_answered: bool) {
        let return_after = self.settings.return_after;
        self.change("", |machine| machine.tried(is_answered, return_after));
    }

    fn failed(&self, reason: &str) {
        let fall_back_after = self.settings.fall_back_after;
        self.change(reason, |machine| machine.failed(fall_back_after));
    }

    /// Changes the mode, and says so.
    fn change(&self, reason: &str, change: impl FnOnce(&mut Machine)) {
        let (before, after) = {
            let mut machine = self.record.machine.lock();
            let before = machine.mode();
            change(&mut machine);
            (before, machine.mode())
        };
        let prefix = &*self.settings.prefix;
        match (before, after) {
            (Mode::Shared, Mode::Local) => {
                tracing::warn!(prefix, reason, "Redis is away; the local share of a rate limit decides");
            }
            (Mode::Local, Mode::Shared) => tracing::info!(prefix, "Redis decides a rate limit"),
            _ => {}
        }
    }
}

impl fmt::Debug for RedisLimiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisLimiter").field("snapshot", &self.snapshot()).finish_non_exhaustive()
    }
}
