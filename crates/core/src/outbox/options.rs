use std::sync::Arc;
use std::time::Duration;

use steadfast_base::{Backoff, Seed};

use crate::store::{Durability, Filter};

/// What an outbox does with an event that the sink rejects for good, such as one that is too large.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum OnRejected {
    /// Ends with the error; nothing passes the event.
    #[default]
    Stop,
    /// Logs and counts it, and goes on with the next.
    Skip,
}

/// How an outbox publishes.
#[derive(Debug, Clone)]
pub struct OutboxOptions {
    /// The name that its checkpoint is kept by.
    pub name: Arc<str>,
    /// Which events are published. Those whose type begins with `steadfast.` never are: they are bookkeeping.
    pub filter: Filter,
    /// What the sink must achieve before the checkpoint moves.
    pub durability: Durability,
    /// How many events are sent together at most, at least 1.
    pub batch_max: usize,
    /// How long one attempt to send may take.
    pub send_timeout: Duration,
    /// How long to wait after a failed attempt; attempts go on until they succeed or cannot.
    pub backoff: Backoff,
    /// What the jitter of the waits is drawn from.
    pub seed: Seed,
    /// What becomes of an event that the sink rejects.
    pub on_rejected: OnRejected,
}

impl OutboxOptions {
    /// Publishes all events as the outbox `name`: 256 at a time, 10 s an attempt, `Written` at the sink.
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self {
            name: name.into(),
            filter: Filter::all(),
            durability: Durability::Written,
            batch_max: 256,
            send_timeout: Duration::from_secs(10),
            backoff: Backoff::default(),
            seed: Seed::random(),
            on_rejected: OnRejected::default(),
        }
    }
}
