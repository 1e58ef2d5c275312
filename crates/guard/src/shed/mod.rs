//! Load shedding: as many calls at a time as the callee can bear, found by watching how long they take, and a short
//! queue from which those are dropped that would be served too late anyway.
//!
//! # The limit
//! A callee that has more to do than it can takes longer. So the limit follows the *gradient*, the ratio between the
//! latency without load and the latency now, as TCP Vegas and the library concurrency-limits (Gradient2) do: it grows
//! by a share of its square root while the ratio is near 1, and shrinks by half of what the ratio says when it is not.
//!
//! What decides is how the latency without load, the *baseline*, is known. Gradient2 takes a long average of the
//! latency, so that in a long incident slow becomes normal, the limit grows to its maximum, and that makes it slower
//! still. Vegas takes the least latency ever seen and forgets it now and then, under whatever load there is just then.
//! Here the baseline rises by one thing only, a *probe*: every [`probe_every`](ShedPolicy::probe_every) the limit is
//! halved until what is under way has come down to that, and the calls that begin then are measured, as BBR does for
//! the round-trip time (Cardwell and others, ACM Queue 14.5, 2016). If calls are slow because there are too many, those
//! are fast, and the baseline stays; if the callee has become slower whatever the load, the baseline rises.
//!
//! Only successes show that a callee is fast: a failure counts when it took longer than the baseline, and so does a
//! call that was dropped after its deadline.
//!
//! # The queue
//! Whoever finds no room waits, as long as [`wait_max`](ShedPolicy::wait_max). When the queue has not been empty for
//! that long it is a standing one, which only adds latency: then nobody waits longer than
//! [`wait_target`](ShedPolicy::wait_target), and the newest goes first, until nobody has been turned away for as long. This is CoDel (Nichols and Jacobson, ACM Queue
//! 10.5, 2012) as servers use it (Maurer, *Fail at Scale*, ACM Queue 13.8, 2015).
//!
//! Each [`Priority`](steadfast_base::Priority) has a queue of its own in this, so that what matters more does not feel
//! that what matters less stands. Room goes to the one that matters most, and where all places are taken a call takes the
//! place of one that matters less: no call is refused for want of a place while one that matters less has one.

mod error;
mod future;
mod gradient;
mod handle;
mod layer;
mod permit;
mod policy;
mod service;
#[cfg(test)]
mod tests;

pub use error::Error;
pub use future::ShedFuture;
pub use handle::Shed;
pub use handle::Snapshot;
pub use layer::ShedLayer;
pub use policy::ShedPolicy;
pub use service::ShedService;
