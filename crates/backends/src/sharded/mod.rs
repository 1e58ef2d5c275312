//! What transports have in common that spread keys over shards, and of those that give each shard to one receiver of a
//! group at a time.

mod key;
#[cfg(any(feature = "nats", feature = "redis"))]
mod seen;
#[cfg(any(feature = "nats", feature = "redis"))]
mod state;
#[cfg(all(test, feature = "nats"))]
mod tests;

pub(crate) use key::shard_of;
#[cfg(any(feature = "nats", feature = "redis"))]
pub(crate) use seen::{Member, Seen};
#[cfg(feature = "redis")]
pub(crate) use state::Word;
#[cfg(any(feature = "nats", feature = "redis"))]
pub(crate) use state::{Kind, State};
