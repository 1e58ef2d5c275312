//! Bulkhead: at most so many calls at a time, and a bounded queue for those who wait, so that one slow callee or one
//! greedy caller does not take everything down with it.
//!
//! The queue is first in, first out. When it has not been empty for [`newest_first_after`] there is overload, until
//! nobody has been turned away, nor has waited in vain, for as long, and the newest goes first: whoever came last has
//! the most time left to use an answer, while first in, first out would serve everybody just too late (Maurer, *Fail at
//! Scale*, ACM Queue 13.8, 2015). Under overload a newcomer takes the place of the oldest in a full queue. Where calls
//! differ in [`Priority`](steadfast_base::Priority), those that matter more go first and take the place of those that
//! matter less, and each class has an overload of its own.
//!
//! Room is taken when a call is made, not when the service is polled ready, so a clone that was polled ready and is
//! never called holds nothing.
//!
//! [`newest_first_after`]: BulkheadPolicy::newest_first_after

mod error;
mod future;
mod handle;
mod layer;
mod policy;
mod service;
#[cfg(test)]
mod tests;

pub use error::Error;
pub use future::BulkheadFuture;
pub use handle::Bulkhead;
pub use handle::Snapshot;
pub use layer::BulkheadLayer;
pub use policy::BulkheadPolicy;
pub use service::BulkheadService;
