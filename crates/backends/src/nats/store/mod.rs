//! An event store in a stream of NATS JetStream, NATS 2.10 or later.

mod access;
mod bell;
mod delete;
mod error;
mod ids;
mod known;
mod layout;
mod load;
mod message;
mod open;
mod read;
mod settings;
mod stream;
mod subject;
mod writer;

pub use open::NatsStore;
pub use settings::Settings;
