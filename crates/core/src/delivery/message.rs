use std::any::Any;
use std::sync::Arc;

use steadfast_base::TraceContext;

use crate::Event;

/// A payload to be published, with what layers may know of it. Any payload converts into a message: an [`Event`], or
/// an `Arc` of one, into one that has the event's keys, operation and trace, any other into one that has none.
///
/// It has two keys. The [key](Self::key) makes a repetition recognisable: no two messages share it. The
/// [partition key](Self::partition_key) says what the message is about: [`Order::PerKey`](super::Order::PerKey)
/// keeps order among messages that share it. Neither stands in for the other.
///
/// The payload is held by value, so that a small one costs no allocation; it is cloned for each subscriber but the
/// last and for each attempt. Give a large one as `Arc<T>`.
#[derive(Debug, Clone)]
pub struct Message<T> {
    pub(crate) payload: T,
    /// All the rest, behind one pointer: a message is moved and cloned several times on its way.
    about: Option<Arc<About>>,
}

/// What layers may know of a message.
#[derive(Debug, Clone)]
pub(crate) struct About {
    pub(crate) key: Option<Arc<str>>,
    pub(crate) partition_key: Option<Arc<str>>,
    pub(crate) operation: Option<Arc<str>>,
    pub(crate) trace: Option<TraceContext>,
}

impl About {
    const NOTHING: Self = Self { key: None, partition_key: None, operation: None, trace: None };

    fn of_event(event: &Event) -> Self {
        // The subject is shared with the event; only the extension attribute costs an allocation.
        let partition_key = match event.extensions().get("partitionkey") {
            Some(key) => Some(key.as_str().into()),
            None => event.subject.clone(),
        };
        let key = Some(event.id().to_string().into());
        Self { key, partition_key, operation: Some(Arc::clone(&event.kind)), trace: event.trace() }
    }
}

impl<T> Message<T> {
    /// Makes a message of `payload`. Of an [`Event`], or an `Arc` of one, its id is the key, its
    /// [partition key](Event::partition_key) the partition key, its type the operation, its trace the trace.
    pub fn new(payload: T) -> Self
    where
        T: 'static,
    {
        // Known when it is compiled: a payload of another type costs nothing.
        let any: &dyn Any = &payload;
        let event = any.downcast_ref::<Event>();
        let event = event.or_else(|| any.downcast_ref::<Arc<Event>>().map(|event| &**event));
        let about = event.map(|event| Arc::new(About::of_event(event)));
        Self { payload, about }
    }

    /// Sets the key that makes a repetition recognisable.
    #[must_use]
    pub fn key(mut self, key: impl Into<Arc<str>>) -> Self {
        self.about_mut().key = Some(key.into());
        self
    }

    /// Sets what the message is about: messages with the same partition key are handled in order under
    /// [`Order::PerKey`](super::Order::PerKey).
    #[must_use]
    pub fn partition_key(mut self, key: impl Into<Arc<str>>) -> Self {
        self.about_mut().partition_key = Some(key.into());
        self
    }

    /// Sets the low-cardinality name of what happened; without it, it is the topic's name.
    #[must_use]
    pub fn operation(mut self, operation: impl Into<Arc<str>>) -> Self {
        self.about_mut().operation = Some(operation.into());
        self
    }

    /// Sets the trace that the message belongs to.
    #[must_use]
    pub fn trace(mut self, trace: TraceContext) -> Self {
        self.about_mut().trace = Some(trace);
        self
    }

    /// Returns the payload.
    pub fn payload(&self) -> &T {
        &self.payload
    }

    /// Takes the payload out.
    pub fn into_payload(self) -> T {
        self.payload
    }

    pub(crate) fn about(&self) -> &About {
        static NOTHING: About = About::NOTHING;
        self.about.as_deref().unwrap_or(&NOTHING)
    }

    pub(super) fn with(payload: T, about: About) -> Self {
        Self { payload, about: Some(Arc::new(about)) }
    }

    fn about_mut(&mut self) -> &mut About {
        Arc::make_mut(self.about.get_or_insert_with(|| Arc::new(About::NOTHING)))
    }
}

impl Message<Event> {
    /// Makes a message of an event, as [`new`](Self::new) does.
    pub fn of_event(event: Event) -> Self {
        Self::new(event)
    }
}

impl<T: 'static> From<T> for Message<T> {
    fn from(payload: T) -> Self {
        Self::new(payload)
    }
}
