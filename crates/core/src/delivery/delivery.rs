use std::sync::Arc;
use std::time::Duration;

use steadfast_base::{Context, ContextMut, Deadline, TraceContext};
use tokio::time::Instant;

use super::Message;

/// One delivery of a message to one subscriber: what a handler gets.
#[derive(Debug, Clone)]
pub struct Delivery<T> {
    message: Message<T>,
    topic: Arc<str>,
    attempt: u32,
    deadline: Option<Deadline>,
    first_attempted: Instant,
}

impl<T> Delivery<T> {
    pub(crate) fn new(
        message: Message<T>,
        topic: Arc<str>,
        attempt: u32,
        deadline: Option<Deadline>,
        first_attempted: Instant,
    ) -> Self {
        Self { message, topic, attempt, deadline, first_attempted }
    }

    /// Returns the payload.
    pub fn payload(&self) -> &T {
        &self.message.payload
    }

    /// Takes the payload out.
    pub fn into_payload(self) -> T {
        self.message.payload
    }

    /// Returns the topic's name, or that of the place that the message came from.
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// Returns which attempt this is, counted from 1.
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// Returns the key that the message is kept in order by, if it has one.
    pub fn partition_key(&self) -> Option<&str> {
        self.message.about().partition_key.as_deref()
    }

    /// Returns when the message was first given to a handler of this process; for the first attempt, now.
    pub fn first_attempted(&self) -> Instant {
        self.first_attempted
    }

    /// Returns the time left for this attempt, zero when it is over, none if the attempt has no limit.
    pub fn remaining(&self) -> Option<Duration> {
        self.deadline.map(Deadline::remaining)
    }
}

impl<T> Context for Delivery<T> {
    fn deadline(&self) -> Option<Deadline> {
        self.deadline
    }

    fn trace(&self) -> Option<TraceContext> {
        self.message.about().trace
    }

    fn key(&self) -> Option<&str> {
        self.message.about().key.as_deref()
    }

    fn operation(&self) -> &str {
        self.message.about().operation.as_deref().unwrap_or(&self.topic)
    }
}

impl<T> ContextMut for Delivery<T> {
    fn set_deadline(&mut self, deadline: Deadline) {
        self.deadline = Some(deadline);
    }
}
