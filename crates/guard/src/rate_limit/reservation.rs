//! Permits that were given, for now or for later.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::Key;
use super::gcra::Terms;
use super::keyed;
use super::limiter;

/// What is left of a quota after a call was let through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decision {
    terms: Terms,
    arrival: u64,
    now: u64,
}

impl Decision {
    #[inline]
    pub(super) fn new(terms: Terms, arrival: u64, now: u64) -> Self {
        Self { terms, arrival, now }
    }

    /// Creates what a limiter of your own decided.
    pub fn from_parts(remaining: u32, reset_after: Duration) -> Self {
        let arrival = super::limiter::nanoseconds(reset_after).min(u64::MAX / 4);
        // A nanosecond for a permit, so that both come out as they went in.
        Self { terms: Terms { interval: 1, tolerance: arrival + u64::from(remaining) }, arrival, now: 0 }
    }

    /// Returns how many more permits conform at the same moment.
    pub fn remaining(&self) -> u32 {
        self.terms.remaining(self.arrival, self.now)
    }

    /// Returns the time until the whole burst conforms again, if nothing more is taken.
    pub fn reset_after(&self) -> Duration {
        Duration::from_nanos(self.arrival.saturating_sub(self.now))
    }
}

/// Permits for a time to come. Dropping it before that time gives them back, unless others were given later times:
/// those stand, and its place stays empty.
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use steadfast_guard::rate_limit::{Quota, RateLimiter};
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), steadfast_guard::rate_limit::Error> {
/// let limiter = RateLimiter::new(Quota::per_second(10).with_burst(1));
/// limiter.try_acquire(1)?;
/// let reservation = limiter.reserve(1, Duration::from_secs(1))?;
/// assert!(reservation.ready_at() > tokio::time::Instant::now());
/// reservation.wait().await;
/// # Ok(())
/// # }
/// ```
#[must_use = "a reservation that is dropped gives its permits back"]
pub struct Reservation {
    ready_at: Instant,
    decision: Decision,
    refund: Option<Refund>,
}

pub(super) struct Refund {
    pub(super) account: Account,
    pub(super) arrival: u64,
    pub(super) permits: u32,
}

pub(super) enum Account {
    One(Arc<limiter::Shared>),
    Keyed(Arc<keyed::Shared>, Key),
}

impl Reservation {
    #[inline]
    pub(super) fn new(ready_at: Instant, decision: Decision, refund: Option<Refund>) -> Self {
        Self { ready_at, decision, refund }
    }

    /// Returns when the permits conform; in the past if they conform already.
    pub fn ready_at(&self) -> Instant {
        self.ready_at
    }

    /// Returns what is left of the quota.
    pub fn decision(&self) -> Decision {
        self.decision
    }

    /// Waits until the permits conform, and uses them.
    ///
    /// # Cancel safety
    /// Dropping the future is dropping the reservation.
    pub async fn wait(self) {
        if self.ready_at > Instant::now() {
            tokio::time::sleep_until(self.ready_at).await;
        }
        self.spend();
    }

    /// Uses the permits, now or whenever the caller sees to it that they conform.
    pub fn spend(mut self) {
        self.refund = None;
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if let Some(Refund { account, arrival, permits }) = self.refund.take() {
            match account {
                Account::One(shared) => shared.refund(arrival, permits),
                Account::Keyed(shared, key) => shared.refund(key, arrival, permits),
            }
        }
    }
}

impl fmt::Debug for Reservation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reservation").field("ready_at", &self.ready_at).finish_non_exhaustive()
    }
}
