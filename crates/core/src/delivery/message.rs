use std::sync::Arc;

use steadfast_base::{Context, ContextMut, Deadline, TraceContext};

use crate::Event;

/// A payload to be published, with what layers may know of it. Any payload converts into a message without key
/// and trace.
///
/// The payload is held by value, so that a small one costs no allocation; it is cloned for each subscriber but the
/// last and for each attempt. Give a large one as `Arc<T>`.
#[derive(Debug, Clone)]
pub struct Message<T> {
    payload: T,
    key: Option<Arc<str>>,
    operation: Option<Arc<str>>,
    trace: Option<TraceContext>,
}

impl<T> Message<T> {
    /// Makes a message of `payload`.
    pub fn new(payload: T) -> Self {
        Self { payload, key: None, operation: None, trace: None }
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
            payload: event,
        }
    }
}

impl<T> From<T> for Message<T> {
    fn from(payload: T) -> Self {
        Self::new(payload)
    }
}

/// One delivery of a message to one subscriber: what a handler gets.
#[derive(Debug, Clone)]
pub struct Delivery<T> {
    message: Message<T>,
    topic: Arc<str>,
    attempt: u32,
    deadline: Option<Deadline>,
}

impl<T> Delivery<T> {
    pub(crate) fn new(
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

    /// Takes the payload out.
    pub fn into_payload(self) -> T {
        self.message.payload
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
