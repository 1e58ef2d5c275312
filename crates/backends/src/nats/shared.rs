use async_nats::Subject;
use parking_lot::Mutex;
use steadfast_core::transport::Error;
use tokio::sync::{Notify, watch};

use crate::sharded::{Kind, State};

/// What a receiver notes: messages by their place in the stream, told by their reply subjects.
pub(super) struct Messages;

impl Kind for Messages {
    type Id = u64;
    type Handle = Subject;
    type Note = Note;
}

/// What is noted of a shard.
#[derive(Default)]
pub(super) struct Note {
    /// The puller that may take messages of it; none may, by zero, of a shard that has just become ours.
    pub(super) puller: u64,
}

/// What a receiver and its tasks share.
pub(super) struct Shared {
    pub(super) state: Mutex<State<Messages>>,
    /// There is something to tell.
    pub(super) work: Notify,
    /// There is room to pull.
    pub(super) room: Notify,
    /// There may be something to hand out.
    pub(super) ready: Notify,
    pub(super) told: watch::Sender<Told>,
}

/// Up to which word the server was told.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Told {
    pub(super) upto: u64,
    /// The last word of those that could not be told for certain.
    pub(super) failed: u64,
    pub(super) ended: bool,
}

impl Shared {
    pub(super) fn new(in_flight_max: usize) -> Self {
        Self {
            state: Mutex::new(State::new(in_flight_max)),
            work: Notify::new(),
            room: Notify::new(),
            ready: Notify::new(),
            told: watch::Sender::new(Told::default()),
        }
    }

    /// Notes that the server does not serve, and for good if waiting cannot help.
    pub(super) fn failed(&self, error: &Error) {
        use steadfast_base::Classify;
        tracing::debug!(%error, "NATS does not serve");
        let words_ever = {
            let mut state = self.state.lock();
            state.fault = (!error.classify().is_retryable()).then(|| error.clone());
            state.words_ever()
        };
        self.told.send_modify(|told| told.failed = words_ever);
        self.ready.notify_waiters();
    }
}
