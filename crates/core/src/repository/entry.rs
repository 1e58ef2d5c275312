use std::borrow::Borrow;
use std::hash::{Hash, Hasher};
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::RwLock;
use tokio::sync::{Mutex, MutexGuard};

use super::state::State;

/// An aggregate in the cache.
pub(super) struct Entry<A> {
    pub(super) name: Name,
    /// Who holds it may change the state.
    turn: Mutex<()>,
    waiting: AtomicUsize,
    pub(super) state: RwLock<Loaded<A>>,
}

/// An aggregate's name, of which there is one copy in memory: it is the end of its stream's.
#[derive(Debug, Clone)]
pub(super) struct Name {
    stream: Arc<str>,
    prefix_bytes: usize,
}

/// What is known of an aggregate.
pub(super) struct Loaded<A> {
    /// How it was; nothing yet, or not any more.
    state: Option<State<A>>,
    /// It is still so, as far as this process knows. Otherwise the stream may have moved on, by another process or by an
    /// append that was given up.
    is_fresh: bool,
}

/// The turn on an aggregate.
pub(super) struct Turn<'a> {
    _guard: MutexGuard<'a, ()>,
    _place: Place<'a>,
}

/// One of those who may wait.
struct Place<'a>(&'a AtomicUsize);

impl<A> Entry<A> {
    pub(super) fn new(name: Name) -> Self {
        Self { name, turn: Mutex::default(), waiting: AtomicUsize::new(0), state: RwLock::default() }
    }

    /// Returns the name of its stream.
    pub(super) fn stream(&self) -> &Arc<str> {
        &self.name.stream
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

impl Name {
    pub(super) fn new(prefix: &str, name: &str) -> Self {
        Self { stream: format!("{prefix}{name}").into(), prefix_bytes: prefix.len() }
    }

    /// Returns a copy of the text.
    pub(super) fn to_text(&self) -> Arc<str> {
        (**self).into()
    }
}

impl Deref for Name {
    type Target = str;

    fn deref(&self) -> &str {
        &self.stream[self.prefix_bytes..]
    }
}

// All three as the text has it, so that the cache can be asked by a text.
impl Borrow<str> for Name {
    fn borrow(&self) -> &str {
        self
    }
}

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Name {}

impl Hash for Name {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        (**self).hash(hasher);
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl<A> Loaded<A> {
    pub(super) fn fresh(&self) -> Option<&State<A>> {
        self.state.as_ref().filter(|_| self.is_fresh)
    }

    pub(super) fn any(&self) -> Option<&State<A>> {
        self.state.as_ref()
    }

    pub(super) fn any_mut(&mut self) -> Option<&mut State<A>> {
        self.state.as_mut()
    }

    /// Takes the state out to change it; until it is put back, nothing is known.
    pub(super) fn take(&mut self) -> Option<State<A>> {
        self.is_fresh = false;
        self.state.take()
    }

    pub(super) fn put(&mut self, state: State<A>, is_fresh: bool) {
        *self = Self { state: Some(state), is_fresh };
    }

    /// Notes that the stream may have moved on.
    pub(super) fn doubt(&mut self) {
        self.is_fresh = false;
    }
}

impl<A> Default for Loaded<A> {
    fn default() -> Self {
        Self { state: None, is_fresh: false }
    }
}
