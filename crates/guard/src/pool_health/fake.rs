//! A pool whose connections do as a test says.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};

use super::{Borrowed, Pool, Status};

/// What a connection does when it is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// It answers after that time.
    Takes(Duration),
    Frozen,
    Broken,
    /// The pool itself sees that it is dead.
    Closed,
    /// The pool looks at it and never comes back.
    Hangs,
}

pub(super) const FAST: Kind = Kind::Takes(Duration::from_millis(1));

#[derive(Debug, Clone, thiserror::Error)]
#[error("broken")]
pub(super) struct Broken;

#[derive(Clone, Default)]
pub(super) struct Fake(Arc<Mutex<State>>);

#[derive(Default)]
pub(super) struct State {
    pub(super) idle: VecDeque<u32>,
    pub(super) kinds: BTreeMap<u32, Kind>,
    /// What callers use.
    pub(super) used: VecDeque<u32>,
    /// What the supervisor has.
    lent: usize,
    pub(super) waiting: usize,
    pub(super) size_max: usize,
    pub(super) is_closed: bool,
    /// What a new connection does.
    pub(super) server: Option<Kind>,
    opened: usize,
    checked: Vec<u32>,
    evicted: Vec<u32>,
    /// What no supervisor should do.
    pub(super) wrong: Vec<String>,
    /// Happens between the supervisor's look and its borrowing.
    pub(super) race: Option<fn(&mut State)>,
}

pub(super) struct Connection {
    id: u32,
    found: Option<Kind>,
    /// None for one that was opened beside the pool.
    pool: Option<Fake>,
    beside: Option<Kind>,
}

impl Fake {
    pub(super) fn new(kinds: impl IntoIterator<Item = Kind>) -> Self {
        let fake = Self::default();
        {
            let mut state = fake.state();
            state.server = Some(FAST);
            for (id, kind) in (0..).zip(kinds) {
                state.idle.push_back(id);
                state.kinds.insert(id, kind);
            }
            state.size_max = state.idle.len();
        }
        fake
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock()
    }

    pub(super) fn idle(&self) -> usize {
        self.state().idle.len()
    }

    pub(super) fn opened(&self) -> usize {
        self.state().opened
    }

    pub(super) fn checked(&self) -> Vec<u32> {
        self.state().checked.clone()
    }

    pub(super) fn evicted(&self) -> Vec<u32> {
        self.state().evicted.clone()
    }

    pub(super) fn set(&self, id: u32, kind: Kind) {
        if let Some(known) = self.state().kinds.get_mut(&id) {
            *known = kind;
        }
    }
}

impl State {
    fn size(&self) -> usize {
        self.idle.len() + self.used.len() + self.lent
    }

    /// A caller takes a connection, opens one or waits for one.
    pub(super) fn take(&mut self) {
        if let Some(id) = self.idle.pop_front() {
            self.used.push_back(id);
        } else if self.size() < self.size_max {
            let id = self.kinds.keys().last().map_or(0, |id| id + 1);
            self.kinds.insert(id, self.server.unwrap_or(Kind::Broken));
            self.used.push_back(id);
        } else {
            self.waiting += 1;
        }
    }

    /// A caller gives one back, or stops waiting.
    pub(super) fn give(&mut self) {
        if let Some(id) = self.used.pop_front() {
            self.returned(id);
        }
    }

    /// No caller has a connection or waits for one.
    pub(super) fn all_leave(&mut self) {
        self.waiting = 0;
        while !self.used.is_empty() {
            self.give();
        }
    }

    fn returned(&mut self, id: u32) {
        if self.waiting > 0 {
            self.waiting -= 1;
            self.used.push_back(id);
        } else {
            self.idle.push_back(id);
        }
    }

    pub(super) fn idle_of_kind(&self, is: impl Fn(Kind) -> bool) -> usize {
        self.idle.iter().filter(|id| is(self.kinds[id])).count()
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if let Some(pool) = &self.pool {
            let mut state = pool.state();
            state.lent -= 1;
            state.returned(self.id);
        }
    }
}

impl Pool for Fake {
    type Connection = Connection;
    type Error = Broken;

    fn status(&self) -> Status {
        let state = self.state();
        Status {
            size: state.size(),
            idle: state.idle.len(),
            in_use: state.used.len() + state.lent,
            waiting: state.waiting,
            is_closed: state.is_closed,
        }
    }

    async fn borrow_idle(&self) -> Borrowed<Connection> {
        let mut discarded = 0;
        loop {
            let (id, kind) = {
                let mut state = self.state();
                let race = state.race.take();
                if let Some(race) = race {
                    race(&mut state);
                }
                let Some(id) = state.idle.pop_front() else { return Borrowed::new(None, discarded) };
                (id, state.kinds[&id])
            };
            match kind {
                Kind::Closed => discarded += 1,
                Kind::Hangs => std::future::pending().await,
                _ => {
                    self.state().lent += 1;
                    return Borrowed::new(
                        Some(Connection { id, found: None, pool: Some(self.clone()), beside: None }),
                        discarded,
                    );
                }
            }
        }
    }

    async fn check(&self, connection: &mut Connection) -> Result<(), Broken> {
        let kind = connection.beside.unwrap_or_else(|| {
            let mut state = self.state();
            state.checked.push(connection.id);
            if state.idle.is_empty() && (!state.used.is_empty() || state.waiting > 0 || state.lent > 1) {
                let wrong = format!("the last idle one is checked, {} in use", state.used.len());
                state.wrong.push(wrong);
            }
            state.kinds[&connection.id]
        });
        connection.found = Some(kind);
        match kind {
            Kind::Takes(time) => tokio::time::sleep(time).await,
            Kind::Frozen | Kind::Hangs => std::future::pending().await,
            Kind::Broken | Kind::Closed => return Err(Broken),
        }
        Ok(())
    }

    fn evict(&self, mut connection: Connection) {
        connection.pool = None;
        let mut state = self.state();
        state.lent -= 1;
        if matches!(connection.found, Some(Kind::Takes(time)) if time < Duration::from_millis(200)) {
            state.wrong.push(format!("{} was evicted and is healthy", connection.id));
        }
        state.evicted.push(connection.id);
    }

    async fn connect(&self) -> Result<Connection, Broken> {
        let mut state = self.state();
        state.opened += 1;
        let kind = state.server.ok_or(Broken)?;
        Ok(Connection { id: u32::MAX, found: None, pool: None, beside: Some(kind) })
    }
}
