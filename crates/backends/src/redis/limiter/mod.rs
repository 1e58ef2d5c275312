//! Rate limits that several processes share, and that go on when Redis does not.
//!
//! [`RedisLimiter`] is a [`SharedLimiter`](steadfast_guard::rate_limit::SharedLimiter). Deciding and taking is one
//! script, so it is atomic; its clock is the server's, so processes need not agree on the time. It is GCRA, with the
//! same meaning of a [`Quota`](steadfast_guard::rate_limit::Quota) as in one process: so many permits per window, so
//! many at a time, several for one call, and a quota that changes keeps what was used. A key takes some hundred bytes of
//! the server until its permits have come back, and expires then, so that memory is bounded by the keys in use.
//!
//! # When Redis does not answer
//! A call waits for an answer for [`Settings::answer_within`]; without one it is decided by the *local share*, a quota of
//! this process alone ([`Settings::local_share`]). After [`Settings::fall_back_after`] of them in a row, or when the
//! connection is lost, all calls are decided by the local share at once, and wait for nothing. A task that belongs to
//! the limiter connects again and asks the server every [`Settings::retry_every`]; after
//! [`Settings::return_after`] good answers in a row the shared quota decides again. [`Snapshot::mode`] says which does.
//!
//! State a share of quota ÷ processes, and all of them together keep the quota then too. What Redis has granted counts
//! against the local share, so falling back gives nobody a new burst. What the share has granted is not told to Redis:
//! after the return, for as long as a burst takes to come back, both may have let through their own.
//!
//! # Fewer round trips
//! With [`Settings::lease`] above 1 a process takes so many permits of a key at a time, if they conform, and gives them
//! out itself for [`Settings::lease_for`] at most. What it does not give out is lost to others, never granted twice.
//! Permits can be used that much later than they were granted: a window of `t` may see what `t` + `lease_for` allows. A
//! refusal is remembered too, until the permits could conform, so that a caller who is over its quota costs no trips.
//! While the quota is used up leases shrink to what is left.
//!
//! Two runs of `examples/redis_limiter.rs` on two cores that other work kept busy (server on the same machine): with 64
//! callers of one key 79,900 calls per second in both runs, a round trip each; with leases of 10 111,000 and 193,000, of
//! 100 1.18 and 1.52 million by 12,000 and 15,000 round trips. One caller: 10,700 and 8,800, with leases of 100 1.45 and
//! 0.92 million. Read them as ratios: with 64 callers a decision by a round trip cost what five to six `PING`s did.
//!
//! # What it needs of the server
//! Redis 6.2 or later. An eviction policy that deletes keys deletes what was used with them; `noeviction` does not. A
//! server that loses its data, or is replaced by a replica that lags, forgets what was used: a burst more.
//!
//! # Examples
//! ```no_run
//! use steadfast_backends::redis::Config;
//! use steadfast_backends::redis::limiter::{RedisLimiter, Settings};
//! use steadfast_guard::rate_limit::{Quota, SharedLimiter};
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // Four processes share 1000 per second; each may pass 250 of them where it is alone.
//! let settings = Settings::new(Quota::per_second(1000), Quota::per_second(250));
//! let limiter = RedisLimiter::open(&Config::default(), settings).await?;
//! if let Err(refused) = limiter.acquire("tenant-7", 1).await? {
//!     println!("{refused}");
//! }
//! # Ok(())
//! # }
//! ```

mod answer;
mod handle;
mod keeper;
mod leases;
mod mode;
mod record;
mod settings;
mod snapshot;

pub use handle::RedisLimiter;
pub use mode::Mode;
pub use settings::Settings;
pub use snapshot::Snapshot;
