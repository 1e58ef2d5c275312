//! The limiter with a quota for each key.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use hashbrown::HashTable;
use parking_lot::Mutex;
use tokio::time::Instant;

use super::gcra::{Charge, Terms};
use super::limiter::{nanoseconds, refusal};
use super::reservation::{Account, Refund};
use super::{Decision, Error, Key, Quota, Reservation};

/// A limiter with the same quota for each key, in memory that is bounded. Clones share it.
///
/// A key whose quota is unused needs no memory: it is forgotten when its place is wanted, and nothing changes by that.
/// When all places are taken by keys that have used something, further keys share one quota among them until places
/// become free, so that neither memory grows nor a known key gets a new quota because many strangers come.
///
/// # Examples
/// ```
/// use steadfast_guard::rate_limit::{Key, KeyedRateLimiter, Quota};
///
/// let limiter = KeyedRateLimiter::new(Quota::per_second(1), 10_000);
/// assert!(limiter.try_acquire(Key::of("alice"), 1).is_ok());
/// assert!(limiter.try_acquire(Key::of("alice"), 1).is_err());
/// assert!(limiter.try_acquire(Key::of("bob"), 1).is_ok());
/// ```
#[derive(Clone)]
pub struct KeyedRateLimiter {
    pub(super) shared: Arc<Shared>,
}

/// How many locks the keys are spread over.
const SHARDS: usize = 16;

pub(super) struct Shared {
    started: Instant,
    quota: Mutex<Quota>,
    shards: Box<[Shard]>,
}

/// A shard on cache lines of its own.
#[repr(align(128))]
struct Shard(Mutex<Keys>);

struct Keys {
    quota: Quota,
    terms: Terms,
    keys_max: usize,
    /// A key and its theoretical arrival time.
    arrivals: HashTable<(u64, u64)>,
    /// The arrival time that keys without a place share.
    strangers: u64,
    /// How many charges strangers have asked for.
    strange: u64,
    /// When it is worth looking for idle keys again.
    sweep_at: u64,
}

impl KeyedRateLimiter {
    /// Creates a limiter with `quota` for each key, which keeps at most `keys_max` keys, rounded up to a multiple of
    /// 16; each takes some 20 to 40 bytes.
    pub fn new(quota: Quota, keys_max: usize) -> Self {
        let keys = || Keys {
            quota,
            terms: quota.terms(),
            keys_max: per_shard(keys_max),
            arrivals: HashTable::new(),
            strangers: 0,
            strange: 0,
            sweep_at: 0,
        };
        Self {
            shared: Arc::new(Shared {
                started: Instant::now(),
                quota: Mutex::new(quota),
                shards: (0..SHARDS).map(|_| Shard(Mutex::new(keys()))).collect(),
            }),
        }
    }

    /// Takes `permits` of the quota of `key`, or refuses at once.
    ///
    /// # Errors
    /// [`Error`] when that many do not conform now.
    pub fn try_acquire(&self, key: Key, permits: u32) -> Result<Decision, Error> {
        self.shared.take(key, permits, 0, Instant::now()).map(|(_, decision)| decision)
    }

    /// Takes `permits` of the quota of `key` for a time at most `wait_max` from now.
    ///
    /// # Errors
    /// [`Error`] when they would conform only later; nothing is taken then.
    pub fn reserve(&self, key: Key, permits: u32, wait_max: Duration) -> Result<Reservation, Error> {
        let now = Instant::now();
        let (charge, decision) = self.shared.take(key, permits, nanoseconds(wait_max), now)?;
        Ok(self.reservation(key, permits, charge, decision, now))
    }

    /// Returns the quota of each key.
    pub fn quota(&self) -> Quota {
        *self.shared.quota.lock()
    }

    /// Changes the quota of each key. What was used stays used, in permits; reservations keep their times. Takes a
    /// few nanoseconds for each key that is kept, during which a sixteenth of the keys waits.
    pub fn set_quota(&self, quota: Quota) {
        let mut current = self.shared.quota.lock();
        let now = self.shared.nanoseconds(Instant::now());
        for Shard(keys) in &self.shared.shards {
            keys.lock().set_quota(quota, now);
        }
        *current = quota;
    }

    /// Changes the most keys that are kept, rounded up to a multiple of 16. Keys that have used something keep their places,
    /// also where those are more than that, until they are idle.
    pub fn set_keys_max(&self, keys_max: usize) {
        let now = self.shared.nanoseconds(Instant::now());
        for Shard(keys) in &self.shared.shards {
            keys.lock().set_keys_max(per_shard(keys_max), now);
        }
    }

    /// Returns the most keys that are kept.
    pub fn keys_max(&self) -> usize {
        self.shared.shards.iter().map(|Shard(keys)| keys.lock().keys_max).sum()
    }

    /// Returns how many keys are kept, those among them that have become idle.
    pub fn keys(&self) -> usize {
        self.shared.shards.iter().map(|Shard(keys)| keys.lock().arrivals.len()).sum()
    }

    /// Returns how many calls of keys without a place have shared a quota so far. When it grows, raise `keys_max`, or
    /// look who makes up so many keys.
    pub fn strange(&self) -> u64 {
        self.shared.shards.iter().map(|Shard(keys)| keys.lock().strange).sum()
    }

    pub(super) fn reservation(
        &self,
        key: Key,
        permits: u32,
        charge: Charge,
        decision: Decision,
        now: Instant,
    ) -> Reservation {
        let account = Account::Keyed(Arc::clone(&self.shared), key);
        Reservation::new(
            now + Duration::from_nanos(charge.wait),
            decision,
            Some(Refund { account, arrival: charge.arrival, permits }),
        )
    }
}

fn per_shard(keys_max: usize) -> usize {
    keys_max.div_ceil(SHARDS).max(1)
}

impl Shared {
    /// Makes the charge if it conforms within `wait_max` nanoseconds of `now`.
    pub(super) fn take(
        &self,
        key: Key,
        permits: u32,
        wait_max: u64,
        now: Instant,
    ) -> Result<(Charge, Decision), Error> {
        let now = self.nanoseconds(now);
        let mut keys = self.shard(key).lock();
        let terms = keys.terms;
        let arrival = keys.arrival(key, now);
        let charge = terms.charge(arrival.as_deref().copied().unwrap_or(0), permits, now);
        if !terms.allows(charge, permits, wait_max) {
            return Err(refusal(keys.quota, permits, charge.wait));
        }
        match arrival {
            Some(arrival) => *arrival = charge.arrival,
            // A new key takes a place only when it is let through.
            None => keys.insert(key, charge.arrival),
        }
        Ok((charge, Decision::new(terms, charge.arrival, now)))
    }

    /// Gives `permits` back if nobody has been given a later time.
    pub(super) fn refund(&self, key: Key, arrival: u64, permits: u32) {
        let mut keys = self.shard(key).lock();
        let before = arrival.saturating_sub(keys.terms.cost(permits));
        let kept = match keys.arrivals.find_mut(key.0, |(other, _)| *other == key.0) {
            Some((_, kept)) => kept,
            None => &mut keys.strangers,
        };
        if *kept == arrival {
            *kept = before;
        }
    }

    #[cfg(test)]
    pub(super) fn is_kept(&self, key: Key) -> bool {
        self.shard(key).lock().arrivals.find(key.0, |(other, _)| *other == key.0).is_some()
    }

    fn shard(&self, key: Key) -> &Mutex<Keys> {
        // The table uses the lowest and the highest bits.
        &self.shards[(key.0 >> 32) as usize % SHARDS].0
    }

    fn nanoseconds(&self, now: Instant) -> u64 {
        nanoseconds(now.saturating_duration_since(self.started))
    }
}

impl Keys {
    /// Returns the arrival time that counts for `key`, or `None` if it is new and there is a place for it.
    fn arrival(&mut self, key: Key, now: u64) -> Option<&mut u64> {
        // Asked twice, because a borrow that is returned on one way only ends on all ways.
        let is_known = self.arrivals.find(key.0, |(other, _)| *other == key.0).is_some();
        if !is_known {
            if self.arrivals.len() >= self.keys_max && now >= self.sweep_at {
                self.sweep(now);
            }
            if self.arrivals.len() < self.keys_max {
                return None;
            }
            self.strange += 1;
            return Some(&mut self.strangers);
        }
        self.arrivals.find_mut(key.0, |(other, _)| *other == key.0).map(|(_, arrival)| arrival)
    }

    /// Forgets idle keys.
    fn sweep(&mut self, now: u64) {
        self.arrivals.retain(|(_, arrival)| *arrival > now);
        // An idle key can wait for its place a little, so that strangers do not cost a sweep each.
        self.sweep_at = now.saturating_add(self.terms.tolerance / 8 + 1);
    }

    fn set_keys_max(&mut self, keys_max: usize, now: u64) {
        let old = std::mem::replace(&mut self.keys_max, keys_max);
        if keys_max < old {
            self.sweep(now);
            self.arrivals.shrink_to(keys_max, |(key, _)| *key);
        }
    }

    fn insert(&mut self, key: Key, arrival: u64) {
        self.arrivals.insert_unique(key.0, (key.0, arrival), |(key, _)| *key);
    }

    fn set_quota(&mut self, quota: Quota, now: u64) {
        let (old, new) = (self.terms, quota.terms());
        for (_, arrival) in &mut self.arrivals {
            *arrival = new.convert(old, *arrival, now);
        }
        self.strangers = new.convert(old, self.strangers, now);
        (self.quota, self.terms, self.sweep_at) = (quota, new, 0);
    }
}

impl fmt::Debug for KeyedRateLimiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyedRateLimiter").field("quota", &self.quota()).field("keys", &self.keys()).finish()
    }
}
