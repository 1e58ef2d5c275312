use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use steadfast_base::{Backoff, Class, Classify, Rng, Seed};
use steadfast_core::transport::Error;
use tokio::sync::{mpsc, oneshot};

use super::{Settings, rows};
use crate::change::feed::{Feed, Position};
use crate::postgres::Config;
use crate::postgres::connect::{Session, connect};
use crate::postgres::error::{of, unavailable};

const READ_AT_ONCE: usize = 256;
/// How soon a row that waits for an older transaction is looked at again; then ever more slowly.
const WAITING_FIRST: Duration = Duration::from_millis(5);
/// How often a receiver that stands by tries to become the one that drains.
const STAND_BY: Duration = Duration::from_millis(250);

/// A row, in the order in which it was read: a number below those that were read before can come later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Row {
    read: u64,
    pub(super) id: i64,
}

impl Position for Row {}

/// Rows that were handled, and who waits until the server knows.
pub(super) struct Done {
    pub(super) ids: Vec<i64>,
    pub(super) answer: oneshot::Sender<Result<(), Error>>,
}

/// Drains the table for one receiver.
pub(super) struct Worker {
    config: Config,
    settings: Settings,
    feed: Arc<Feed<Row>>,
    settled: mpsc::Receiver<Done>,
    /// Rows that were read and are still in the table, as far as is known.
    known: BTreeSet<i64>,
    /// Rows that were handled and are still in the table.
    handled: BTreeSet<i64>,
    read: u64,
}

impl Worker {
    pub(super) fn new(
        config: Config,
        settings: Settings,
        feed: Arc<Feed<Row>>,
        settled: mpsc::Receiver<Done>,
    ) -> Self {
        Self { config, settings, feed, settled, known: BTreeSet::new(), handled: BTreeSet::new(), read: 0 }
    }

    /// Drains until the receiver is closed.
    pub(super) async fn run(mut self) {
        let _guard = self.feed.guard();
        let mut rng = Seed::random().rng();
        let mut failures = 0;
        let closed = self.feed.closed().clone();
        loop {
            let session = tokio::select! {
                biased;
                () = closed.cancelled() => return,
                session = self.connect() => session,
            };
            let ended = match session {
                Ok(session) => {
                    self.feed.up();
                    failures = 0;
                    self.drain(&session).await
                }
                Err(error) => Err(error),
            };
            let Err(error) = ended else { return };
            if error.classify() == Class::Permanent {
                self.feed.fail(error);
                return;
            }
            failures += 1;
            tracing::warn!(%error, failures, table = self.settings.table, "draining the outbox failed, connecting again");
            self.feed.down(failures, &error.to_string());
            // What was read and not handed out is read again; what is held or handled is not.
            self.known =
                self.feed.held().into_iter().map(|row| row.id).chain(self.handled.iter().copied()).collect();
            if self.wait(&error, failures, &mut rng).await {
                return;
            }
        }
    }

    /// Waits before the next attempt, and tells whoever settles meanwhile that the server was not told. Returns whether
    /// the receiver was closed.
    async fn wait(&mut self, error: &Error, failures: u32, rng: &mut Rng) -> bool {
        let closed = self.feed.closed().clone();
        let until = tokio::time::Instant::now() + Backoff::default().delay(failures, rng);
        loop {
            tokio::select! {
                () = closed.cancelled() => return true,
                () = tokio::time::sleep_until(until) => return false,
                Some(done) = self.settled.recv() => {
                    self.handled.extend(done.ids);
                    let _ = done.answer.send(Err(error.clone()));
                }
            }
        }
    }

    /// Connects, and waits until no other receiver drains the table.
    async fn connect(&mut self) -> Result<Session, Error> {
        let session = connect(&self.config).await?;
        // The server notices a client that has vanished, and gives up its lock.
        let sql = format!(
            "SET tcp_keepalives_idle = 10; SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 3; LISTEN {}",
            self.settings.table
        );
        self.within(session.batch_execute(&sql)).await?;
        let sql = format!(
            "SELECT pg_try_advisory_lock(hashtextextended('{}'::regclass::oid::text, 7366))",
            self.settings.table
        );
        loop {
            if self.within(session.query_one(&sql, &[])).await?.get(0) {
                return Ok(session);
            }
            tokio::time::sleep(STAND_BY).await;
        }
    }

    async fn within<T>(
        &self,
        statement: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, Error> {
        self.limited(async { statement.await.map_err(|error| of(&error)) }).await
    }

    async fn limited<T>(&self, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        let late = || unavailable(format!("no answer within {}", self.settings.statement_timeout));
        tokio::time::timeout(self.settings.statement_timeout.0, work).await.map_err(|_| late())?
    }

    /// Drains with one session until the receiver is closed (`Ok`) or the session fails.
    async fn drain(&mut self, session: &Session) -> Result<(), Error> {
        let closed = self.feed.closed().clone();
        let (mut look, mut wait) = (true, self.settings.poll.0);
        self.tell(session, Vec::new()).await?;
        loop {
            if look && self.feed.room() > 0 {
                let (more, waiting) = self.look(session).await?;
                wait = match waiting {
                    true if wait >= self.settings.poll.0 => WAITING_FIRST,
                    true => wait * 2,
                    false => self.settings.poll.0,
                };
                wait = wait.min(self.settings.poll.0);
                look = more;
            }
            let has_room = self.feed.room() > 0;
            tokio::select! {
                biased;
                Some(done) = self.settled.recv() => self.tell(session, vec![done]).await?,
                () = closed.cancelled() => return self.finish(session).await,
                () = std::future::ready(()), if look && has_room => {}
                _ = self.feed.has_room(), if look => {}
                () = session.notified.notified() => {
                    if session.is_closed() {
                        return Err(unavailable("the server has ended the session"));
                    }
                    look = true;
                }
                () = tokio::time::sleep(wait) => look = true,
            }
        }
    }

    /// Reads what there is room for; says whether there may be more, and whether a row waits for a transaction.
    async fn look(&mut self, session: &Session) -> Result<(bool, bool), Error> {
        let max = self.feed.room().min(READ_AT_ONCE);
        let known: Vec<i64> = self.known.iter().copied().collect();
        let found = self.limited(rows::read(session, &self.settings, &known, max)).await?;
        for (id, problem) in &found.broken {
            self.limited(rows::set_aside(session, &self.settings, *id, problem)).await?;
        }
        for (id, event) in found.events {
            self.read += 1;
            self.known.insert(id);
            self.feed.push(Row { read: self.read, id }, event);
        }
        Ok((found.more, found.waiting))
    }

    /// Tells the server what was handled, with all that waits to be told, and answers.
    async fn tell(&mut self, session: &Session, mut done: Vec<Done>) -> Result<(), Error> {
        while let Ok(more) = self.settled.try_recv() {
            done.push(more);
        }
        self.handled.extend(done.iter().flat_map(|done| &done.ids));
        let ids: Vec<i64> = self.handled.iter().copied().collect();
        let told = match ids.is_empty() {
            true => Ok(()),
            false => self.limited(rows::done(session, &self.settings, &ids)).await,
        };
        if told.is_ok() {
            self.handled.clear();
            for id in &ids {
                self.known.remove(id);
            }
        }
        for done in done {
            let _ = done.answer.send(told.clone());
        }
        told
    }

    async fn finish(&mut self, session: &Session) -> Result<(), Error> {
        self.settled.close();
        self.tell(session, Vec::new()).await
    }
}
