use std::sync::Arc;

use steadfast_base::{Context, ContextMut, Deadline, TraceContext};

use crate::Event;

/// A payload to be published, with what layers may know of it. Any payload converts into a message without key
/// and trace.
#[derive(Debug)]
pub struct Message<T> {
    payload: Arc<T>,
    key: Option<Arc<str>>,
    operation: Option<Arc<str>>,
    trace: Option<TraceContext>,
}

impl<T> Message<T> {
    /// Makes a message of `payload`.
    pub fn new(payload: impl Into<Arc<T>>) -> Self {
        Self { payload: payload.into(), key: None, operation: None, trace: None }
    }

    /// Sets the key that makes a repetition recognisable.
    #[must_use]
    pub fn key(mut self, key: impl Into<Arc<str>>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// Sets the low-cardinality name of what happened; without it, it is the topic's name.
    #[must_use]
    pub fn operation(mut self, operation: impl Into<Arc<str>>) -> Self {
        self.operation = Some(operation.into());
        self
    }

    /// Sets the trace that the message belongs to.
    #[must_use]
    pub fn trace(mut self, trace: TraceContext) -> Self {
        self.trace = Some(trace);
        self
    }
}

impl Message<Event> {
    /// Makes a message of an event: its id is the key, its type the operation, its trace the trace.
    pub fn of_event(event: Event) -> Self {
        Self {
            key: Some(event.id().to_string().into()),
            operation: Some(Arc::clone(&event.kind)),
            trace: event.trace(),
            payload: Arc::new(event),
        }
    }
}

impl<T> From<T> for Message<T> {
    fn from(payload: T) -> Self {
        Self::new(payload)
    }
}

impl<T> From<Arc<T>> for Message<T> {
    fn from(payload: Arc<T>) -> Self {
        Self::new(payload)
    }
}

// Not derived, for the payload itself need not be cloned.
impl<T> Clone for Message<T> {
    fn clone(&self) -> Self {
        Self {
            payload: Arc::clone(&self.payload),
            key: self.key.clone(),
            operation: self.operation.clone(),
            trace: self.trace,
        }
    }
}

/// One delivery of a message to one subscriber: what a handler gets.
#[derive(Debug)]
pub struct Delivery<T> {
    message: Message<T>,
    topic: Arc<str>,
    attempt: u32,
    deadline: Option<Deadline>,
}

impl<T> Delivery<T> {
    pub(super) fn new(
        message: Message<T>,
        topic: Arc<str>,
        attempt: u32,
        deadline: Option<Deadline>,
    ) -> Self {
        Self { message, topic, attempt, deadline }
    }

    /// Returns the payload.
    pub fn payload(&self) -> &T {
        &self.message.payload
    }

    /// Returns the payload as it is shared with the other subscribers, to keep it without a copy.
    pub fn shared(&self) -> &Arc<T> {
        &self.message.payload
    }

    /// Returns the topic's name.
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// Returns which attempt this is, counted from 1.
    pub fn attempt(&self) -> u32 {
        self.attempt
    }
}

impl<T> Clone for Delivery<T> {
    fn clone(&self) -> Self {
        Self { message: self.message.clone(), topic: Arc::clone(&self.topic), ..*self }
    }
}

impl<T> Context for Delivery<T> {
    fn deadline(&self) -> Option<Deadline> {
        self.deadline
    }

    fn trace(&self) -> Option<TraceContext> {
        self.message.trace
    }

    fn key(&self) -> Option<&str> {
        self.message.key.as_deref()
    }

    fn operation(&self) -> &str {
        self.message.operation.as_deref().unwrap_or(&self.topic)
    }
}

impl<T> ContextMut for Delivery<T> {
    fn set_deadline(&mut self, deadline: Deadline) {
        self.deadline = Some(deadline);
    }
}
