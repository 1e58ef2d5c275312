//! How much of its time a call loses on the way.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use steadfast_base::Classify;
use tokio::time::Instant;

/// Tells how much of a call's time to keep back, for responses `R`.
pub trait Overhead<R> {
    /// What measures one call.
    type Meter: Meter<R>;

    /// Returns how much to keep back.
    fn kept_back(&self) -> Duration;

    /// Starts to measure a call that is sent at `now`.
    fn start(&mut self, now: Instant) -> Self::Meter;
}

/// Measures one call.
pub trait Meter<R> {
    /// Learns from the response, which has just come.
    fn stop(&mut self, response: &R);
}

/// An overhead that somebody knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fixed(
    /// How much to keep back.
    pub Duration,
);

impl<R> Overhead<R> for Fixed {
    type Meter = ();

    fn kept_back(&self) -> Duration {
        self.0
    }

    fn start(&mut self, _: Instant) {}
}

impl<R> Meter<R> for () {
    fn stop(&mut self, _: &R) {}
}

/// An overhead that is measured: the round trip less [what the callee says it took](Classify::service_time).
///
/// What is kept back is the mean and four times the mean deviation, as retransmission timers have it
/// ([RFC 6298](https://www.rfc-editor.org/rfc/rfc6298)), so that nearly every call is answered in time. The first
/// calls of each clone of the service are measured and every eighth afterwards; each reads the clock once more. A callee
/// that does not say how long it took teaches nothing. Clones share what they have learned.
#[derive(Debug, Clone)]
pub struct Measured {
    estimate: Arc<Estimate>,
    min: Duration,
    max: Duration,
    /// How many calls of this clone have begun.
    calls: u32,
}

/// Mean and mean deviation in microseconds, one in each half of the word.
#[derive(Debug, Default)]
struct Estimate(AtomicU64);

impl Measured {
    /// How many calls of a clone are measured one after the other, and how many are left out between two later.
    const FIRST: u32 = 16;
    const EVERY: u32 = 8;

    /// Creates a measurement that keeps back `min` at least, also before anything is known, and `max` at most.
    pub fn within(min: Duration, max: Duration) -> Self {
        Self { estimate: Arc::default(), min: min.min(max), max, calls: 0 }
    }

    /// Returns how much is kept back now.
    pub fn current(&self) -> Duration {
        let (mean, deviation) = Estimate::unpack(self.estimate.0.load(Ordering::Relaxed));
        Duration::from_micros(mean + 4 * deviation).clamp(self.min, self.max)
    }
}

impl Default for Measured {
    /// Keeps back between 1 ms, the grain of timers, and 250 ms.
    fn default() -> Self {
        Self::within(Duration::from_millis(1), Duration::from_millis(250))
    }
}

impl Estimate {
    fn unpack(word: u64) -> (u64, u64) {
        (word >> 32, word & u64::from(u32::MAX))
    }

    /// Adds a sample. One of several at the same moment may be lost: there will be more.
    fn add(&self, sample: Duration) {
        let sample = u64::try_from(sample.as_micros()).unwrap_or(u64::MAX).min(u64::from(u32::MAX) / 4);
        let before = self.0.load(Ordering::Relaxed);
        let (mean, deviation) = Self::unpack(before);
        let (mean, deviation) = if before == 0 {
            (sample, sample / 2)
        } else {
            // Rounded up, else neither could ever reach a sample that is near.
            let deviation = (3 * deviation + mean.abs_diff(sample)).div_ceil(4);
            ((7 * mean + sample).div_ceil(8), deviation)
        };
        let after = mean << 32 | deviation;
        let _ = self.0.compare_exchange(before, after, Ordering::Relaxed, Ordering::Relaxed);
    }
}

impl<R: Classify> Overhead<R> for Measured {
    type Meter = Option<Stopwatch>;

    fn kept_back(&self) -> Duration {
        self.current()
    }

    fn start(&mut self, now: Instant) -> Option<Stopwatch> {
        let is_measured = self.calls < Self::FIRST || self.calls.is_multiple_of(Self::EVERY);
        self.calls = self.calls.wrapping_add(1);
        is_measured.then(|| Stopwatch { estimate: Arc::clone(&self.estimate), started: now })
    }
}

/// An overhead that is given or measured, as somebody decides while the program runs.
#[derive(Debug, Clone)]
pub enum Chosen {
    /// Somebody knows it.
    Fixed(Fixed),
    /// It is measured.
    Measured(Measured),
}

impl<R: Classify> Overhead<R> for Chosen {
    type Meter = Option<Stopwatch>;

    fn kept_back(&self) -> Duration {
        match self {
            Self::Fixed(Fixed(time)) => *time,
            Self::Measured(measured) => measured.current(),
        }
    }

    fn start(&mut self, now: Instant) -> Option<Stopwatch> {
        match self {
            Self::Fixed(_) => None,
            Self::Measured(measured) => Overhead::<R>::start(measured, now),
        }
    }
}

/// Measures one round trip.
#[derive(Debug)]
pub struct Stopwatch {
    estimate: Arc<Estimate>,
    started: Instant,
}

impl<R: Classify> Meter<R> for Option<Stopwatch> {
    fn stop(&mut self, response: &R) {
        if let (Some(watch), Some(took)) = (self.take(), response.service_time()) {
            watch.estimate.add(watch.started.elapsed().saturating_sub(took));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn keeps_back_nearly_all_that_calls_lose() {
        let measured = Measured::within(Duration::ZERO, Duration::from_secs(1));
        assert_eq!(measured.current(), Duration::ZERO);
        measured.estimate.add(Duration::from_millis(4));
        assert_eq!(measured.current(), Duration::from_millis(12));
        (0..100).for_each(|_| measured.estimate.add(Duration::from_millis(4)));
        let kept_back = measured.current();
        assert!((4000..4020).contains(&kept_back.as_micros()), "{kept_back:?}");
    }

    proptest! {
        #[test]
        fn stays_within_its_bounds(samples in prop::collection::vec(any::<u64>(), 0..50), min in 0..1000_u64, max in 0..1000_u64) {
            let (min, max) = (Duration::from_micros(min), Duration::from_micros(max));
            let measured = Measured::within(min, max);
            for nanos in samples {
                measured.estimate.add(Duration::from_nanos(nanos));
                prop_assert!(measured.current() >= min.min(max) && measured.current() <= max);
            }
        }

        /// Of calls that lose a steady time with noise, all but few lose less than is kept back.
        #[test]
        fn covers_noise(base in 100..10_000_u64, noise in 1..100_u64, draws in prop::collection::vec(0..1000_u64, 200)) {
            let measured = Measured::within(Duration::ZERO, Duration::from_secs(10));
            let (mut late, mut seen) = (0, 0);
            for draw in draws {
                let lost = Duration::from_micros(base + base * noise * draw / 100_000);
                if seen >= 20 {
                    late += u32::from(lost > measured.current());
                }
                seen += 1;
                measured.estimate.add(lost);
            }
            prop_assert!(late <= 9, "{late} of 180");
        }
    }
}
