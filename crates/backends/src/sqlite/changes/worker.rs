use std::sync::Arc;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use steadfast_base::{Backoff, Class, Classify, Rng, Seed};
use steadfast_core::transport::{Error, Start};

use super::error::{SYSTEM, of};
use super::inbox::{Asked, Inbox, Waiter};
use super::lock::{self, GroupLock};
use super::{Config, event, install, store};
use crate::change::feed::{Feed, Position};

const READ_AT_ONCE: usize = 256;
const PRUNE_EVERY: Duration = Duration::from_secs(1);
const HURRIED_FIRST: Duration = Duration::from_millis(1);

impl Position for i64 {}

/// The thread that reads for one receiver, and the only one that touches its connection.
pub(super) struct Worker {
    pub(super) config: Config,
    pub(super) group: Arc<str>,
    pub(super) start: Start,
    pub(super) feed: Arc<Feed<i64>>,
    pub(super) inbox: Arc<Inbox>,
}

/// What is known while the database is open.
struct Session {
    connection: Connection,
    origin: String,
    source: String,
    /// Up to where changes were read.
    cursor: i64,
    versions: (i64, i64),
    pruned: Instant,
    /// What is to be noted, and who waits for it.
    position: Option<i64>,
    waiters: Vec<Waiter>,
}

impl Worker {
    /// Reads until it is asked to close.
    pub(super) fn run(self) {
        let _guard = self.feed.guard();
        let _end = End(&self.inbox);
        self.work();
    }

    fn work(&self) {
        let mut rng = Seed::random().rng();
        let (mut failures, mut unnoted) = (0, None);
        let Some(_lock) = self.become_active(&mut rng) else { return };
        while let Err(error) = self.session(&mut failures, &mut unnoted) {
            if error.classify() == Class::Permanent {
                self.feed.fail(error);
                self.note_the_rest(unnoted);
                return;
            }
            failures += 1;
            tracing::warn!(%error, failures, group = %self.group, "reading changes of SQLite failed, trying again");
            self.feed.down(failures, &error.to_string());
            let asked = self.inbox.wait(Backoff::default().delay(failures, &mut rng));
            refuse(asked.waiters, &error);
            unnoted = unnoted.max(asked.position);
            if asked.close {
                return;
            }
        }
    }

    /// Notes what is still handled of what was handed out before reading failed for good, until it is asked to close.
    fn note_the_rest(&self, mut unnoted: Option<i64>) {
        loop {
            let asked = self.inbox.wait(Duration::from_secs(1));
            unnoted = unnoted.max(asked.position);
            let noted = unnoted.map_or(Ok(()), |position| {
                let connection = install::connect(&self.config.path, self.config.busy_timeout.0)?;
                store::confirm(&connection, &self.group, position).map_err(|error| of(&error))
            });
            if noted.is_ok() {
                unnoted = None;
            }
            for waiter in asked.waiters {
                let _ = waiter.send(noted.clone());
            }
            if asked.close {
                return;
            }
        }
    }

    /// Waits until no other receiver reads for the group; `None` if it was closed before.
    fn become_active(&self, rng: &mut Rng) -> Option<GroupLock> {
        let path = lock::path(&self.config.path, &self.group);
        let mut failures = 0;
        loop {
            let wait = match GroupLock::take(&path) {
                Ok(Some(lock)) => return Some(lock),
                Ok(None) => self.poll(),
                Err(error) => {
                    failures += 1;
                    self.feed.down(failures, &error.to_string());
                    Backoff::default().delay(failures, rng)
                }
            };
            if self.inbox.wait(wait).close {
                return None;
            }
        }
    }

    fn poll(&self) -> Duration {
        self.config.poll.0.max(Duration::from_millis(1))
    }

    /// Reads with one connection until it is closed, or the connection fails.
    fn session(&self, failures: &mut u32, unnoted: &mut Option<i64>) -> Result<(), Error> {
        let mut session = self.open()?;
        session.position = unnoted.take();
        let result = self.read(&mut session, failures);
        let answer = result.as_ref().err().cloned().unwrap_or(Error::Closed);
        refuse(session.waiters, &answer);
        // What could not be noted is noted by the next connection, though nobody waits for it any more.
        *unnoted = session.position;
        result
    }

    fn open(&self) -> Result<Session, Error> {
        let mut connection = install::connect(&self.config.path, self.config.busy_timeout.0)?;
        install::install(&mut connection, &self.config.tables)?;
        let told = |error: rusqlite::Error| of(&error);
        let group = store::join(&connection, &self.group, self.start).map_err(told)?;
        if group.lost {
            return Err(given_up(&self.group));
        }
        Ok(Session {
            origin: store::origin(&connection).map_err(told)?,
            source: self.config.source(),
            cursor: group.position,
            versions: store::versions(&connection).map_err(told)?,
            pruned: Instant::now(),
            position: None,
            waiters: Vec::new(),
            connection,
        })
    }

    fn read(&self, session: &mut Session, failures: &mut u32) -> Result<(), Error> {
        let told = |error: rusqlite::Error| of(&error);
        self.feed.up();
        let (mut more, mut hurried) = (true, Duration::MAX);
        loop {
            let wait = if more && self.feed.room() > 0 { Duration::ZERO } else { hurried.min(self.poll()) };
            let asked = self.inbox.wait(wait);
            let (hurry, close) = (asked.hurry, asked.close);
            self.note(session, asked).map_err(told)?;
            if close {
                return Ok(());
            }
            let versions = store::versions(&session.connection).map_err(told)?;
            if versions.1 != session.versions.1 {
                install::install(&mut session.connection, &self.config.tables)?;
            }
            // The hook of a connection comes before its commit: look again soon, until something has come.
            hurried = match (versions != session.versions, hurry) {
                (true, _) => Duration::MAX,
                (false, true) => HURRIED_FIRST,
                (false, false) => hurried.saturating_mul(2),
            };
            if hurried > self.poll() {
                hurried = Duration::MAX;
            }
            more |= versions != session.versions;
            // IMPORTANT: those from before reading; of a change that is made at this moment nobody would tell again.
            session.versions = versions;
            if more {
                more = self.draw(session)?;
                *failures = 0;
            }
        }
    }

    /// Reads what there is room for; says whether there may be more.
    fn draw(&self, session: &mut Session) -> Result<bool, Error> {
        let told = |error: rusqlite::Error| of(&error);
        let room = self.feed.room().min(READ_AT_ONCE);
        if room == 0 {
            return Ok(true);
        }
        let changes = store::read(&session.connection, session.cursor, room).map_err(told)?;
        // Asked after reading: a group is given up before the first change that it has not handled is deleted.
        if store::is_lost(&session.connection, &self.group).map_err(told)? {
            return Err(given_up(&self.group));
        }
        for change in &changes {
            if self.config.tables.contains(&change.table) {
                let event = event::of(change, &session.source, &session.origin);
                self.feed.push(change.seq, event.ok_or_else(|| broken(change.seq))?);
            } else {
                session.position = self.feed.pass(change.seq).max(session.position);
            }
            session.cursor = change.seq;
        }
        Ok(changes.len() == room)
    }

    /// Notes up to where all is handled, deletes what nobody needs any more, and answers who waited for it.
    fn note(&self, session: &mut Session, asked: Asked) -> rusqlite::Result<()> {
        session.position = session.position.max(asked.position);
        session.waiters.extend(asked.waiters);
        if let Some(position) = session.position {
            store::confirm(&session.connection, &self.group, position)?;
            session.position = None;
        }
        for waiter in session.waiters.drain(..) {
            let _ = waiter.send(Ok(()));
        }
        if session.pruned.elapsed() >= PRUNE_EVERY || asked.close {
            let (keep, backlog_max) = (self.config.keep, self.config.backlog_max);
            let more = store::prune(&session.connection, &self.group, keep, backlog_max)?;
            if !more {
                session.pruned = Instant::now();
            }
        }
        Ok(())
    }
}

/// Tells whoever waits that nothing more is done, also after a panic.
struct End<'i>(&'i Inbox);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.end();
    }
}

fn refuse(waiters: Vec<Waiter>, error: &Error) {
    for waiter in waiters {
        let _ = waiter.send(Err(error.clone()));
    }
}

fn broken(seq: i64) -> Error {
    let reason = format!(
        "the change {seq} in steadfast_changes cannot be read: mend it, or delete it to go on without it, and subscribe \
         again"
    );
    Error::Rejected { system: SYSTEM, reason }
}

fn given_up(group: &str) -> Error {
    let reason = format!(
        "the group `{group}` was more than `backlogMax` changes behind and has been given up: changes are lost to it; \
         forget the group, bring its state up to date by other means, and subscribe again"
    );
    Error::Rejected { system: SYSTEM, reason }
}
