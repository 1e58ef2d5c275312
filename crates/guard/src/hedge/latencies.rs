//! The latencies of late, as a histogram in two generations. It knows no lock and no clock.

use std::time::Duration;

use tokio::time::Instant;

/// Buckets per doubling: what is told is at most 1/32 too high.
const PER_DOUBLING: usize = 32;
/// From 1 µs to 2³² µs, some 71 minutes.
const BUCKETS: usize = (32 - 4) * PER_DOUBLING;

#[derive(Debug)]
pub(super) struct Latencies {
    window: Duration,
    /// When the present generation began.
    began: Instant,
    present: Generation,
    past: Generation,
}

#[derive(Debug)]
struct Generation {
    counts: Box<[u32; BUCKETS]>,
    total: u32,
}

impl Latencies {
    pub(super) fn new(window: Duration, now: Instant) -> Self {
        Self { window, began: now, present: Generation::new(), past: Generation::new() }
    }

    pub(super) fn set_window(&mut self, window: Duration) {
        self.window = window;
    }

    pub(super) fn record(&mut self, latency: Duration, now: Instant) {
        self.turn(now);
        self.present.counts[bucket(latency)] += 1;
        self.present.total += 1;
    }

    /// Returns how many latencies count.
    pub(super) fn total(&self) -> u32 {
        self.present.total.saturating_add(self.past.total)
    }

    /// Returns the latency that `share` of the calls do not exceed, up to a thirty-second too high.
    pub(super) fn percentile(&self, share: f64) -> Option<Duration> {
        let total = self.total();
        if total == 0 {
            return None;
        }
        let rank = ((share * f64::from(total)).ceil() as u32).clamp(1, total);
        let mut seen = 0;
        (0..BUCKETS)
            .find(|&bucket| {
                seen += self.present.counts[bucket] + self.past.counts[bucket];
                seen >= rank
            })
            .map(upper)
    }

    fn turn(&mut self, now: Instant) {
        let age = now.saturating_duration_since(self.began);
        let is_full = self.present.total >= u32::MAX / 2;
        if age < self.window && !is_full {
            return;
        }
        std::mem::swap(&mut self.present, &mut self.past);
        self.present.clear();
        if age >= self.window.saturating_mul(2) {
            self.past.clear();
        }
        self.began = now;
    }
}

impl Generation {
    fn new() -> Self {
        Self { counts: Box::new([0; BUCKETS]), total: 0 }
    }

    fn clear(&mut self) {
        self.counts.fill(0);
        self.total = 0;
    }
}

fn bucket(latency: Duration) -> usize {
    let value = u32::try_from(latency.as_micros()).unwrap_or(u32::MAX);
    let Some(shift) = value.checked_ilog2().and_then(|top| top.checked_sub(5)) else {
        return value as usize;
    };
    (shift as usize + 1) * PER_DOUBLING + (value >> shift) as usize % PER_DOUBLING
}

/// Returns the least latency beyond a bucket.
fn upper(bucket: usize) -> Duration {
    let (doubling, rest) = (bucket / PER_DOUBLING, (bucket % PER_DOUBLING) as u64);
    let micros = match doubling {
        0 => rest + 1,
        doubling => (PER_DOUBLING as u64 + rest + 1) << (doubling - 1),
    };
    Duration::from_micros(micros)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_edge_is_a_bucket_of_its_own() {
        for value in [0, 1, 31, 32, 33, 63, 64, 65, u32::MAX] {
            let latency = Duration::from_micros(value.into());
            let (bucket, upper) = (bucket(latency), upper(bucket(latency)));
            assert!(bucket < BUCKETS, "{value}");
            assert!(
                upper > latency && upper.as_micros() as f64 <= f64::from(value) * (1.0 + 1.0 / 32.0) + 1.0
            );
        }
        assert_eq!(bucket(Duration::MAX), BUCKETS - 1);
    }

    #[test]
    fn old_latencies_are_forgotten() {
        let (start, second) = (Instant::now(), Duration::from_secs(1));
        let mut latencies = Latencies::new(second, start);
        latencies.record(second, start);
        latencies.record(Duration::from_millis(1), start + second);
        assert_eq!(latencies.total(), 2, "the past generation counts");
        latencies.record(Duration::from_millis(1), start + second * 2);
        assert_eq!(latencies.total(), 2);
        assert!(latencies.percentile(1.0) < Some(second));
        latencies.record(Duration::from_millis(1), start + second * 9);
        assert_eq!(latencies.total(), 1, "after a pause both are old");
    }

    proptest! {
        #[test]
        fn a_percentile_is_that_of_the_sorted_latencies(
            micros in prop::collection::vec(0..10_000_000_u64, 1..300),
            share in 0.01..1.0_f64,
        ) {
            let now = Instant::now();
            let mut latencies = Latencies::new(Duration::from_secs(1), now);
            for &micros in &micros {
                latencies.record(Duration::from_micros(micros), now);
            }
            let mut sorted = micros;
            sorted.sort_unstable();
            let exact = sorted[((share * sorted.len() as f64).ceil() as usize).max(1) - 1];
            let told = latencies.percentile(share).expect("there are some").as_micros() as u64;
            prop_assert!(told > exact && told <= exact + exact / 32 + 1, "{told} for {exact}");
        }
    }
}
