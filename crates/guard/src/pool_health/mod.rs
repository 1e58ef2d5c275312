//! Pool health: finds connections that died while nobody used them, before a caller does.
//!
//! A connection that lies idle in a pool can be dead without a sign: the server was restarted, a firewall forgot it, the
//! peer hangs. The caller that gets it waits until its own time is up. A [`PoolHealth`] looks first. On a jittered timer
//! it borrows idle connections, checks each (`SELECT 1`, `PING`, a health call), gives back those that answer and evicts
//! those that fail or take longer than [`check_within`](PoolHealthPolicy::check_within).
//!
//! It is careful with what callers need:
//!
//! - It never waits for a connection, and takes none while callers wait. It leaves the last idle one unless nobody uses
//!   the pool. At most [`checks_max`](PoolHealthPolicy::checks_max) are checked in a round, all at the same time. One
//!   that answers is back at once; one that does not is away for `check_within`, and longer only where none of the round
//!   answered.
//! - When none of a round answers, either the connections are dead or the server is. It opens one connection beside the
//!   pool to know. If that one answers, the server is well, and all that did not answer are evicted. If not, evicting
//!   would only empty the pool: at most [`evictions_max`](PoolHealthPolicy::evictions_max) go, so that what it causes to
//!   be opened again is paced by the rounds.
//!
//! So once the server answers, a pool of `n` idle connections that nobody uses has no dead one after
//! ⌈`n` / `checks_max`⌉ + 1 rounds. A connection that is always in use is not checked: its callers do.
//!
//! Its policy can come from a document, and be changed while it runs, by a [`Handle`].
//!
//! What it found is a [`Health`], and with sizes and waits a [`Snapshot`]. Any pool takes part that implements [`Pool`].
//! The task belongs to whoever awaits [`PoolHealth::run`].

#[cfg(test)]
mod fake;
mod handle;
mod health;
mod policy;
mod pool;
mod round;
mod snapshot;
mod supervisor;
#[cfg(test)]
mod tests;
mod waits;

pub use handle::Handle;
pub use health::Health;
pub use policy::PoolHealthPolicy;
pub use pool::Borrowed;
pub use pool::Pool;
pub use pool::Status;
pub use round::Round;
pub use snapshot::Snapshot;
pub use supervisor::PoolHealth;
pub use supervisor::Probe;
pub use waits::WaitTimes;
pub use waits::Waits;
