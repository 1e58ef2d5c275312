//! What transports have in common that spread keys over shards and give each shard to one receiver of a group at a
//! time.

mod key;
mod seen;
mod state;
#[cfg(all(test, feature = "nats"))]
mod tests;

pub(crate) use key::shard_of;
pub(crate) use seen::{Member, Seen};
#[cfg(feature = "redis")]
pub(crate) use state::Word;
pub(crate) use state::{Kind, State};
