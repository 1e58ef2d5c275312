//! A hash table of which readers disturb one another as little as can be.
//!
//! Keys are spread over shards, each a table under a lock of its own. Such a lock has several parts on cache lines of
//! their own: a reader takes the one that belongs to its thread, and only a writer takes all. So readers, also those
//! of one key, write to no memory that another reads or writes.
//!
//! Values lie in the table itself, and readers take a copy of theirs. There is no pointer to follow for small ones, and
//! what is costly to copy is put into an `Arc`.

mod entry;
#[allow(clippy::module_inception, reason = "the type after which the folder is named")]
mod map;
mod shard;
mod watch;

pub use entry::Entry;
pub use map::CellMap;
pub use watch::KeyWatch;
