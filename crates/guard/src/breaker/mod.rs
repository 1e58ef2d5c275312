//! Circuit breaker: fails fast while the callee is unwell, and lets a few probes find out when it is well again.
//!
//! Two signals trip it, for each misses what the other sees: a failure ratio over the last calls finds a callee that
//! fails often, consecutive failures find one that is gone before the window has filled.
//!
//! - *Closed*: calls pass; the last outcomes are kept as bits.
//! - *Open*: calls are refused with the time until the next probe.
//! - *Half-open*: exactly [`probes`](BreakerPolicy::probes) calls are let through. When all succeed it closes, when
//!   one fails it opens again. A probe whose future is dropped gives its place to the next call; when probes hang
//!   beyond [`probing_for`](BreakerPolicy::probing_for) the next call opens it again. So it always resolves.
//!
//! A dropped call says nothing about the callee unless its deadline had passed when it was dropped: then the callee
//! was too slow, which is a failure. An outcome counts only in the state in which its call was let through: calls
//! that were under way when the breaker opened do not count once it is half-open.

mod future;
mod handle;
mod layer;
#[cfg(test)]
mod model;
mod permit;
mod policy;
mod registry;
mod service;
mod state;
#[cfg(test)]
mod tests;
mod window;

pub use future::BreakerFuture;
pub use handle::Breaker;
pub use handle::Snapshot;
pub use layer::BreakerLayer;
pub use permit::Permit;
pub use policy::BreakerPolicy;
pub use registry::Registry;
pub use service::BreakerService;
pub use state::Counts;
pub use state::Phase;
