//! Events on the wire: the attributes of CloudEvents 1.0.2 and its JSON formats, whatever the transport.
//!
//! - **Binary mode**: [`attributes`] gives the attributes of an event as names and texts, [`Assembly`] makes an event
//!   of them; a transport puts them into its headers (HTTP and NATS `ce-NAME`, Kafka `ce_NAME`), where needed by
//!   [`percent`], and the data into the body.
//! - **Structured mode**: [`to_json`] and [`from_json`], media type [`JSON`].
//! - **Batched mode**: [`to_json_batch`] and [`from_json_batch`], media type [`JSON_BATCH`].
//!
//! What is read back equals what was written, in each mode, with these rules where CloudEvents leaves more open than
//! an [`Event`](crate::Event) does:
//! - **`id`** is any text, an [`EventId`](crate::EventId) a UUID. A text that is not a UUID in its usual writing
//!   becomes a UUID of version 5 made of `source` and `id` (see [`foreign_id`]), so that a repetition has the same
//!   identity, and is kept in the extension [`FOREIGN_ID`]. Such an event is written with the `id` that it came with.
//! - **`time`** is a UTC instant in nanoseconds; other offsets are converted, finer digits cut. An event that came
//!   without it gets the time that the transport says it was received at.
//! - **Extensions** are texts; booleans and integers in JSON become their canonical text. `null` is an absent attribute.
//! - **`traceparent`** is [`Event::trace`](crate::Event::trace). One that is not valid is left out, as W3C Trace
//!   Context asks for.
//! - **Empty data** is no data. JSON data keeps its text, but for white space around it in JSON formats.

mod assembly;
mod attributes;
mod error;
mod id;
mod json;
mod name;
pub mod percent;
pub mod rfc3339;
#[cfg(test)]
mod tests;

pub use assembly::Assembly;
pub use assembly::from_attributes;
pub use attributes::Attributes;
pub use attributes::attributes;
pub use error::Error;
pub use id::FOREIGN_ID;
pub use id::foreign_id;
pub use json::JSON;
pub use json::JSON_BATCH;
pub use json::from_json;
pub use json::from_json_batch;
pub use json::to_json;
pub use json::to_json_batch;

/// The version of CloudEvents that is written, and the only one that is read.
pub const SPEC_VERSION: &str = "1.0";
