use serde::Serialize;
use serde::de::DeserializeOwned;
use steadfast::core::{Aggregate, Event};

use crate::orders::domain::OrderId;

/// An aggregate whose events are written to the log as JSON.
pub trait Recorded:
    Aggregate<Event: Serialize + DeserializeOwned + Sync, Error: Send, Command: Sync> + Clone + Sync
{
    /// The `source` of the events, such as `/payment`.
    const SOURCE: &'static str;
    /// How names of streams begin, such as `charge-`.
    const PREFIX: &'static str;

    /// Returns the type of an event, such as `payment.charged`.
    fn kind(event: &Self::Event) -> &'static str;

    /// Returns the order that it happened for.
    fn subject(event: &Self::Event) -> OrderId;

    /// Makes the event to be stored.
    fn encode(event: &Self::Event) -> Event {
        Event::new(Self::SOURCE, Self::kind(event))
            .subject(Self::subject(event).to_string())
            .json(event)
            .expect("a plain structure can be written as JSON")
    }

    /// Reads a stored event.
    ///
    /// # Errors
    /// The data is not what [`encode`](Self::encode) wrote.
    fn decode(event: &Event) -> Result<Self::Event, serde_json::Error> {
        serde_json::from_slice(event.data())
    }
}
