//! What Redis has said of a key, for as long as it holds: permits taken in advance, and refusals.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// What is known of keys. Bounded: a key that finds no place is asked for each time.
pub(super) struct Leases {
    keys_max: usize,
    keys: Mutex<HashMap<Box<str>, Arc<Lease>>>,
}

/// What is known of one key.
#[derive(Default)]
pub(super) struct Lease {
    known: Mutex<Known>,
    /// Who holds it asks for all.
    pub(super) asking: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Known {
    permits: u32,
    /// What is used in all, when it was last heard of.
    debt: u64,
    until: Option<Instant>,
    /// So many permits do not conform before that time.
    refused: Option<(u32, Instant)>,
}

/// What is known to come of a call.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Foregone {
    Taken { debt: u64 },
    Refused { wait: Duration },
}

impl Leases {
    pub(super) fn new(keys_max: usize) -> Self {
        Self { keys_max, keys: Mutex::default() }
    }

    /// Returns what is known of `key`, if there is a place for it.
    pub(super) fn of(&self, key: &str, now: Instant) -> Option<Arc<Lease>> {
        let mut keys = self.keys.lock();
        if let Some(lease) = keys.get(key) {
            return Some(Arc::clone(lease));
        }
        if keys.len() >= self.keys_max {
            // Those that somebody uses right now stay: they have one owner more.
            keys.retain(|_, lease| Arc::strong_count(lease) > 1 || lease.holds(now));
        }
        if keys.len() >= self.keys_max {
            return None;
        }
        Some(Arc::clone(keys.entry(key.into()).or_default()))
    }

    /// Forgets all of it.
    pub(super) fn clear(&self) {
        self.keys.lock().clear();
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.keys.lock().len()
    }
}

impl Lease {
    fn holds(&self, now: Instant) -> bool {
        let known = self.known.lock();
        known.until.is_some_and(|until| now < until) || known.refused.is_some_and(|(_, until)| now < until)
    }

    /// Takes `permits` of what was taken in advance, or says that they do not conform, if that is known.
    pub(super) fn take(&self, permits: u32, now: Instant) -> Option<Foregone> {
        let mut known = self.known.lock();
        if known.until.is_some_and(|until| now < until) && known.permits >= permits {
            known.permits -= permits;
            return Some(Foregone::Taken { debt: known.debt });
        }
        match known.refused {
            Some((refused, until)) if permits >= refused && now < until => {
                Some(Foregone::Refused { wait: until - now })
            }
            _ => None,
        }
    }

    /// Keeps what was taken and is not needed yet.
    pub(super) fn keep(&self, permits: u32, debt: u64, asked: Instant, lease_for: Duration) {
        let mut known = self.known.lock();
        // What was left is older than what comes, and is lost.
        known.permits = permits;
        known.debt = debt;
        known.until = asked.checked_add(lease_for);
        known.refused = None;
    }

    /// Keeps in mind that `permits` do not conform for that long.
    pub(super) fn refuse(&self, permits: u32, asked: Instant, wait: Duration) {
        self.known.lock().refused = asked.checked_add(wait).map(|until| (permits, until));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn permits_are_given_out_once_and_not_after_their_time() {
        let (lease, now) = (Lease::default(), Instant::now());
        assert_eq!(lease.take(1, now), None);
        lease.keep(10, 7, now, 100 * MS);
        assert_eq!(lease.take(6, now), Some(Foregone::Taken { debt: 7 }));
        assert_eq!(lease.take(6, now), None);
        assert_eq!(lease.take(3, now + 99 * MS), Some(Foregone::Taken { debt: 7 }));
        assert_eq!(lease.take(1, now + 100 * MS), None);
    }

    #[test]
    fn a_refusal_holds_for_as_many_and_until_they_conform() {
        let (lease, now) = (Lease::default(), Instant::now());
        lease.refuse(5, now, 50 * MS);
        assert_eq!(lease.take(5, now + 20 * MS), Some(Foregone::Refused { wait: 30 * MS }));
        assert_eq!(lease.take(4, now), None, "fewer may conform");
        assert_eq!(lease.take(5, now + 50 * MS), None);
        lease.keep(0, 0, now, 100 * MS);
        assert_eq!(lease.take(5, now), None, "what is heard later counts");
    }

    #[test]
    fn keys_are_bounded_and_make_room_when_nothing_holds_any_more() {
        let (leases, now) = (Leases::new(2), Instant::now());
        for key in ["a", "b"] {
            leases.of(key, now).expect("there is room").keep(1, 0, now, 100 * MS);
        }
        assert!(leases.of("c", now).is_none());
        assert!(leases.of("a", now).is_some());
        assert!(leases.of("c", now + 100 * MS).is_some());
        assert_eq!(leases.len(), 1);
        leases.clear();
        assert_eq!(leases.len(), 0);
    }
}
