use serde::Serialize;
use serde::de::DeserializeOwned;
use steadfast::core::repository::EventCodec;
use steadfast::core::snapshot::NotDecoded;
use steadfast::core::{Aggregate, Event};

use crate::orders::domain::OrderId;

/// Writes events as JSON, each with the order that it happened for as its subject.
#[derive(Debug, Clone, Copy)]
pub struct OrderEvents<E> {
    /// The `source` of the events, such as `/payment`.
    pub source: &'static str,
    /// Names the type of an event, such as `payment.charged`.
    pub kind: fn(&E) -> &'static str,
    /// Names the order that an event happened for.
    pub order: fn(&E) -> OrderId,
}

impl<A> EventCodec<A> for OrderEvents<A::Event>
where
    A: Aggregate<Event: Serialize + DeserializeOwned>,
{
    fn encode(&self, _name: &str, event: &A::Event) -> Result<Event, NotDecoded> {
        Event::new(self.source, (self.kind)(event))
            .subject((self.order)(event).to_string())
            .json(event)
            .map_err(NotDecoded::new)
    }

    fn decode(&self, event: &Event) -> Result<A::Event, NotDecoded> {
        decode(event)
    }
}

/// Reads an event that [`OrderEvents`] wrote.
///
/// # Errors
/// It is none.
pub fn decode<E: DeserializeOwned>(event: &Event) -> Result<E, NotDecoded> {
    serde_json::from_slice(event.data()).map_err(NotDecoded::new)
}
