//! How events of orders and confirmations stand in the log: streams, types, and the command that caused them.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use sha2::{Digest, Sha256};
use steadfast::base::TraceContext;
use steadfast::core::Event;
use steadfast::core::store::{self, StoredEvent};

use super::domain::{self, OrderId};
use super::process;
use crate::host::Key;

const SOURCE: &str = "/orders";
const ORDER: &str = "order-";
const CONFIRMATION: &str = "confirmation-";
/// An extension attribute: the key of the command that caused the event.
pub const COMMAND_ID: &str = "commandid";
const FINGERPRINT: &str = "fingerprint";

/// The type of the event that an order was shipped.
pub const SHIPPED: &str = "order.shipped";
/// The type of the event that a customer was told of a shipment.
pub const NOTICE_SENT: &str = "notice.sent";

/// The types of the events of orders.
pub const ORDER_KINDS: [&str; 5] =
    ["order.created", "order.confirmed", SHIPPED, "order.returned", "order.cancelled"];

/// The command that caused an event: it is stored with the event, so that a repetition is recognised for as long
/// as the log lives.
#[derive(Debug, Clone)]
pub struct Cause {
    /// The command's idempotency key.
    pub key: Key,
    /// What was asked under that key.
    pub fingerprint: Fingerprint,
    /// The trace that the command came in.
    pub trace: Option<TraceContext>,
}

/// The SHA-256 of a request's path and body: another request under the same key has another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// Computes the fingerprint of a request.
    pub fn of(path: &str, body: &[u8]) -> Self {
        Self(Sha256::new().chain_update(path).chain_update([b'\n']).chain_update(body).finalize().into())
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for Fingerprint {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut bytes = [0; 32];
        for (n, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(text.get(2 * n..2 * n + 2).unwrap_or_default(), 16)?;
        }
        Ok(Self(bytes))
    }
}

/// What one event of the log says.
#[derive(Debug, Clone)]
pub enum Entry {
    /// Something happened to an order.
    Order(domain::Event),
    /// Something happened to the confirmation of an order.
    Confirmation(process::Event),
}

/// Returns the stream of an order.
pub fn order_stream(id: OrderId) -> Arc<str> {
    format!("{ORDER}{id}").into()
}

/// Returns the stream of an order's confirmations.
pub fn confirmation_stream(id: OrderId) -> Arc<str> {
    format!("{CONFIRMATION}{id}").into()
}

/// Makes the event to be stored.
pub fn encode(id: OrderId, entry: &Entry, cause: &Cause) -> Event {
    let mut event = Event::new(SOURCE, kind(entry))
        .subject(id.to_string())
        .extension(COMMAND_ID, cause.key.as_str())
        .extension(FINGERPRINT, cause.fingerprint.to_string());
    if let Some(trace) = cause.trace {
        event = event.trace(trace);
    }
    match entry {
        Entry::Order(domain::Event::Created(details)) => event.json(&**details),
        Entry::Confirmation(process::Event::Failed(reason)) => event.json(reason),
        Entry::Order(_) | Entry::Confirmation(_) => return event.build(),
    }
    .expect("a plain structure can be written as JSON")
}

/// Reads an event of the log; none for one of another kind of stream.
///
/// # Errors
/// [`store::Error::Damaged`] when it is not what [`encode`] wrote.
pub fn decode(stored: &StoredEvent) -> Result<Option<(OrderId, Entry, Cause)>, store::Error> {
    let damaged = |problem: String| store::Error::Damaged {
        place: format!("event {} of stream `{}`", stored.revision, stored.stream),
        problem,
    };
    let event = &stored.event;
    let id = match stored.stream.strip_prefix(ORDER).or_else(|| stored.stream.strip_prefix(CONFIRMATION)) {
        Some(id) => id.parse().map_err(|error: domain::Invalid| damaged(error.to_string()))?,
        None => return Ok(None),
    };
    let json = |error: serde_json::Error| damaged(error.to_string());
    let entry = match event.kind() {
        "order.created" => {
            let details = serde_json::from_slice(event.data()).map_err(json)?;
            Entry::Order(domain::Event::Created(Arc::new(details)))
        }
        "order.confirmed" => Entry::Order(domain::Event::Confirmed),
        SHIPPED => Entry::Order(domain::Event::Shipped),
        "order.returned" => Entry::Order(domain::Event::Returned),
        "order.cancelled" => Entry::Order(domain::Event::Cancelled),
        "confirmation.requested" => Entry::Confirmation(process::Event::Requested),
        "confirmation.failed" => {
            let reason = serde_json::from_slice(event.data()).map_err(json)?;
            Entry::Confirmation(process::Event::Failed(reason))
        }
        "confirmation.completed" => Entry::Confirmation(process::Event::Completed),
        other => return Err(damaged(format!("unknown type `{other}`"))),
    };
    let attribute = |name: &str| {
        event.extensions().get(name).cloned().ok_or_else(|| damaged(format!("it has no attribute `{name}`")))
    };
    let cause = Cause {
        key: Key::try_from(attribute(COMMAND_ID)?).map_err(|error| damaged(error.to_string()))?,
        fingerprint: attribute(FINGERPRINT)?.parse().map_err(|_| damaged("wrong fingerprint".to_owned()))?,
        trace: event.trace(),
    };
    Ok(Some((id, entry, cause)))
}

/// Returns the key of the command that caused a stored event.
pub fn command_id(event: &Event) -> Option<&str> {
    event.extensions().get(COMMAND_ID).map(String::as_str)
}

/// Returns the type of the stored event.
pub fn kind(entry: &Entry) -> &'static str {
    match entry {
        Entry::Order(domain::Event::Created(_)) => "order.created",
        Entry::Order(domain::Event::Confirmed) => "order.confirmed",
        Entry::Order(domain::Event::Shipped) => SHIPPED,
        Entry::Order(domain::Event::Returned) => "order.returned",
        Entry::Order(domain::Event::Cancelled) => "order.cancelled",
        Entry::Confirmation(process::Event::Requested) => "confirmation.requested",
        Entry::Confirmation(process::Event::Failed(_)) => "confirmation.failed",
        Entry::Confirmation(process::Event::Completed) => "confirmation.completed",
    }
}
