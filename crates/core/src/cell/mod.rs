//! State that many read and few change at the same time: [`Cell`] holds one value, [`CellMap`] one per key.
//!
//! Both hand out values with a version. Readers do not slow each other down, however many there are; those of a cell
//! wait for nobody at all. A change puts a new value in the place of the old one, says whether anything changed, and
//! can be made to depend on the version that it was decided by. Who wants to hear of changes watches.
//!
//! # Which to use
#![doc = include_str!("choice.md")]

#[allow(clippy::module_inception, reason = "the type after which the folder is named")]
mod cell;
mod error;
mod map;
#[cfg(all(test, loom))]
mod model;
mod snapshot;
mod sync;
#[cfg(test)]
mod tests;
mod watch;

pub use cell::Cell;
pub use error::Closed;
pub use map::CellMap;
pub use map::Entry;
pub use map::KeyWatch;
pub use snapshot::Snapshot;
pub use watch::Watch;
