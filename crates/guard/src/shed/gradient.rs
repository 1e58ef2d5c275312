//! How the limit is found. It knows no lock and no clock: time is an argument.

use std::time::Duration;

use steadfast_base::Rng;
use tokio::time::Instant;

use super::ShedPolicy;

/// How much of a growth is made at a time, and how much of a shrinking: too high a limit harms all callers, too low a
/// limit some.
const GROWTH_SMOOTHING: f64 = 0.2;
const SHRINKING_SMOOTHING: f64 = 0.5;
/// How much of a lower latency the baseline takes over at a time.
const BASELINE_SMOOTHING: f64 = 0.1;
/// The most that the limit shrinks by, before smoothing.
const GRADIENT_MIN: f64 = 0.5;
/// What a probe leaves of the limit.
const PROBE_SHARE: f64 = 0.5;
/// For how many windows a probe may go on without enough to measure.
const PROBE_WINDOWS_MAX: u32 = 10;

/// A call that ended.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sample {
    pub(super) started: Instant,
    pub(super) now: Instant,
    pub(super) is_success: bool,
    /// How many calls are under way, this one included.
    pub(super) in_flight: u32,
    /// The most that were under way since the last sample.
    pub(super) peak: u32,
}

#[derive(Debug)]
pub(super) struct Gradient {
    policy: ShedPolicy,
    limit: f64,
    /// The latency without load, in seconds.
    baseline: Option<f64>,
    window: Window,
    stage: Stage,
    probe_at: Instant,
    rng: Rng,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Steady,
    /// The limit is halved, and what is under way comes down to it.
    Draining {
        began: Instant,
    },
    /// What begins now meets little load.
    Probing {
        began: Instant,
    },
}

#[derive(Debug)]
struct Window {
    began: Instant,
    seconds: f64,
    samples: u32,
    peak: u32,
}

impl Gradient {
    /// `policy` has been cut to its ranges.
    pub(super) fn new(policy: ShedPolicy, now: Instant, rng: Rng) -> Self {
        Self {
            policy,
            limit: f64::from(policy.limit_initial),
            baseline: None,
            window: Window::new(now),
            stage: Stage::Steady,
            // A process may begin under load, which the first window cannot know.
            probe_at: now + policy.probe_every / 10,
            rng,
        }
    }

    /// Returns the limit that holds now.
    pub(super) fn limit(&self) -> u32 {
        let limit = match self.stage {
            Stage::Steady => self.limit,
            Stage::Draining { .. } | Stage::Probing { .. } => self.limit * PROBE_SHARE,
        };
        (limit.round() as u32).clamp(self.policy.limit_min, self.policy.limit_max)
    }

    pub(super) fn set_policy(&mut self, policy: ShedPolicy) {
        self.policy = policy;
        self.limit = self.limit.clamp(f64::from(policy.limit_min), f64::from(policy.limit_max));
    }

    pub(super) fn baseline(&self) -> Option<Duration> {
        self.baseline.map(Duration::from_secs_f64)
    }

    /// Takes note of a call that ended.
    pub(super) fn record(&mut self, sample: Sample) {
        match self.stage {
            Stage::Steady => self.watch(sample),
            Stage::Draining { began } => {
                if sample.in_flight <= self.limit() {
                    self.stage = Stage::Probing { began: sample.now };
                    self.window = Window::new(sample.now);
                } else {
                    self.give_up(began, sample.now);
                }
            }
            Stage::Probing { began } => {
                if sample.is_success && sample.started >= began {
                    self.window.add(sample);
                }
                if self.window.samples >= self.policy.samples_min {
                    self.baseline = Some(self.window.mean());
                    self.settle(sample.now);
                } else {
                    self.give_up(began, sample.now);
                }
            }
        }
    }

    fn watch(&mut self, sample: Sample) {
        let latency = sample.now.saturating_duration_since(sample.started).as_secs_f64();
        self.window.peak = self.window.peak.max(sample.peak);
        if sample.is_success || self.baseline.is_some_and(|baseline| latency >= baseline) {
            self.window.add(sample);
        }
        let age = sample.now.saturating_duration_since(self.window.began);
        if age < self.policy.window || self.window.samples < self.policy.samples_min {
            return;
        }
        let (mean, peak) = (self.window.mean(), self.window.peak);
        self.window = Window::new(sample.now);
        let baseline = match self.baseline {
            None => mean,
            Some(baseline) if mean < baseline => baseline + BASELINE_SMOOTHING * (mean - baseline),
            // IMPORTANT: Latency under load never raises the baseline. That is the drift.
            Some(baseline) => baseline,
        };
        self.baseline = Some(baseline);
        self.adjust(baseline, mean, peak);
        if sample.now >= self.probe_at {
            self.stage = Stage::Draining { began: sample.now };
        }
    }

    fn adjust(&mut self, baseline: f64, mean: f64, peak: u32) {
        let allowed = self.policy.tolerance * baseline;
        // Without a latency there is none that is too long.
        let gradient = if mean <= allowed { 1.0 } else { (allowed / mean).clamp(GRADIENT_MIN, 1.0) };
        let change = if gradient < 1.0 {
            SHRINKING_SMOOTHING * (gradient - 1.0) * self.limit
        } else if f64::from(peak) * 2.0 < self.limit {
            // Too little is asked for to know whether more would do.
            0.0
        } else {
            GROWTH_SMOOTHING * self.limit.sqrt()
        };
        let limit = self.limit + change;
        self.limit = limit.clamp(f64::from(self.policy.limit_min), f64::from(self.policy.limit_max));
    }

    fn give_up(&mut self, began: Instant, now: Instant) {
        if now.saturating_duration_since(began) > self.policy.window * PROBE_WINDOWS_MAX {
            self.settle(now);
        }
    }

    fn settle(&mut self, now: Instant) {
        self.stage = Stage::Steady;
        self.window = Window::new(now);
        // Spread, so that many processes do not make room at the same time.
        self.probe_at = now + self.policy.probe_every.mul_f64(0.75 + 0.5 * self.rng.unit());
    }
}

impl Window {
    fn new(began: Instant) -> Self {
        Self { began, seconds: 0.0, samples: 0, peak: 0 }
    }

    fn add(&mut self, sample: Sample) {
        self.seconds += sample.now.saturating_duration_since(sample.started).as_secs_f64();
        self.samples += 1;
    }

    fn mean(&self) -> f64 {
        self.seconds / f64::from(self.samples.max(1))
    }
}
