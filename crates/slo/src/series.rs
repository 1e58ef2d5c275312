use std::collections::BTreeMap;
use std::time::Duration;

use crate::{Tally, Window};

/// The grain of a series: the bounds of a window count in whole slots.
pub const SLOT: Duration = Duration::from_millis(100);

/// The longest load a series can hold; what lies beyond counts in its last slot.
pub const SERIES_LENGTH_MAX: Duration = Duration::from_secs(25 * 3600);

const SLOTS_PER_SECOND: usize = 10;

/// What the load saw of one step over time.
///
/// Commands count in the slot of their intended start. Latencies are kept sparsely, as the histogram will round them
/// anyhow, so that a quiet day of load costs megabytes and not gigabytes.
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use steadfast_slo::{Series, Window};
///
/// let mut series = Series::new();
/// series.succeeded(Duration::from_millis(10), Duration::from_millis(3));
/// series.failed(Duration::from_millis(20));
/// series.succeeded(Duration::from_secs(5), Duration::from_millis(900));
///
/// let first = series.tally(Window::new(Duration::ZERO, Duration::from_secs(1)));
/// assert_eq!(first.success_ratio(), Some(0.5));
/// assert_eq!(first.max(), Some(Duration::from_millis(3)));
/// ```
#[derive(Debug, Clone, Default)]
pub struct Series {
    slots: Vec<Slot>,
}

#[derive(Debug, Clone, Default)]
struct Slot {
    succeeded: u64,
    failed: u64,
    max_us: u64,
    /// How many commands took so many microseconds, rounded down by [`rounded`].
    latencies: BTreeMap<u64, u32>,
}

/// One second of a series.
#[derive(Debug, Clone)]
pub struct Second {
    /// Its begin since the start of the load, in whole seconds.
    pub at: Duration,
    /// What was seen in it.
    pub tally: Tally,
}

impl Series {
    /// Creates a series in which nothing was seen.
    pub fn new() -> Self {
        Self::default()
    }

    /// Counts a command that was to start at `intended` since the start of the load and succeeded after `latency`.
    pub fn succeeded(&mut self, intended: Duration, latency: Duration) {
        let us = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
        let slot = self.slot(intended);
        slot.succeeded += 1;
        slot.max_us = slot.max_us.max(us);
        *slot.latencies.entry(rounded(us)).or_default() += 1;
    }

    /// Counts a command that was to start at `intended` since the start of the load and failed.
    pub fn failed(&mut self, intended: Duration) {
        self.slot(intended).failed += 1;
    }

    /// Adds all that another series has seen, such as that of another thread.
    pub fn merge(&mut self, other: &Self) {
        if self.slots.len() < other.slots.len() {
            self.slots.resize_with(other.slots.len(), Slot::default);
        }
        for (mine, theirs) in self.slots.iter_mut().zip(&other.slots) {
            mine.succeeded += theirs.succeeded;
            mine.failed += theirs.failed;
            mine.max_us = mine.max_us.max(theirs.max_us);
            for (us, count) in &theirs.latencies {
                *mine.latencies.entry(*us).or_default() += count;
            }
        }
    }

    /// Sums up what was to start within `window`, whose bounds are rounded down to whole slots.
    pub fn tally(&self, window: Window) -> Tally {
        let (from, to) = (slot_of(window.from), slot_of(window.to).min(self.slots.len()));
        sum(self.slots.get(from..to).unwrap_or_default())
    }

    /// Sums up all that was seen.
    pub fn total(&self) -> Tally {
        sum(&self.slots)
    }

    /// Lists the seconds from the start of the load to the last command.
    pub fn seconds(&self) -> impl Iterator<Item = Second> {
        let chunks = self.slots.chunks(SLOTS_PER_SECOND).zip(0..);
        chunks.map(|(slots, second)| Second { at: Duration::from_secs(second), tally: sum(slots) })
    }

    fn slot(&mut self, intended: Duration) -> &mut Slot {
        let index = slot_of(intended.min(SERIES_LENGTH_MAX));
        if self.slots.len() <= index {
            self.slots.resize_with(index + 1, Slot::default);
        }
        &mut self.slots[index]
    }
}

fn slot_of(at: Duration) -> usize {
    usize::try_from(at.as_millis() / SLOT.as_millis()).unwrap_or(usize::MAX)
}

fn sum(slots: &[Slot]) -> Tally {
    let mut tally = Tally::new();
    for slot in slots {
        tally.succeeded += slot.succeeded;
        tally.failed += slot.failed;
        tally.add_max(slot.max_us);
        for (us, count) in &slot.latencies {
            tally.add_latency(*us, *count);
        }
    }
    tally
}

/// Rounds down to 11 significant bits, which is finer than the histogram's three digits.
fn rounded(us: u64) -> u64 {
    let shift = (u64::BITS - us.leading_zeros()).saturating_sub(11);
    us >> shift << shift
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn all() -> Window {
        Window::new(Duration::ZERO, SERIES_LENGTH_MAX * 2)
    }

    #[test]
    fn a_window_takes_its_begin_and_leaves_its_end() {
        let mut series = Series::new();
        for at in [0, 999, 1000, 1999, 2000] {
            series.failed(ms(at));
        }
        assert_eq!(series.tally(Window::new(ms(1000), ms(2000))).failed, 2);
        assert_eq!(series.tally(Window::new(ms(2000), ms(1000))).failed, 0);
        assert_eq!(series.tally(Window::new(ms(9000), ms(9900))).failed, 0);
        assert_eq!(series.tally(all()).failed, 5);
    }

    #[test]
    fn a_dead_server_cannot_hide_its_downtime() {
        let mut series = Series::new();
        for at in 0..100 {
            if at < 50 { series.succeeded(ms(at * 10), ms(2)) } else { series.failed(ms(at * 10)) }
        }
        assert_eq!(series.total().success_ratio(), Some(0.5));
    }

    #[test]
    fn seconds_follow_each_other_also_where_nothing_came() {
        let mut series = Series::new();
        series.succeeded(ms(100), ms(7));
        series.failed(ms(2_500));
        let seconds: Vec<_> = series.seconds().map(|s| (s.at.as_secs(), s.tally.total())).collect();
        assert_eq!(seconds, [(0, 1), (1, 0), (2, 1)]);
    }

    #[test]
    fn what_lies_beyond_the_end_is_counted_and_takes_no_memory() {
        let mut series = Series::new();
        series.succeeded(Duration::MAX, Duration::MAX);
        assert_eq!(series.total().succeeded, 1);
        assert!(series.slots.len() <= 900_001);
    }

    proptest! {
        /// Against the definition: the smallest value that `percent` of the values do not exceed.
        #[test]
        fn percentiles_are_those_of_the_sorted_values(
            mut values in proptest::collection::vec(0_u64..10_000_000, 1..300),
            percent in 0.0_f64..=100.0,
        ) {
            let mut series = Series::new();
            for (at, us) in values.iter().enumerate() {
                series.succeeded(ms(at as u64 * 13), Duration::from_micros(*us));
            }
            values.sort_unstable();
            let rank = ((percent / 100.0 * values.len() as f64).ceil() as usize).clamp(1, values.len());
            let exact = values[rank - 1] as f64;
            let measured = series.total().percentile(percent).expect("there are values").as_micros() as f64;
            prop_assert!((measured - exact).abs() <= exact * 0.001 + 1.0, "{measured} instead of {exact}");
            prop_assert_eq!(series.total().max(), Some(Duration::from_micros(values[values.len() - 1])));
        }

        #[test]
        fn merging_is_like_recording_all_in_one(
            commands in proptest::collection::vec((0_u64..20_000, 0_u64..1_000_000, any::<bool>(), any::<bool>()), 0..200),
        ) {
            let (mut one, mut parts) = (Series::new(), [Series::new(), Series::new()]);
            for (at, us, good, left) in commands {
                for series in [&mut one, &mut parts[usize::from(left)]] {
                    if good {
                        series.succeeded(ms(at), Duration::from_micros(us));
                    } else {
                        series.failed(ms(at));
                    }
                }
            }
            let [mut merged, other] = parts;
            merged.merge(&other);
            let (one, merged) = (one.total(), merged.total());
            prop_assert_eq!((one.succeeded, one.failed), (merged.succeeded, merged.failed));
            prop_assert_eq!(one.percentile(90.0), merged.percentile(90.0));
            prop_assert_eq!(one.max(), merged.max());
        }
    }
}
