use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use steadfast_base::{Backoff, Class, Classify, Seed};
use steadfast_core::store::Error;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::error::{connecting, of};
use super::{Settings, install};
use crate::postgres::Config;
use crate::postgres::connect::{Session, connect};

/// Connections, as many as the settings allow.
pub(super) struct Pool {
    config: Config,
    pub(super) settings: Settings,
    idle: Mutex<Vec<Session>>,
    permits: Arc<Semaphore>,
    waiting: AtomicUsize,
}

/// A connection in use. It goes back unless it is [lost](Self::lost).
pub(super) struct Lent {
    session: Option<Session>,
    pool: Arc<Pool>,
    _permit: OwnedSemaphorePermit,
}

struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Pool {
    pub(super) fn new(config: Config, settings: Settings) -> Arc<Self> {
        let permits = Arc::new(Semaphore::new(settings.connections_max.max(1)));
        Arc::new(Self { config, settings, idle: Mutex::default(), permits, waiting: AtomicUsize::new(0) })
    }

    /// Waits for a connection; tries for as long as the settings say while there is none to be had.
    pub(super) async fn get(self: &Arc<Self>) -> Result<Lent, Error> {
        let before = self.waiting.fetch_add(1, Ordering::Relaxed);
        let _waiting = Waiting(&self.waiting);
        if before >= self.settings.waiting_max.max(1) {
            return Err(Error::Overloaded);
        }
        let permit = Arc::clone(&self.permits).acquire_owned().await.map_err(|_| Error::Closed)?;
        let session = match self.idle() {
            Some(session) => session,
            None => self.connect().await?,
        };
        Ok(Lent { session: Some(session), pool: Arc::clone(self), _permit: permit })
    }

    /// Takes a connection that lives, as far as is known.
    fn idle(&self) -> Option<Session> {
        let mut idle = self.idle.lock();
        loop {
            let session = idle.pop()?;
            if !session.is_closed() {
                return Some(session);
            }
        }
    }

    async fn connect(&self) -> Result<Session, Error> {
        let until = Instant::now() + self.settings.patience.0;
        let (mut rng, mut failures) = (Seed::random().rng(), 0);
        loop {
            let error = match connect(&self.config).await {
                Ok(session) => {
                    let timeout = self.settings.statement_timeout.0.as_millis();
                    // IMPORTANT: Conditions are looked at by statements that must see what was committed while their
                    // transaction waited for its turn. A role or a database may say otherwise.
                    let sql = format!(
                        "SET search_path TO \"{}\"; SET statement_timeout = {timeout}; \
                         SET default_transaction_isolation = 'read committed'",
                        self.settings.schema
                    );
                    let told = |error| {
                        of("preparing a connection", &error, steadfast_core::store::Outcome::NotAppended)
                    };
                    session.batch_execute(&sql).await.map_err(told)?;
                    return Ok(session);
                }
                Err(error) => error,
            };
            failures += 1;
            let delay = Backoff::default().delay(failures, &mut rng);
            if error.classify() != Class::Transient || Instant::now() + delay >= until {
                return Err(connecting(&error));
            }
            tracing::debug!(%error, failures, "PostgreSQL cannot be reached, trying again");
            tokio::time::sleep(delay).await;
        }
    }

    /// Makes the tables and functions.
    pub(super) async fn install(self: &Arc<Self>) -> Result<install::Found, Error> {
        let mut lent = self.get().await?;
        let found = install::install(&lent, &self.settings).await;
        if found.is_err() {
            lent.lost();
        }
        found
    }

    /// Gives out no more connections, and closes those that nobody uses.
    pub(super) fn close(&self) {
        self.permits.close();
        self.idle.lock().clear();
    }
}

impl Lent {
    /// Closes the connection instead of giving it back.
    pub(super) fn lost(&mut self) {
        self.session = None;
    }
}

impl std::ops::Deref for Lent {
    type Target = tokio_postgres::Client;

    fn deref(&self) -> &Self::Target {
        self.session.as_ref().expect("it is used before it is lost")
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some(session) = self.session.take()
            && !self.pool.permits.is_closed()
        {
            self.pool.idle.lock().push(session);
        }
    }
}
