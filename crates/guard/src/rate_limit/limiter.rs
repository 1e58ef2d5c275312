//! The limiter with one quota for all.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering, fence};
use std::time::Duration;

use parking_lot::Mutex;
use steadfast_base::Deadline;
use tokio::time::Instant;

use super::gcra::{ARRIVAL_MAX, Charge, Terms};
use super::reservation::{self, Refund};
use super::{Decision, Error, Quota, Reservation};

/// A limiter with one quota for all calls. Clones share it.
///
/// # Examples
/// ```
/// use steadfast_guard::rate_limit::{Quota, RateLimiter};
///
/// let limiter = RateLimiter::new(Quota::per_minute(60).with_burst(2));
/// assert!(limiter.try_acquire(2).is_ok());
/// let refused = limiter.try_acquire(1).expect_err("both are used");
/// println!("{refused}"); // rate limit of 60 per 60s, 2 at a time exceeded, retry after 1s
///
/// limiter.set_quota(Quota::per_minute(60).with_burst(10));
/// assert!(limiter.try_acquire(8).is_ok());
/// assert!(limiter.try_acquire(1).is_err());
/// ```
#[derive(Clone)]
pub struct RateLimiter {
    pub(super) shared: Arc<Shared>,
}

/// What clones share. The happy path reads five words and changes one.
pub(super) struct Shared {
    started: Instant,
    /// Odd while a quota is being changed. The terms are a pair, which is read again if this number has moved.
    version: AtomicU64,
    interval: AtomicU64,
    tolerance: AtomicU64,
    /// An [`Account`].
    account: AtomicU64,
    quota: Mutex<Quota>,
}

/// The theoretical arrival time, and the last two bits of the number of the quota that it is stated under: a charge that
/// was worked out under a quota that is gone finds another account than it has seen, also where the time is the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Account(u64);

impl Account {
    const QUOTA_BITS: u32 = (u64::MAX / ARRIVAL_MAX).ilog2();

    #[inline]
    fn arrival(self) -> u64 {
        self.0 >> Self::QUOTA_BITS
    }

    /// Returns the account of the same quota with another arrival time, at most [`ARRIVAL_MAX`].
    #[inline]
    fn with_arrival(self, arrival: u64) -> Self {
        Self(arrival << Self::QUOTA_BITS | self.0 & ((1 << Self::QUOTA_BITS) - 1))
    }

    /// Returns the account of the next quota.
    fn restated(self, arrival: u64) -> Self {
        let number = self.0.wrapping_add(1);
        Self(number).with_arrival(arrival)
    }
}

impl RateLimiter {
    /// Creates a limiter whose quota is unused.
    pub fn new(quota: Quota) -> Self {
        let Terms { interval, tolerance } = quota.terms();
        Self {
            shared: Arc::new(Shared {
                started: Instant::now(),
                version: AtomicU64::new(0),
                interval: AtomicU64::new(interval),
                tolerance: AtomicU64::new(tolerance),
                account: AtomicU64::new(0),
                quota: Mutex::new(quota),
            }),
        }
    }

    /// Takes `permits` (0 takes nothing) or refuses at once.
    ///
    /// # Errors
    /// [`Error`] when that many do not conform now.
    pub fn try_acquire(&self, permits: u32) -> Result<Decision, Error> {
        self.try_acquire_at(permits, Instant::now())
    }

    /// Takes `permits` as at the time `now`, for whoever has read the clock already.
    ///
    /// # Errors
    /// [`Error`] when that many do not conform then.
    #[inline]
    pub fn try_acquire_at(&self, permits: u32, now: Instant) -> Result<Decision, Error> {
        self.shared.take(permits, 0, now).map(|(_, decision)| decision)
    }

    /// Takes `permits` and waits until they conform; the order is that of asking.
    ///
    /// # Errors
    /// [`Error`] at once when they would not conform before `deadline`.
    ///
    /// # Cancel safety
    /// A call that is dropped while it waits gives its permits back, unless others stand behind it: their times are
    /// given, and its place stays empty.
    pub async fn acquire(&self, permits: u32, deadline: Option<Deadline>) -> Result<(), Error> {
        let wait_max = deadline.map_or(Duration::MAX, Deadline::remaining);
        self.reserve(permits, wait_max)?.wait().await;
        Ok(())
    }

    /// Takes `permits` for a time at most `wait_max` from now.
    ///
    /// # Errors
    /// [`Error`] when they would conform only later; nothing is taken then.
    pub fn reserve(&self, permits: u32, wait_max: Duration) -> Result<Reservation, Error> {
        let now = Instant::now();
        let (charge, decision) = self.shared.take(permits, nanoseconds(wait_max), now)?;
        Ok(self.reservation(permits, charge, decision, now))
    }

    /// Returns the quota.
    pub fn quota(&self) -> Quota {
        *self.shared.quota.lock()
    }

    /// Changes the quota. What was used stays used, in permits; reservations keep their times.
    pub fn set_quota(&self, quota: Quota) {
        self.shared.set_quota(quota);
    }

    /// Returns how many permits conform now.
    pub fn available(&self) -> u32 {
        let (terms, account) = self.shared.read();
        terms.remaining(account.arrival(), self.shared.nanoseconds(Instant::now()))
    }

    pub(super) fn reservation(
        &self,
        permits: u32,
        charge: Charge,
        decision: Decision,
        now: Instant,
    ) -> Reservation {
        let account = reservation::Account::One(Arc::clone(&self.shared));
        Reservation::new(
            now + Duration::from_nanos(charge.wait),
            decision,
            Some(Refund { account, arrival: charge.arrival, permits }),
        )
    }
}

impl Shared {
    /// Makes the charge if it conforms within `wait_max` nanoseconds of `now`.
    #[inline]
    pub(super) fn take(
        &self,
        permits: u32,
        wait_max: u64,
        now: Instant,
    ) -> Result<(Charge, Decision), Error> {
        let now = self.nanoseconds(now);
        loop {
            let (terms, account) = self.read();
            let charge = terms.charge(account.arrival(), permits, now);
            if !terms.allows(charge, permits, wait_max) {
                return Err(self.refusal(permits, charge.wait));
            }
            // One under terms that are gone is worked out again.
            if self.replace(account, charge.arrival) {
                return Ok((charge, Decision::new(terms, charge.arrival, now)));
            }
        }
    }

    /// Gives `permits` back if nobody has been given a later time.
    pub(super) fn refund(&self, arrival: u64, permits: u32) {
        loop {
            let (terms, account) = self.read();
            let before = arrival.saturating_sub(terms.cost(permits));
            if account.arrival() != arrival || self.replace(account, before) {
                return;
            }
        }
    }

    /// Sets the arrival time if neither it nor the quota has changed.
    #[inline]
    fn replace(&self, seen: Account, arrival: u64) -> bool {
        let new = seen.with_arrival(arrival);
        self.account.compare_exchange_weak(seen.0, new.0, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    #[inline]
    fn read(&self) -> (Terms, Account) {
        loop {
            let version = self.version.load(Ordering::Acquire);
            let terms = Terms {
                interval: self.interval.load(Ordering::Relaxed),
                tolerance: self.tolerance.load(Ordering::Relaxed),
            };
            let account = Account(self.account.load(Ordering::Relaxed));
            fence(Ordering::Acquire);
            if version.is_multiple_of(2) && self.version.load(Ordering::Relaxed) == version {
                return (terms, account);
            }
            std::hint::spin_loop();
        }
    }

    fn set_quota(&self, new: Quota) {
        let mut quota = self.quota.lock();
        let (old, terms) = (quota.terms(), new.terms());
        let now = self.nanoseconds(Instant::now());
        let version = self.version.load(Ordering::Relaxed);
        self.version.store(version + 1, Ordering::Relaxed);
        fence(Ordering::Release);
        let restate = |word| {
            let account = Account(word);
            Some(account.restated(terms.convert(old, account.arrival(), now)).0)
        };
        let _ = self.account.fetch_update(Ordering::AcqRel, Ordering::Relaxed, restate);
        self.interval.store(terms.interval, Ordering::Relaxed);
        self.tolerance.store(terms.tolerance, Ordering::Relaxed);
        self.version.store(version + 2, Ordering::Release);
        *quota = new;
    }

    #[cold]
    fn refusal(&self, permits: u32, wait: u64) -> Error {
        refusal(*self.quota.lock(), permits, wait)
    }

    #[inline]
    fn nanoseconds(&self, now: Instant) -> u64 {
        nanoseconds(now.saturating_duration_since(self.started))
    }
}

/// Says why `permits`, which would have to wait `wait` nanoseconds, are refused.
pub(super) fn refusal(quota: Quota, permits: u32, wait: u64) -> Error {
    if permits > quota.burst() {
        return Error::ExceedsBurst { permits, burst: quota.burst() };
    }
    Error::Limited { quota, retry_after: Duration::from_nanos(wait) }
}

#[inline]
pub(super) fn nanoseconds(duration: Duration) -> u64 {
    // Multiplied in 64 bits, which is several times faster than in 128; more than 584 years are cut.
    duration.as_secs().saturating_mul(1_000_000_000).saturating_add(u64::from(duration.subsec_nanos()))
}

impl fmt::Debug for RateLimiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimiter")
            .field("quota", &self.quota())
            .field("available", &self.available())
            .finish()
    }
}
