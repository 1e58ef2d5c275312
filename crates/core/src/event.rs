//! The event, as CloudEvents 1.0 defines it (<https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md>).

mod extra;

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use steadfast_base::{Clock, SystemClock, TraceContext};
use uuid::Uuid;

use extra::Extra;

/// The identity of an event, unique among all events; UUID version 7, so that identities sort by time of making.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventId(Uuid);

impl EventId {
    /// Makes a new identity.
    pub fn generate() -> Self {
        Self(Uuid::now_v7())
    }

    /// Takes an identity made elsewhere, for instance one derived from an idempotency key.
    pub const fn from_u128(value: u128) -> Self {
        Self(Uuid::from_u128(value))
    }

    /// Returns the 128 bits.
    pub const fn as_u128(self) -> u128 {
        self.0.as_u128()
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for EventId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

/// Something that has happened: the attributes of CloudEvents 1.0 and opaque data.
///
/// Cloning is cheap: names and data are shared.
///
/// # Examples
/// ```
/// use steadfast_core::Event;
///
/// let event = Event::new("/orders", "order.created").subject("order-1").json(&serde_json::json!({"total": 5}))?;
/// assert_eq!(event.kind(), "order.created");
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    pub(crate) id: EventId,
    pub(crate) source: Arc<str>,
    pub(crate) kind: Arc<str>,
    pub(crate) subject: Option<Arc<str>>,
    pub(crate) time: SystemTime,
    pub(crate) content_type: Option<Arc<str>>,
    pub(crate) data: Bytes,
    extra: Extra,
}

impl Event {
    /// Starts an event of type `kind` from `source`, with a new identity and the present time.
    #[allow(clippy::new_ret_no_self, reason = "the builder is how an event is made")]
    pub fn new(source: impl Into<Arc<str>>, kind: impl Into<Arc<str>>) -> EventBuilder {
        Self::restore(EventId::generate(), source, kind, SystemClock.now())
    }

    /// Starts an event that was made before, such as one that a store reads back.
    pub fn restore(
        id: EventId,
        source: impl Into<Arc<str>>,
        kind: impl Into<Arc<str>>,
        time: SystemTime,
    ) -> EventBuilder {
        EventBuilder(Self {
            id,
            source: source.into(),
            kind: kind.into(),
            subject: None,
            time,
            content_type: None,
            data: Bytes::new(),
            extra: Extra::default(),
        })
    }

    /// Returns `id`.
    pub fn id(&self) -> EventId {
        self.id
    }

    /// Returns `source`: the context in which it happened, a URI reference.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Returns `type`: what happened, such as `order.created`.
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// Returns `subject`: whom it happened to, such as the order's identity. It is the key of order per key.
    pub fn subject(&self) -> Option<&str> {
        self.subject.as_deref()
    }

    /// Returns `time`: when it happened.
    pub fn time(&self) -> SystemTime {
        self.time
    }

    /// Returns `datacontenttype`: the media type of the data.
    pub fn content_type(&self) -> Option<&str> {
        self.content_type.as_deref()
    }

    /// Returns `dataschema`: the URI of the schema that the data follows.
    pub fn data_schema(&self) -> Option<&str> {
        self.extra.data_schema()
    }

    /// Returns the extension attributes, by name.
    pub fn extensions(&self) -> &BTreeMap<String, String> {
        self.extra.extensions()
    }

    /// Returns the trace that the event was made in (the distributed tracing extension of CloudEvents).
    pub fn trace(&self) -> Option<TraceContext> {
        self.extra.trace()
    }

    /// Returns the data, as encoded by whoever made the event.
    pub fn data(&self) -> &Bytes {
        &self.data
    }

    /// Returns about how many bytes the event takes, its attributes too.
    pub fn weight(&self) -> usize {
        let texts = [Some(&self.source), Some(&self.kind), self.subject.as_ref(), self.content_type.as_ref()];
        let texts: usize = texts.into_iter().flatten().map(|text| text.len()).sum();
        size_of::<Self>() + texts + self.extra.weight() + self.data.len()
    }

    /// Goes on making the event, such as to add an attribute; [`EventBuilder::build`] leaves its data as they are.
    pub fn edit(self) -> EventBuilder {
        EventBuilder(self)
    }

    pub(crate) fn set_data_schema(&mut self, uri: Option<Arc<str>>) {
        if uri.is_some() || self.extra.is_some() {
            self.extra.change().data_schema = uri;
        }
    }

    pub(crate) fn set_trace(&mut self, trace: Option<TraceContext>) {
        if trace.is_some() || self.extra.is_some() {
            self.extra.change().trace = trace;
        }
    }

    pub(crate) fn set_extensions(&mut self, extensions: BTreeMap<String, String>) {
        if !extensions.is_empty() || self.extra.is_some() {
            self.extra.change().extensions = extensions;
        }
    }

    pub(crate) fn put_extension(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.extra.change().extensions.insert(name.into(), value.into());
    }

    pub(crate) fn take_extension(&mut self, name: &str) -> Option<String> {
        if self.extensions().contains_key(name) { self.extra.change().extensions.remove(name) } else { None }
    }
}

/// An event in the making; see [`Event::new`].
#[derive(Debug, Clone)]
pub struct EventBuilder(Event);

impl EventBuilder {
    /// Replaces the identity.
    #[must_use]
    pub fn id(mut self, id: EventId) -> Self {
        self.0.id = id;
        self
    }

    /// Sets whom it happened to.
    #[must_use]
    pub fn subject(mut self, subject: impl Into<Arc<str>>) -> Self {
        self.0.subject = Some(subject.into());
        self
    }

    /// Sets whom it happened to, if that is known.
    #[must_use]
    #[inline]
    pub fn maybe_subject(mut self, subject: Option<Arc<str>>) -> Self {
        self.0.subject = subject;
        self
    }

    /// Replaces the time.
    #[must_use]
    pub fn time(mut self, time: SystemTime) -> Self {
        self.0.time = time;
        self
    }

    /// Sets the URI of the data's schema.
    #[must_use]
    pub fn data_schema(mut self, uri: impl Into<Arc<str>>) -> Self {
        self.0.set_data_schema(Some(uri.into()));
        self
    }

    /// Sets an extension attribute; CloudEvents wants lower-case letters and digits in its name.
    #[must_use]
    pub fn extension(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.0.put_extension(name, value);
        self
    }

    /// Sets the trace that the event is made in.
    #[must_use]
    pub fn trace(mut self, trace: TraceContext) -> Self {
        self.0.set_trace(Some(trace));
        self
    }

    /// Sets the media type of the data; [`EventBuilder::data`] sets both at once.
    #[must_use]
    pub fn content_type(mut self, content_type: impl Into<Arc<str>>) -> Self {
        self.0.content_type = Some(content_type.into());
        self
    }

    /// Sets the media type of the data, if it is known.
    #[must_use]
    #[inline]
    pub fn maybe_content_type(mut self, content_type: Option<Arc<str>>) -> Self {
        self.0.content_type = content_type;
        self
    }

    /// Finishes the event with `data` whose media type was set before, or is left unsaid.
    pub fn bytes(mut self, data: impl Into<Bytes>) -> Event {
        self.0.data = data.into();
        self.0
    }

    /// Finishes the event with `data` of the media type `content_type`.
    pub fn data(mut self, content_type: impl Into<Arc<str>>, data: impl Into<Bytes>) -> Event {
        self.0.content_type = Some(content_type.into());
        self.0.data = data.into();
        self.0
    }

    /// Finishes the event with `data` as JSON.
    ///
    /// # Errors
    /// `data` cannot be written as JSON.
    pub fn json<T: serde::Serialize>(self, data: &T) -> Result<Event, serde_json::Error> {
        Ok(self.data("application/json", serde_json::to_vec(data)?))
    }

    /// Finishes the event without data, or with what [`Event::edit`] found.
    pub fn build(self) -> Event {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identities_sort_by_time_of_making_and_survive_text() {
        let ids: Vec<EventId> = (0..1000).map(|_| EventId::generate()).collect();
        assert!(ids.is_sorted_by(|a, b| a < b));
        assert_eq!(ids[0].to_string().parse(), Ok(ids[0]));
        assert_eq!(EventId::from_u128(ids[0].as_u128()), ids[0]);
    }

    #[test]
    fn a_new_event_has_what_was_set_and_nothing_else() {
        let bare = Event::new("/orders", "order.created").build();
        assert_eq!((bare.source(), bare.kind(), bare.subject()), ("/orders", "order.created", None));
        assert_eq!((bare.content_type(), bare.data_schema(), bare.trace()), (None, None, None));
        assert!(bare.extensions().is_empty() && bare.data().is_empty());

        let restored = Event::restore(bare.id(), "/orders", "order.created", bare.time());
        assert_eq!(restored.clone().build(), bare);
        let json = restored.extension("tenant", "a").json(&[1, 2]).expect("numbers are JSON");
        assert_eq!((json.content_type(), &json.data()[..]), (Some("application/json"), &b"[1,2]"[..]));
        assert_eq!(json.extensions().get("tenant").map(String::as_str), Some("a"));
    }

    #[test]
    fn an_event_equals_one_that_never_had_what_was_taken_off_it() {
        let bare = Event::new("/orders", "order.created").build();
        let mut other = bare.clone().edit().extension("tenant", "a").build();
        assert_ne!(other, bare);
        assert_ne!(bare, other);
        assert_eq!(other.take_extension("tenant").as_deref(), Some("a"));
        assert_eq!((&other, &bare), (&bare, &other));
        assert_eq!(other.take_extension("tenant"), None);
    }

    #[test]
    fn a_change_leaves_clones_as_they_are() {
        let event = Event::new("/orders", "order.created").extension("tenant", "a").build();
        let changed = event.clone().edit().extension("tenant", "b").data_schema("/schema").build();
        assert_eq!((&*event.extensions()["tenant"], event.data_schema()), ("a", None));
        assert_eq!((&*changed.extensions()["tenant"], changed.data_schema()), ("b", Some("/schema")));
    }
}
