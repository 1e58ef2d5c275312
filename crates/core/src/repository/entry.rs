use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::RwLock;
use tokio::sync::{Mutex, MutexGuard};

use super::state::State;

/// An aggregate in the cache.
pub(super) struct Entry<A> {
    pub(super) name: Arc<str>,
    pub(super) stream: Arc<str>,
    /// Who holds it may change the state.
    turn: Mutex<()>,
    waiting: AtomicUsize,
    pub(super) state: RwLock<Loaded<A>>,
}

/// What is known of an aggregate.
pub(super) enum Loaded<A> {
    /// Nothing yet.
    Not,
    /// It was so; the stream may have moved on, by another process or by an append that was given up.
    Stale(State<A>),
    /// It is so, as far as this process knows.
    Fresh(State<A>),
}

/// The turn on an aggregate.
pub(super) struct Turn<'a> {
    _guard: MutexGuard<'a, ()>,
    _place: Place<'a>,
}

/// One of those who may wait.
struct Place<'a>(&'a AtomicUsize);

impl<A> Entry<A> {
    pub(super) fn new(name: Arc<str>, stream: Arc<str>) -> Self {
        Self {
            name,
            stream,
            turn: Mutex::default(),
            waiting: AtomicUsize::new(0),
            state: RwLock::new(Loaded::Not),
        }
    }

    /// Waits for the turn; none when `waiting_max` are at work or wait.
    pub(super) async fn turn(&self, waiting_max: usize) -> Option<Turn<'_>> {
        let before = self.waiting.fetch_add(1, Ordering::Relaxed);
        let place = Place(&self.waiting);
        if before >= waiting_max.max(1) {
            return None;
        }
        Some(Turn { _guard: self.turn.lock().await, _place: place })
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl<A> Loaded<A> {
    pub(super) fn fresh(&self) -> Option<&State<A>> {
        match self {
            Self::Fresh(state) => Some(state),
            Self::Not | Self::Stale(_) => None,
        }
    }

    pub(super) fn any(&self) -> Option<&State<A>> {
        match self {
            Self::Fresh(state) | Self::Stale(state) => Some(state),
            Self::Not => None,
        }
    }

    /// Takes the state out to change it; until it is put back, nothing is known.
    pub(super) fn take(&mut self) -> Option<State<A>> {
        match std::mem::replace(self, Self::Not) {
            Self::Fresh(state) | Self::Stale(state) => Some(state),
            Self::Not => None,
        }
    }

    /// Notes that the stream may have moved on.
    pub(super) fn doubt(&mut self) {
        if let Some(state) = self.take() {
            *self = Self::Stale(state);
        }
    }
}
