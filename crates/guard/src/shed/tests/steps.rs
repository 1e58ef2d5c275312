//! The limit, sample by sample.

use std::time::Duration;

use proptest::prelude::*;
use steadfast_base::Seed;
use tokio::time::Instant;

use crate::shed::ShedPolicy;
use crate::shed::gradient::{Gradient, Sample};

const MS: Duration = Duration::from_millis(1);

/// A probe comes late, so that steps can be looked at alone.
const POLICY: ShedPolicy = ShedPolicy {
    limit_initial: 100,
    limit_min: 2,
    limit_max: 1000,
    tolerance: 1.5,
    window: Duration::from_millis(100),
    samples_min: 10,
    probe_every: Duration::from_secs(100),
    queue_max: 0,
    wait_max: Duration::ZERO,
    wait_target: Duration::ZERO,
};

struct Bed {
    gradient: Gradient,
    now: Instant,
}

impl Bed {
    fn new() -> Self {
        let now = Instant::now();
        Self { gradient: Gradient::new(POLICY, now, Seed::new(1).stream("shed")), now }
    }

    /// Ends `windows` times ten calls in 100 ms, each of which took `latency`.
    fn windows(&mut self, windows: u32, latency: Duration, is_success: bool, in_flight: u32) {
        for _ in 0..10 * windows {
            self.now += 10 * MS;
            let started = self.now - latency;
            self.gradient.record(Sample { started, now: self.now, is_success, in_flight, peak: in_flight });
        }
    }

    fn baseline(&self) -> Duration {
        self.gradient.baseline().expect("something was measured")
    }
}

#[test]
fn it_grows_by_its_root_and_shrinks_by_the_ratio() {
    let mut bed = Bed::new();
    bed.windows(1, 10 * MS, true, 100);
    // A fifth of the root of 100.
    assert_eq!((bed.gradient.limit(), bed.baseline()), (102, 10 * MS));
    bed.windows(1, 14 * MS, true, 100);
    assert_eq!(bed.gradient.limit(), 104, "what is tolerated is no sign of load");
    bed.windows(1, 20 * MS, true, 100);
    assert_eq!(bed.gradient.limit(), 91, "half of a quarter less");
    bed.windows(1, Duration::from_secs(9), true, 100);
    assert_eq!(bed.gradient.limit(), 68, "at most half of a half less");
    assert_eq!(bed.baseline(), 10 * MS, "latency under load is not latency without");
    bed.windows(100, Duration::from_secs(9), true, 100);
    assert_eq!(bed.gradient.limit(), 2);
}

#[test]
fn it_does_not_grow_where_half_of_it_is_enough() {
    let mut bed = Bed::new();
    bed.windows(10, 10 * MS, true, 49);
    assert_eq!(bed.gradient.limit(), 100);
    bed.windows(1, 10 * MS, true, 50);
    assert_eq!(bed.gradient.limit(), 102);
}

#[test]
fn a_lower_latency_lowers_the_baseline_at_once_though_not_all_the_way() {
    let mut bed = Bed::new();
    bed.windows(1, 100 * MS, true, 100);
    bed.windows(1, 50 * MS, true, 100);
    assert_eq!(bed.baseline(), 95 * MS);
    bed.windows(50, 50 * MS, true, 100);
    assert!(bed.baseline() < 51 * MS);
}

#[test]
fn fast_failures_say_nothing_and_slow_ones_say_it_is_slow() {
    let mut bed = Bed::new();
    bed.windows(1, 10 * MS, true, 100);
    bed.windows(50, MS, false, 100);
    assert_eq!((bed.gradient.limit(), bed.baseline()), (102, 10 * MS));
    // As when every call runs into the same time-out, of which a long average sees nothing.
    bed.windows(50, Duration::from_secs(5), false, 100);
    assert_eq!((bed.gradient.limit(), bed.baseline()), (2, 10 * MS));
}

#[test]
fn a_probe_halves_the_limit_waits_until_that_is_so_and_measures_what_begins_then() {
    let mut bed = Bed::new();
    bed.windows(1, 10 * MS, true, 100);
    bed.windows(98, 14 * MS, true, 100);
    let limit = bed.gradient.limit();
    assert_eq!(bed.baseline(), 10 * MS);
    // The first probe comes after a tenth of the time.
    bed.windows(1, 14 * MS, true, 100);
    let half = bed.gradient.limit();
    assert!(half < limit && half.abs_diff(limit / 2) <= 2, "{half} of {limit}");
    bed.windows(5, 20 * MS, true, half + 1);
    assert_eq!((bed.gradient.limit(), bed.baseline()), (half, 10 * MS), "more is under way yet");
    // It has come down; but these ten began before.
    bed.windows(1, 200 * MS, true, half);
    assert_eq!(bed.gradient.limit(), half);
    bed.now += 200 * MS;
    bed.windows(1, 12 * MS, true, half);
    assert_eq!(bed.baseline(), 12 * MS);
    assert!(bed.gradient.limit() > half, "the limit is as it was");
}

#[test]
fn a_probe_in_which_nothing_succeeds_ends_and_leaves_the_baseline() {
    let mut bed = Bed::new();
    bed.windows(1, 10 * MS, true, 2);
    bed.windows(110, Duration::from_secs(5), false, 2);
    bed.windows(20, Duration::from_secs(5), false, 2);
    assert_eq!(bed.baseline(), 10 * MS);
}

proptest! {
    #[test]
    fn whatever_comes_the_limit_stays_between_its_bounds(
        samples in prop::collection::vec((0..500_u64, 0..20_000_u64, any::<bool>(), 0..2000_u32), 1..500),
        limit_min in 0..50_u32,
        limit_max in 0..100_u32,
        tolerance in prop::num::f64::ANY,
    ) {
        let policy = ShedPolicy { limit_min, limit_max, tolerance, samples_min: 1, ..ShedPolicy::default() }.cut();
        let mut now = Instant::now();
        let mut gradient = Gradient::new(policy, now, Seed::new(1).stream("shed"));
        for (step, latency, is_success, in_flight) in samples {
            now += Duration::from_millis(step);
            let started = now.checked_sub(Duration::from_millis(latency)).unwrap_or(now);
            gradient.record(Sample { started, now, is_success, in_flight, peak: in_flight });
            prop_assert!((policy.limit_min..=policy.limit_max).contains(&gradient.limit()));
        }
    }
}
