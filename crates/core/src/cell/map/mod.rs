//! A hash table of which readers take no lock.
//!
//! Keys are spread over shards, and within a shard over buckets of about two entries. A bucket is immutable: a change
//! copies it, which copies a few pointers, and puts the copy in its place. A reader therefore needs to find the
//! bucket's place and take what lies there, both without writing to memory that another reader writes to.
//!
//! A shard grows by splitting all of its buckets, under the lock of writers. Each bucket says by how many bits of the
//! hash it was chosen. A reader that still counts by fewer bits than the bucket it has found knows by that that the
//! bucket has been split since, and looks again by as many bits as the bucket says. The upper half of a bucket is in
//! its place before the lower half takes the place of the whole, so that no entry is ever nowhere.
//! Places never move: they are kept in segments, each as long as all before it together.

mod bucket;
mod entries;
mod entry;
#[allow(clippy::module_inception, reason = "the type after which the folder is named")]
mod map;
mod shard;
mod watch;

pub use entries::Entries;
pub use entry::Entry;
pub use map::CellMap;
pub use watch::KeyWatch;

#[cfg(all(test, loom))]
pub(super) use shard::Shard;
