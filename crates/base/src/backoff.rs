//! How long to wait before trying again.

use std::time::Duration;

use crate::Rng;

/// How the wait is spread, so that clients that failed together do not return together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Jitter {
    /// No spread: the exponential value itself.
    None,
    /// A uniform draw between zero and the exponential value: "full jitter" of Brooker, *Exponential Backoff And
    /// Jitter* (AWS Architecture Blog, 2015), which spreads best.
    #[default]
    Full,
    /// A uniform draw between the initial value and three times the last wait: "decorrelated jitter" of the same article,
    /// which never draws nearly nothing. The growth is in the draw, so that [`Backoff::factor`] says nothing.
    Decorrelated,
}

/// Exponential back-off: `initial × factor^n`, at most `max`, spread by [`Jitter`].
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use steadfast_base::{Backoff, Jitter, Seed};
///
/// let backoff = Backoff { jitter: Jitter::None, ..Backoff::default() };
/// let mut rng = Seed::new(1).rng();
/// assert_eq!(backoff.delay(0, &mut rng), Duration::from_millis(50));
/// assert_eq!(backoff.delay(2, &mut rng), Duration::from_millis(200));
/// assert_eq!(backoff.delay(60, &mut rng), Duration::from_secs(2));
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Backoff {
    /// The wait before the first repetition, before jitter.
    pub initial: Duration,
    /// The longest wait, before jitter.
    pub max: Duration,
    /// By what each further wait grows; 1 or more.
    pub factor: f64,
    /// How the wait is spread.
    pub jitter: Jitter,
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            initial: Duration::from_millis(50),
            max: Duration::from_secs(2),
            factor: 2.0,
            jitter: Jitter::Full,
        }
    }
}

impl Backoff {
    /// Returns the wait before repetition `repetition`, counted from 0. Who knows the last wait says so to
    /// [`delay_after`](Self::delay_after); here, those that came before are drawn anew.
    pub fn delay(&self, repetition: u32, rng: &mut Rng) -> Duration {
        // After so many repetitions a further one makes no difference.
        const REPETITIONS_MAX: u32 = 32;
        if self.jitter != Jitter::Decorrelated {
            return self.delay_after(Duration::ZERO, repetition, rng);
        }
        (0..=repetition.min(REPETITIONS_MAX))
            .fold(Duration::ZERO, |last, repetition| self.delay_after(last, repetition, rng))
    }

    /// Returns the wait before repetition `repetition`, counted from 0, when the wait before the last one was `last`.
    pub fn delay_after(&self, last: Duration, repetition: u32, rng: &mut Rng) -> Duration {
        if self.initial.is_zero() {
            return Duration::ZERO;
        }
        let exponent = i32::try_from(repetition).unwrap_or(i32::MAX);
        let seconds = |seconds: f64| Duration::try_from_secs_f64(seconds).unwrap_or(self.max);
        let grown = self.initial.as_secs_f64() * self.factor.max(1.0).powi(exponent);
        let ceiling = grown.min(self.max.as_secs_f64());
        match self.jitter {
            Jitter::None => seconds(ceiling),
            Jitter::Full => seconds(ceiling * rng.unit()),
            Jitter::Decorrelated => {
                let (initial, max) = (self.initial.as_secs_f64(), self.max.as_secs_f64());
                let spread = (3.0 * last.max(self.initial).as_secs_f64() - initial).max(0.0);
                seconds((initial + spread * rng.unit()).min(max))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Seed;

    proptest! {
        #[test]
        fn never_longer_than_the_maximum(
            seed: u64,
            repetition: u32,
            initial in 0_u64..10_000,
            max in 0_u64..10_000,
            jitter in prop_oneof![Just(Jitter::None), Just(Jitter::Full), Just(Jitter::Decorrelated)],
        ) {
            let backoff = Backoff {
                initial: Duration::from_millis(initial),
                max: Duration::from_millis(max),
                jitter,
                ..Backoff::default()
            };
            prop_assert!(backoff.delay(repetition, &mut Seed::new(seed).rng()) <= backoff.max);
        }

        #[test]
        fn decorrelated_waits_are_at_most_three_times_the_last(seed: u64, initial in 1_u64..1000) {
            let initial = Duration::from_millis(initial);
            let max = Duration::from_secs(3600);
            let backoff = Backoff { initial, max, jitter: Jitter::Decorrelated, ..Backoff::default() };
            let (mut rng, mut last) = (Seed::new(seed).rng(), Duration::ZERO);
            for repetition in 0..10 {
                let wait = backoff.delay_after(last, repetition, &mut rng);
                prop_assert!(wait >= initial && wait <= 3 * last.max(initial), "{last:?} {wait:?}");
                last = wait;
            }
        }
    }
}
