use std::sync::Arc;

use crate::store::Durability;

/// How an inbox remembers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InboxOptions {
    /// The name that its streams are kept by: one for each consumer with effects of its own.
    pub name: Arc<str>,
    /// How many events of each partition are recognised when they come again, at least 1. It should exceed what all
    /// receivers of a group can have in flight, and be handed again when one of them dies.
    pub window: usize,
    /// Over how many partitions events are spread by their key, at least 1; events of different partitions are
    /// applied at the same time. An inbox with another number remembers nothing of what this one did.
    pub partitions: u32,
    /// What an effect must achieve before its event is handled. None for [`Durability::Durable`], or the most that
    /// the store can do if that is less.
    pub durability: Option<Durability>,
}

impl InboxOptions {
    /// Remembers 4,096 events in each of 32 partitions under `name`.
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self { name: name.into(), window: 4096, partitions: 32, durability: None }
    }
}
