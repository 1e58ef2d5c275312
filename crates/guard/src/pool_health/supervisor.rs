//! The supervisor that callers start.

use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;
use steadfast_base::{Rng, Seed};
use tokio::sync::watch;

use super::health::Machine;
use super::{Handle, Health, Pool, PoolHealthPolicy, Round, Snapshot, round};
use crate::pause::pause;
use crate::probe::Observed;

/// Supervises the connections of a pool.
///
/// # Examples
/// ```
/// use steadfast_base::Seed;
/// use steadfast_guard::pool_health::{Pool, PoolHealth, PoolHealthPolicy, Probe};
/// use steadfast_guard::scope::{Refused, Scope};
///
/// /// Supervises `pool` for as long as `scope` lives.
/// fn supervise<P: Pool + 'static>(pool: P, scope: &Scope) -> Result<Probe, Refused> {
///     let health = PoolHealth::new("orders", pool, PoolHealthPolicy::default(), Seed::random());
///     let probe = health.probe();
///     drop(scope.spawn_until_closed("pool health", health.run())?);
///     Ok(probe)
/// }
/// ```
#[must_use = "nothing is checked unless it runs"]
pub struct PoolHealth<P> {
    shared: Arc<Shared<P>>,
    rng: Rng,
}

struct Shared<P> {
    name: Box<str>,
    pool: P,
    policy: watch::Sender<PoolHealthPolicy>,
    found: Mutex<Found>,
}

/// What rounds have found so far.
#[derive(Default)]
struct Found {
    machine: Machine,
    counts: Snapshot,
}

impl<P: Pool> PoolHealth<P> {
    /// Creates a supervisor of `pool`, which logs and metrics call `name`; fields of `policy` beyond their range are
    /// cut to it. The times of rounds are drawn from `seed`.
    pub fn new(name: impl Into<Box<str>>, pool: P, policy: PoolHealthPolicy, seed: Seed) -> Self {
        let policy = watch::Sender::new(policy.cut());
        let shared = Shared { name: name.into(), pool, policy, found: Mutex::default() };
        Self { shared: Arc::new(shared), rng: seed.stream("pool health") }
    }

    /// Checks connections until the pool is closed; the first round comes after an interval. The policy can be changed
    /// meanwhile, by a [`handle`](Self::handle).
    ///
    /// # Cancel safety
    /// Dropping the future ends supervision. What is being checked goes back into the pool.
    pub async fn run(mut self) {
        loop {
            let draw = self.rng.unit();
            pause(&self.shared.policy, |policy| policy.pause(draw)).await;
            if self.shared.pool.status().is_closed {
                return;
            }
            self.round().await;
        }
    }

    /// Makes one round now, for those who have a timer of their own. It takes at most twice
    /// [`check_within`](PoolHealthPolicy::check_within) for each check, and
    /// [`connect_within`](PoolHealthPolicy::connect_within).
    ///
    /// # Cancel safety
    /// Dropping the future gives back what is being checked. The round counts for nothing then.
    pub async fn round(&mut self) -> Round {
        let shared = &*self.shared;
        // The same to the end of the round.
        let policy = *shared.policy.borrow();
        let health = shared.found.lock().machine.health();
        let (round, problem) = round::make(&shared.pool, &policy, health).await;
        shared.note(&round, problem, &policy);
        round
    }
}

impl<P> PoolHealth<P> {
    /// Returns the pool.
    pub fn pool(&self) -> &P {
        &self.shared.pool
    }

    /// Returns what changes the policy while it runs. It does not keep the pool.
    pub fn handle(&self) -> Handle {
        Handle::new(self.shared.policy.clone())
    }
}

impl<P: Pool + 'static> PoolHealth<P> {
    /// Returns what shows the pool to metrics. It does not supervise, but it keeps the pool.
    pub fn probe(&self) -> Probe {
        crate::Probe::new(Arc::clone(&self.shared) as Arc<dyn Observed<Snapshot>>)
    }
}

/// Shows how a supervised pool is, without supervising it.
pub type Probe = crate::Probe<Snapshot>;

impl Probe {
    /// Returns how the pool is.
    pub fn health(&self) -> Health {
        self.snapshot().health
    }
}

impl<P: Pool> Observed<Snapshot> for Shared<P> {
    fn name(&self) -> &str {
        &self.name
    }

    fn snapshot(&self) -> Snapshot {
        let (status, wait_times) = (self.pool.status(), self.pool.wait_times());
        let found = self.found.lock();
        Snapshot {
            name: (*self.name).to_owned(),
            health: found.machine.health(),
            size: status.size as u64,
            idle: status.idle as u64,
            in_use: status.in_use as u64,
            waiting: status.waiting as u64,
            wait_times,
            policy: *self.policy.borrow(),
            ..found.counts.clone()
        }
    }
}

impl<P: Pool> Shared<P> {
    fn note(&self, round: &Round, problem: Option<Box<str>>, policy: &PoolHealthPolicy) {
        let mut found = self.found.lock();
        let before = found.machine.health();
        found.machine = found.machine.after(round, policy);
        let health = found.machine.health();
        let counts = &mut found.counts;
        counts.rounds += 1;
        counts.yielded += u64::from(round.yielded);
        counts.fast += round.fast as u64;
        counts.slow += round.slow as u64;
        counts.broken += round.broken as u64;
        counts.stale += round.stale() as u64;
        counts.evicted += round.evicted as u64;
        counts.kept += round.kept as u64;
        counts.opened += u64::from(round.opened.is_some());
        counts.opened_failed += u64::from(round.opened == Some(false));
        counts.changes += u64::from(health != before);
        if round.fast > 0 {
            counts.slowest_us = u64::try_from(round.slowest.as_micros()).unwrap_or(u64::MAX);
        }
        if let Some(problem) = problem {
            counts.last_error = Some(problem.into());
        }
        let error = counts.last_error.clone().unwrap_or_default();
        drop(found);
        let (pool, evicted, kept) = (&*self.name, round.evicted, round.kept);
        if health == before {
            if evicted + kept > 0 {
                tracing::debug!(pool, evicted, kept, error, "connections of the pool are stale");
            }
        } else if health == Health::Unhealthy {
            tracing::warn!(
                pool,
                evicted,
                kept,
                error,
                "the pool is unhealthy: not even a new connection answers"
            );
        } else {
            tracing::info!(pool, %before, %health, evicted, "the health of the pool has changed");
        }
    }
}

impl<P> fmt::Debug for PoolHealth<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PoolHealth")
            .field("pool", &self.shared.name)
            .field("policy", &*self.shared.policy.borrow())
            .finish_non_exhaustive()
    }
}
