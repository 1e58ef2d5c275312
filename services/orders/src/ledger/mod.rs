//! What `payment` and `inventory` share beside core's [`Repository`](steadfast::core::repository::Repository): how
//! their events are written, a view that follows the log, and turns by key, which `orders` takes too.

mod codec;
mod locks;
mod status;
#[cfg(test)]
pub(crate) mod testing;
mod view;

pub use codec::OrderEvents;
pub use codec::decode;
pub use locks::Crowded;
pub use locks::Held;
pub use locks::Locks;
pub use status::status;
pub use view::Behind;
pub use view::LogView;
