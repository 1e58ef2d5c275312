use super::is_forgotten;
use crate::repository::EventCodec;
use crate::snapshot::NotDecoded;
use crate::{Aggregate, Event};

/// An [`EventCodec`] that gives an aggregate something else for an event whose data were forgotten, made of the
/// attributes that are left.
///
/// # Examples
/// ```
/// use serde::{Deserialize, Serialize};
/// use steadfast_core::Event;
/// use steadfast_core::encryption::Forgetful;
/// use steadfast_core::repository::JsonEvents;
///
/// #[derive(Serialize, Deserialize)]
/// enum Customer { Registered { name: String }, Forgotten }
///
/// let events = JsonEvents::new("/customers", |event: &Customer| match event {
///     Customer::Registered { .. } => "customer.registered",
///     Customer::Forgotten => "customer.forgotten",
/// });
/// let events = Forgetful::new(events, |_: &Event| Customer::Forgotten);
/// # let _ = events;
/// ```
#[derive(Debug, Clone)]
pub struct Forgetful<C, F> {
    codec: C,
    forgotten: F,
}

impl<C, F> Forgetful<C, F> {
    /// Makes a codec that decodes by `codec`, and by `forgotten` what was forgotten.
    pub fn new<E>(codec: C, forgotten: F) -> Self
    where
        F: Fn(&Event) -> E,
    {
        Self { codec, forgotten }
    }
}

impl<A, C, F> EventCodec<A> for Forgetful<C, F>
where
    A: Aggregate,
    C: EventCodec<A>,
    F: Fn(&Event) -> A::Event + Send + Sync + 'static,
{
    fn encode(&self, name: &str, event: &A::Event) -> Result<Event, NotDecoded> {
        self.codec.encode(name, event)
    }

    fn decode(&self, event: &Event) -> Result<A::Event, NotDecoded> {
        if is_forgotten(event) { Ok((self.forgotten)(event)) } else { self.codec.decode(event) }
    }
}
