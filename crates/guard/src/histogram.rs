//! Durations, counted by powers of two of microseconds.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Counts durations. Bucket `n` is of those shorter than 2ⁿ µs and not shorter than half of that; the last of `N` is of
/// all that are longer.
#[derive(Debug)]
pub(crate) struct Histogram<const N: usize> {
    buckets: [AtomicU64; N],
    total_ns: AtomicU64,
    max_ns: AtomicU64,
}

/// What a histogram has counted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Counted<const N: usize> {
    pub(crate) buckets: [u64; N],
    total_ns: u64,
    max_ns: u64,
}

impl<const N: usize> Histogram<N> {
    #[inline]
    pub(crate) fn record(&self, duration: Duration) {
        let ns = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        let bucket = (u64::BITS - (ns / 1000).leading_zeros()) as usize;
        self.buckets[bucket.min(N - 1)].fetch_add(1, Ordering::Relaxed);
        self.total_ns.fetch_add(ns, Ordering::Relaxed);
        // Longest ones are rare, and looking does not take the line away from others.
        if ns > self.max_ns.load(Ordering::Relaxed) {
            self.max_ns.fetch_max(ns, Ordering::Relaxed);
        }
    }

    pub(crate) fn counted(&self) -> Counted<N> {
        Counted {
            buckets: std::array::from_fn(|bucket| self.buckets[bucket].load(Ordering::Relaxed)),
            total_ns: self.total_ns.load(Ordering::Relaxed),
            max_ns: self.max_ns.load(Ordering::Relaxed),
        }
    }
}

impl<const N: usize> Counted<N> {
    /// Returns what both have counted.
    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            buckets: std::array::from_fn(|bucket| self.buckets[bucket] + other.buckets[bucket]),
            total_ns: self.total_ns.saturating_add(other.total_ns),
            max_ns: self.max_ns.max(other.max_ns),
        }
    }

    pub(crate) fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// Returns how long all took, in microseconds.
    pub(crate) fn total_us(&self) -> u64 {
        self.total_ns / 1000
    }

    /// Returns how long the longest took, in microseconds, rounded up.
    pub(crate) fn max_us(&self) -> u64 {
        self.max_ns.div_ceil(1000)
    }

    /// Returns what all but one in `one_in` were shorter than, rounded up to a power of two or to the longest, in
    /// microseconds.
    pub(crate) fn all_but_one_in(&self, one_in: u64) -> u64 {
        let wanted = self.count() - self.count() / one_in;
        let mut below = 0;
        let bucket = self.buckets.iter().position(|in_it| {
            below += in_it;
            below >= wanted
        });
        bucket.filter(|bucket| bucket + 1 < N).map_or(self.max_us(), |bucket| 1 << bucket).min(self.max_us())
    }
}

impl<const N: usize> Default for Histogram<N> {
    fn default() -> Self {
        let none = AtomicU64::default;
        Self { buckets: std::array::from_fn(|_| none()), total_ns: none(), max_ns: none() }
    }
}

impl<const N: usize> Default for Counted<N> {
    fn default() -> Self {
        Self { buckets: [0; N], total_ns: 0, max_ns: 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const US: Duration = Duration::from_micros(1);

    #[test]
    fn the_tail_is_told_and_sums_are_exact_below_a_microsecond() {
        let histogram = Histogram::<22>::default();
        assert_eq!((histogram.counted().count(), histogram.counted().all_but_one_in(100)), (0, 0));
        (0..98).for_each(|_| histogram.record(3 * US));
        (0..2).for_each(|_| histogram.record(US / 2));
        let counted = histogram.counted();
        assert_eq!((counted.count(), counted.total_us(), counted.max_us()), (100, 295, 3));
        assert_eq!(counted.all_but_one_in(100), 3, "not more than the longest");
        histogram.record(5000 * US);
        let counted = histogram.counted().and(histogram.counted());
        assert_eq!((counted.count(), counted.total_us(), counted.max_us()), (202, 2 * 5295, 5000));
        assert_eq!((counted.all_but_one_in(2), counted.all_but_one_in(100)), (4, 4));
        assert_eq!((counted.buckets[0], counted.buckets[2], counted.buckets[13]), (4, 196, 2));
    }

    #[test]
    fn what_takes_for_ever_is_counted() {
        let histogram = Histogram::<4>::default();
        histogram.record(Duration::MAX);
        let counted = histogram.counted();
        assert_eq!((counted.buckets, counted.all_but_one_in(2)), ([0, 0, 0, 1], counted.max_us()));
    }
}
