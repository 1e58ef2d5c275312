//! Snapshots: what replaying a stream up to some revision has made, kept so that it need not be replayed again.
//!
//! A snapshot is never the truth. One that no longer decodes, that a newer codec has replaced, or that is ahead of its
//! stream is dropped, and the state is rebuilt from the events.

mod codec;
mod memory;
mod place;
mod policy;
mod stored;

pub use codec::JsonSnapshots;
pub use codec::NotDecoded;
pub use codec::SnapshotCodec;
pub use memory::MemorySnapshots;
pub use place::KnownCommand;
pub use place::Snapshot;
pub use place::Snapshots;
pub use policy::Since;
pub use policy::SnapshotPolicy;
pub use stored::StoredSnapshots;
