//! How long polls of tasks take, by the name of the task.
//!
//! A poll that takes long keeps a thread of the runtime from all other tasks. The runtime itself tells poll times only in
//! its unstable interface, so they are measured where a scope polls its tasks: each one, for those that block are rare.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use serde::Serialize;

use super::table::SHARDS;
use crate::histogram::{Counted, Histogram};

/// How many names are told apart. Those that come later are counted together.
const NAMES_MAX: usize = 64;
/// What they are called.
const OTHERS: &str = "(others)";
/// The last one holds what took 1 s and longer.
const BUCKETS: usize = 22;

/// How long the polls of tasks of one name took.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct PollTimes {
    /// How many polls there were.
    pub count: u64,
    /// How long they took in all, in microseconds.
    pub total_us: u64,
    /// The longest one, in microseconds.
    pub max_us: u64,
    /// What half of them were shorter than, rounded up to a power of two or to the longest, in microseconds.
    pub p50_us: u64,
    /// What 99 of 100 were shorter than, rounded up likewise, in microseconds.
    pub p99_us: u64,
    /// How many were [slow](super::ScopePolicy::slow_poll): they blocked a thread.
    pub slow: u64,
    /// How many took less than 2ⁿ µs and not less than half of that; the last place holds all that took longer.
    #[serde(skip)]
    pub buckets: [u64; BUCKETS],
}

/// From which length on a poll is slow, if polls are timed.
#[derive(Debug)]
pub(super) struct SlowPoll(AtomicU64);

impl SlowPoll {
    const NONE: u64 = u64::MAX;

    pub(super) fn new(length: Option<Duration>) -> Self {
        let slow = Self(AtomicU64::new(Self::NONE));
        slow.set(length);
        slow
    }

    pub(super) fn set(&self, length: Option<Duration>) {
        // 584 years are longer than any poll.
        let ns = length.map_or(Self::NONE, |length| {
            u64::try_from(length.as_nanos()).unwrap_or(Self::NONE).min(Self::NONE - 1)
        });
        self.0.store(ns, Ordering::Relaxed);
    }

    #[inline]
    pub(super) fn get(&self) -> Option<Duration> {
        let ns = self.0.load(Ordering::Relaxed);
        (ns != Self::NONE).then(|| Duration::from_nanos(ns))
    }
}

/// What tasks of one name in one shard have taken. A line of its own for each, so that threads do not disturb each other.
#[repr(align(128))]
#[derive(Debug)]
pub(super) struct Times {
    polls: Histogram<BUCKETS>,
    /// Of all shards.
    slow: Arc<AtomicU64>,
}

impl Times {
    #[inline]
    pub(super) fn record(&self, took: Duration) {
        self.polls.record(took);
    }

    /// Counts a slow one, and returns how many there are with it.
    pub(super) fn record_slow(&self) -> u64 {
        self.slow.fetch_add(1, Ordering::Relaxed) + 1
    }
}

/// The times of all names of a scope.
#[derive(Debug, Default)]
pub(super) struct Polls(Mutex<BTreeMap<&'static str, [Arc<Times>; SHARDS]>>);

impl Polls {
    /// Returns where the polls of tasks called `name` in a shard are counted, and whether that is a place of its own.
    pub(super) fn of(&self, name: &'static str, shard: usize) -> (Arc<Times>, bool) {
        let mut names = self.0.lock();
        let is_own = names.contains_key(name) || names.len() < NAMES_MAX;
        let times = names.entry(if is_own { name } else { OTHERS }).or_insert_with(|| {
            let slow = Arc::default();
            std::array::from_fn(|_| Arc::new(Times { polls: Histogram::default(), slow: Arc::clone(&slow) }))
        });
        (Arc::clone(&times[shard]), is_own)
    }

    pub(super) fn times(&self) -> BTreeMap<&'static str, PollTimes> {
        self.0.lock().iter().map(|(name, shards)| (*name, sum(shards))).collect()
    }
}

fn sum(shards: &[Arc<Times>; SHARDS]) -> PollTimes {
    let counted = shards.iter().map(|times| times.polls.counted()).fold(Counted::default(), Counted::and);
    PollTimes {
        count: counted.count(),
        total_us: counted.total_us(),
        max_us: counted.max_us(),
        p50_us: counted.all_but_one_in(2),
        p99_us: counted.all_but_one_in(100),
        slow: shards[0].slow.load(Ordering::Relaxed),
        buckets: counted.buckets,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const US: Duration = Duration::from_micros(1);

    #[test]
    fn times_are_told_by_their_tail_over_all_shards() {
        let polls = Polls::default();
        assert!(polls.times().is_empty());
        for shard in 0..SHARDS {
            let (times, _) = polls.of("relay", shard);
            (0..99).for_each(|_| times.record(3 * US));
            times.record(US / 2);
        }
        polls.of("relay", 3).0.record(5000 * US);
        assert_eq!(polls.of("relay", 3).0.record_slow(), 1);
        assert_eq!(polls.of("relay", 5).0.record_slow(), 2, "of all shards");
        let times = &polls.times()["relay"];
        assert_eq!((times.count, times.slow, times.max_us), (801, 2, 5000));
        assert_eq!((times.p50_us, times.p99_us), (4, 4));
        assert_eq!(times.total_us, 8 * 99 * 3 + 4 + 5000);
        assert_eq!((times.buckets[0], times.buckets[2], times.buckets[13]), (8, 792, 1));
    }

    #[test]
    fn names_are_bounded() {
        let polls = Polls::default();
        let name = |number: usize| -> &'static str { format!("task-{number}").leak() };
        for number in 0..NAMES_MAX + 10 {
            let (times, is_own) = polls.of(name(number), 0);
            assert_eq!(is_own, number < NAMES_MAX);
            times.record(US);
        }
        assert!(polls.of(name(0), 1).1, "one that is known is known");
        let times = polls.times();
        assert_eq!((times.len(), times[OTHERS].count), (NAMES_MAX + 1, 10));
    }
}
