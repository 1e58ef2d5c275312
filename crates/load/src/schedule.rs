//! When each arrival is due. The schedule is a pure function of stages and seed, so that every thread of the
//! generator can follow it alone and the same plan always asks for the same moments.

use std::collections::VecDeque;
use std::time::Duration;

use steadfast_base::units::Rate;
use steadfast_base::{Rng, Seed};

/// A span of time with a constant rate of arrivals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stage {
    /// Arrivals per time; zero is a pause.
    pub rate: Rate,
    /// How long the stage lasts.
    pub duration: Duration,
}

/// How arrivals are spread within a stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Spacing {
    /// Evenly: arrival `n` of a stage is due `n / rate` after its start.
    #[default]
    Uniform,
    /// At random, as independent users come: a Poisson process of the stage's rate, drawn from the plan's seed.
    Poisson,
}

/// Yields the moments at which arrivals are due, as time since the start, never decreasing.
#[derive(Debug, Clone)]
pub struct Schedule {
    stages: VecDeque<Stage>,
    /// Where the current stage starts and ends, and its rate per second.
    stage: (Duration, Duration, f64),
    spacing: Spacing,
    rng: Rng,
    /// Uniform: the number of the next arrival in the stage. Every moment is computed from it anew, never from
    /// the moment before: adding up intervals would drift.
    next: u64,
    /// Poisson: time within the stage of the arrival before, in seconds.
    elapsed: f64,
}

impl Schedule {
    /// Creates the schedule of `stages`, one behind the other.
    pub fn new(stages: &[Stage], spacing: Spacing, seed: Seed) -> Self {
        Self {
            stages: VecDeque::from(stages.to_vec()),
            stage: (Duration::ZERO, Duration::ZERO, 0.0),
            spacing,
            rng: seed.stream("arrivals"),
            next: 0,
            elapsed: 0.0,
        }
    }

    /// Returns the offset of the next arrival from the start of the stage, in seconds.
    fn offset(&mut self, rate: f64) -> f64 {
        match self.spacing {
            Spacing::Uniform => {
                self.next += 1;
                (self.next - 1) as f64 / rate
            }
            Spacing::Poisson => {
                self.elapsed -= (1.0 - self.rng.unit()).ln() / rate;
                self.elapsed
            }
        }
    }
}

impl Iterator for Schedule {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        loop {
            let (start, end, rate) = self.stage;
            if rate > 0.0 && start < end {
                let offset = self.offset(rate);
                // A nanosecond of slack: the arrival at the very end belongs to the next stage, also where the
                // quotient came out a hair too small.
                if offset < (end - start).as_secs_f64() - 1e-9 {
                    return Some(start + Duration::from_secs_f64(offset));
                }
            }
            let stage = self.stages.pop_front()?;
            self.stage = (end, end + stage.duration, stage.rate.per_second());
            (self.next, self.elapsed) = (0, 0.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn stage(rate: u64, millis: u64) -> Stage {
        Stage { rate: Rate::per_second_of(rate), duration: Duration::from_millis(millis) }
    }

    fn all(stages: &[Stage], spacing: Spacing, seed: u64) -> Vec<Duration> {
        Schedule::new(stages, spacing, Seed::new(seed)).collect()
    }

    #[test]
    fn stages_follow_each_other_without_drift() {
        let moments = all(&[stage(200, 33_000), stage(0, 1_000), stage(3, 1_000)], Spacing::Uniform, 1);
        assert_eq!(moments.len(), 6_600 + 3);
        assert_eq!(moments[6_599], Duration::from_millis(32_995));
        assert_eq!(moments[6_600], Duration::from_secs(34));
        assert_eq!(moments[6_601].as_millis(), 34_333);
    }

    #[test]
    fn poisson_keeps_rate_and_spread_and_repeats_by_seed() {
        let stages = [stage(1_000, 60_000)];
        let moments = all(&stages, Spacing::Poisson, 1);
        // Mean 60 000, standard deviation 245.
        assert!((59_000..61_000).contains(&moments.len()), "{}", moments.len());
        let gaps: Vec<f64> = moments.windows(2).map(|w| (w[1] - w[0]).as_secs_f64() * 1e3).collect();
        let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
        let variance = gaps.iter().map(|g| (g - mean).powi(2)).sum::<f64>() / gaps.len() as f64;
        assert!((variance.sqrt() / mean - 1.0).abs() < 0.05, "an exponential's deviation is its mean");
        assert_eq!(moments, all(&stages, Spacing::Poisson, 1));
        assert_ne!(moments, all(&stages, Spacing::Poisson, 2));
    }

    proptest! {
        #[test]
        fn uniform_gives_rate_times_duration(rate in 1_u64..5_000, seconds in 1_u64..20) {
            let moments = all(&[stage(rate, seconds * 1_000)], Spacing::Uniform, 0);
            prop_assert_eq!(moments.len() as u64, rate * seconds);
        }

        #[test]
        fn moments_never_decrease_and_stay_inside(
            stages in prop::collection::vec((0_u64..300, 0_u64..2_000), 1..5), seed: u64, poisson: bool
        ) {
            let stages: Vec<_> = stages.into_iter().map(|(rate, millis)| stage(rate, millis)).collect();
            let spacing = if poisson { Spacing::Poisson } else { Spacing::Uniform };
            let moments = all(&stages, spacing, seed);
            let end: Duration = stages.iter().map(|s| s.duration).sum();
            prop_assert!(moments.is_sorted());
            prop_assert!(moments.iter().all(|m| *m < end));
        }
    }
}
