use std::sync::Arc;

use crate::Event;
use crate::store::{Batch, Condition};

/// What handling an event appends, and on what condition.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Effect {
    /// What is appended; an empty batch only remembers that the event was handled.
    pub batch: Batch,
    /// What must hold; [`Condition::NoneMatching`] is not supported.
    pub condition: Condition,
}

impl Effect {
    /// Appends nothing: the event only has been seen.
    pub fn none() -> Self {
        Self::default()
    }

    /// Appends `events` to `stream`.
    pub fn to_stream(stream: impl Into<Arc<str>>, events: impl IntoIterator<Item = Event>) -> Self {
        Self::from(Batch::to_stream(stream, events))
    }

    /// Sets what must hold.
    #[must_use]
    pub fn when(mut self, condition: Condition) -> Self {
        self.condition = condition;
        self
    }
}

impl From<Batch> for Effect {
    fn from(batch: Batch) -> Self {
        Self { batch, condition: Condition::Any }
    }
}
