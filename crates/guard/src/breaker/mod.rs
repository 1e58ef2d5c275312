//! Circuit breaker: fails fast while the callee is unwell, and lets a few probes find out when it is well again.
//!
//! Three signals trip it, for each misses what the others see: a failure ratio over the last calls finds a callee that
//! fails often, a ratio of slow calls one that is drowning, and consecutive failures find one that is gone before the
//! window has filled.
//!
//! - *Closed*: calls pass. A success only counts, on a counter of its own thread; the state machine fetches the counts
//!   when something else happens. So threads do not contend for a closed breaker.
//! - *Open*: calls are refused with the time until the next probe.
//! - *Half-open*: exactly [`probes`](BreakerPolicy::probes) calls are let through. When all succeed it closes, when
//!   one fails or is slow it opens again. A probe whose future is dropped gives its place to the next call; when probes
//!   hang beyond [`probing_for`](BreakerPolicy::probing_for) the next call opens it again. So it always resolves.
//!
//! A dropped call says nothing about the callee unless its deadline had passed when it was dropped, or it was slow:
//! then the callee failed, or was slow. An outcome counts only in the state in which its call was let through: calls
//! that were under way when the breaker opened do not count once it is half-open. Calls that are still under way count
//! as slow once they have taken too long, so that a callee which hangs is noticed while it hangs.
//!
//! Changes are told as events of `tracing` with their [`Cause`], and to those who [subscribe](Registry::subscribe).

mod change;
mod error;
mod future;
mod gate;
mod handle;
mod layer;
#[cfg(test)]
mod model;
mod news;
mod permit;
mod phase;
mod policy;
mod registry;
mod service;
mod state;
#[cfg(test)]
mod tests;
mod window;
mod young;

pub use change::Cause;
pub use change::Change;
pub use error::BreakerOpen;
pub use future::BreakerFuture;
pub use handle::Breaker;
pub use layer::BreakerLayer;
pub use permit::Permit;
pub use phase::Counts;
pub use phase::Phase;
pub use phase::Snapshot;
pub use policy::BreakerPolicy;
pub use policy::SlowCalls;
pub use policy::Window;
pub use registry::Registry;
pub use service::BreakerService;
