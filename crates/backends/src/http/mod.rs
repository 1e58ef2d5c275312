//! HTTP: events that others post to us, and events that we post to others, as CloudEvents in binary, structured and
//! batched mode ([HTTP binding 1.0.2](https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/http-protocol-binding.md)).
//!
//! - [`Intake`] is an axum router that hands what is posted to a [`Sink`](steadfast_core::transport::Sink): any
//!   transport, an event store ([`StoreSink`]) or a topic of the bus ([`TopicSink`]). It answers 202 only once the
//!   durability asked for is achieved, and says which one was.
//! - [`HttpSource`] is an intake with a queue in memory, so that what is posted can be received.
//! - [`HttpSink`] posts events to a URL.
//! - [`Signature`] proves who posted: Standard Webhooks, GitHub, Shopify and their like. [`Plain`] takes webhooks
//!   that are not CloudEvents.
//!
//! What an intake answers; each refusal is a problem document (RFC 9457):
//!
//! | status | when |
//! |---|---|
//! | 202 | all events are taken, with the durability in the body and in the header [`DURABILITY_HEADER`] |
//! | 400 | not a CloudEvent, or one that the specification forbids; the detail names the attribute |
//! | 401 | the signature is missing, wrong, or its time is outside the tolerance |
//! | 405 | any method but POST |
//! | 408 | the body did not arrive within the deadline |
//! | 413 | the body or the batch is too long |
//! | 415 | neither a media type of CloudEvents nor attributes in headers; an encoding other than UTF-8 |
//! | 422 | the sink rejects an event for good |
//! | 429 | too many requests in flight, or the sink takes no more: again after `Retry-After` |
//! | 500 | the sink is misconfigured or denies access |
//! | 503 | the intake closes, or the sink cannot be reached: again after `Retry-After` |
//! | 504 | the deadline passed; whether the events are taken is unknown, posting them again is safe |
//!
//! After 503 and 504 some events of a batch may have been taken. Post the same again: an event's identity stays the
//! same, so that stores, transports that [deduplicate](steadfast_core::transport::Capabilities::deduplicates) and
//! inboxes recognise it.

mod config;
mod intake;
mod into;
mod signature;
mod sink;
mod source;

pub use config::Config;
pub use config::Plain;
pub use intake::DURABILITY_HEADER;
pub use intake::Intake;
pub use intake::Metrics;
pub use into::StoreSink;
pub use into::TopicSink;
pub use signature::Encoding;
pub use signature::Scheme;
pub use signature::Signature;
pub use sink::HttpSink;
pub use sink::Mode;
pub use sink::SinkConfig;
pub use source::HttpSource;

/// The name that errors and metrics give to this transport.
const SYSTEM: &str = "http";
