//! What a request counts against which quota.

use std::fmt;
use std::time::Duration;

use tokio::time::Instant;

use super::gcra::Charge;
use super::limiter::nanoseconds;
use super::{Decision, Error, Key, KeyedRateLimiter, Quota, RateLimiter, Reservation};

/// Takes from a quota what a request costs.
///
/// A [`RateLimiter`] takes one permit for each request; [`RateLimiter::weighted`] and [`KeyedRateLimiter::by`] read
/// cost or key from the request.
pub trait Limit<Req> {
    /// Takes what `request` costs, for a time at most `wait_max` after `now`.
    ///
    /// # Errors
    /// [`Error`] when it would conform only later; nothing is taken then.
    fn reserve(&self, request: &Req, wait_max: Duration, now: Instant) -> Result<Reservation, Error>;

    /// Takes what `request` costs at `now`, which is what calls do that do not wait.
    ///
    /// # Errors
    /// [`Error`] when it does not conform now; nothing is taken then.
    fn take(&self, request: &Req, now: Instant) -> Result<Decision, Error> {
        let reservation = self.reserve(request, Duration::ZERO, now)?;
        let decision = reservation.decision();
        reservation.spend();
        Ok(decision)
    }

    /// Returns the quota, which answers show.
    fn quota(&self) -> Quota;
}

impl<Req> Limit<Req> for RateLimiter {
    #[inline]
    fn reserve(&self, _: &Req, wait_max: Duration, now: Instant) -> Result<Reservation, Error> {
        take_one(self, 1, wait_max, now)
    }

    #[inline]
    fn take(&self, _: &Req, now: Instant) -> Result<Decision, Error> {
        self.shared.take(1, 0, now).map(|(_, decision)| decision)
    }

    fn quota(&self) -> Quota {
        self.quota()
    }
}

/// A limiter that takes several permits for a request; made by [`RateLimiter::weighted`].
#[derive(Clone)]
pub struct Weighted<F> {
    limiter: RateLimiter,
    permits: F,
}

impl RateLimiter {
    /// Returns this limiter, taking `permits(request)` for each request.
    pub fn weighted<F>(self, permits: F) -> Weighted<F> {
        Weighted { limiter: self, permits }
    }
}

impl<Req, F: Fn(&Req) -> u32> Limit<Req> for Weighted<F> {
    fn reserve(&self, request: &Req, wait_max: Duration, now: Instant) -> Result<Reservation, Error> {
        take_one(&self.limiter, (self.permits)(request), wait_max, now)
    }

    fn quota(&self) -> Quota {
        self.limiter.quota()
    }
}

/// A limiter that reads the key from the request; made by [`KeyedRateLimiter::by`].
#[derive(Clone)]
pub struct ByKey<F> {
    limiter: KeyedRateLimiter,
    key: F,
}

impl KeyedRateLimiter {
    /// Returns this limiter, taking one permit of the quota of `key(request)` for each request.
    ///
    /// # Examples
    /// ```
    /// use steadfast_guard::RateLimitLayer;
    /// use steadfast_guard::rate_limit::{Key, KeyedRateLimiter, Quota};
    ///
    /// let limiter = KeyedRateLimiter::new(Quota::per_second(50), 100_000);
    /// let by_tenant = limiter.by(|request: &http::Request<()>| Key::of(&request.headers().get("x-tenant")));
    /// let layer = RateLimitLayer::new(by_tenant);
    /// ```
    pub fn by<F>(self, key: F) -> ByKey<F> {
        ByKey { limiter: self, key }
    }
}

impl<Req, F: Fn(&Req) -> Key> Limit<Req> for ByKey<F> {
    fn reserve(&self, request: &Req, wait_max: Duration, now: Instant) -> Result<Reservation, Error> {
        let key = (self.key)(request);
        let (charge, decision) = self.limiter.shared.take(key, 1, nanoseconds(wait_max), now)?;
        Ok(given(charge, decision, now, || self.limiter.reservation(key, 1, charge, decision, now)))
    }

    fn quota(&self) -> Quota {
        self.limiter.quota()
    }
}

#[inline]
fn take_one(
    limiter: &RateLimiter,
    permits: u32,
    wait_max: Duration,
    now: Instant,
) -> Result<Reservation, Error> {
    let (charge, decision) = limiter.shared.take(permits, nanoseconds(wait_max), now)?;
    Ok(given(charge, decision, now, || limiter.reservation(permits, charge, decision, now)))
}

/// Returns a reservation that can be given back only if it has to wait: the call is made at once otherwise.
#[inline]
fn given(
    charge: Charge,
    decision: Decision,
    now: Instant,
    waiting: impl FnOnce() -> Reservation,
) -> Reservation {
    if charge.wait == 0 { Reservation::new(now, decision, None) } else { waiting() }
}

impl<F> fmt::Debug for Weighted<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Weighted").field(&self.limiter).finish()
    }
}

impl<F> fmt::Debug for ByKey<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ByKey").field(&self.limiter).finish()
    }
}
