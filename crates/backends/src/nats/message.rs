//! An event as a message: a header `ce-NAME` for each attribute, and the data as payload.

use std::time::SystemTime;

use async_nats::{HeaderMap, HeaderName, HeaderValue, Message};
use steadfast_core::Event;
use steadfast_core::cloudevents::{self, Assembly, percent};
use steadfast_core::transport::Error;

use super::SYSTEM;

const PREFIX: &str = "ce-";
/// The header by which the server recognises a message that was sent before.
const MESSAGE_ID: &str = "Nats-Msg-Id";

/// Returns the headers of the message for `event`.
pub(super) fn headers(event: &Event) -> Result<HeaderMap, Error> {
    let rejected = |reason: String| Error::Rejected { system: SYSTEM, reason };
    let mut headers = HeaderMap::new();
    for (name, value) in cloudevents::attributes(event).map_err(|error| rejected(error.to_string()))? {
        let name: HeaderName = format!("{PREFIX}{name}")
            .parse()
            .map_err(|_| rejected(format!("`{name}` cannot be a header")))?;
        let value: HeaderValue = percent::encode(&value)
            .parse()
            .map_err(|_| rejected(format!("the value of `{name}` cannot be a header's")))?;
        headers.insert(name, value);
    }
    headers.insert(MESSAGE_ID, event.id().to_string());
    Ok(headers)
}

/// Reads the event of a message that was stored at `stored`.
pub(super) fn decode(message: &Message, stored: SystemTime) -> Result<Event, String> {
    let mut assembly = Assembly::new();
    for (name, values) in message.headers.iter().flat_map(HeaderMap::iter) {
        let name: &str = name.as_ref();
        let Some(name) = name.strip_prefix(PREFIX) else { continue };
        for value in values {
            let value = percent::decode(value.as_str().as_bytes())
                .ok_or_else(|| format!("the value of `{name}` is no UTF-8"))?;
            assembly.set(name, &value).map_err(|error| error.to_string())?;
        }
    }
    assembly.finish(message.payload.clone(), stored).map_err(|error| error.to_string())
}
