//! Hedging: asking a second time when the first answer takes unusually long, and taking whichever comes first (Dean and
//! Barroso, *The Tail at Scale*, CACM 56.2, 2013).
//!
//! - Only what is [idempotent](steadfast_base::Context::is_idempotent) is asked twice.
//! - *Unusually long* is a percentile of the latencies of the last minute, not a constant: a constant that is right
//!   today asks for everything twice on the day on which the callee has become slower.
//! - A call that was overtaken by its hedge, or given up, counts with the time that it had taken by then. So the
//!   percentile is that of the callee and not that of the hedged calls, which would make the delay ever shorter.
//! - Hedges are paid from a [`Budget`](steadfast_base::Budget): however slow the callee, they stay a share of the calls.
//! - The loser is dropped as soon as there is a winner.
//!
//! A failure is no reason for a hedge: repeating is [`retry`](crate::retry)'s. A failure that comes while the other
//! attempt is under way waits for that. A hedge helps where it meets another replica than the first, so a balancer
//! stands below; and nothing is refused by this guard, so it has no error.

mod future;
mod handle;
mod latencies;
mod layer;
mod policy;
mod service;
#[cfg(test)]
mod tests;

pub use future::HedgeFuture;
pub use handle::Hedge;
pub use handle::Snapshot;
pub use layer::HedgeLayer;
pub use policy::HedgePolicy;
pub use service::HedgeService;
