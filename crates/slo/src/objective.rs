use std::fmt;
use std::time::Duration;

use steadfast_base::units::Percentage;

use crate::{Series, Window};

/// How many commands a window needs at least before an objective is judged. A percentile needs more: as many as it
/// takes for one command to lie beyond it (100 for the 99th), for with fewer it would only be the maximum by another
/// name.
pub const SAMPLES_MIN: u64 = 30;

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub enum Indicator {
    /// The share of commands that succeed.
    Success,
    /// The latency that this share of the successful commands does not exceed.
    Percentile(Percentile),
    /// The longest latency of the successful commands.
    Max,
}

/// A percentile: more than 0 and less than 100.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Percentile(f64);

impl Percentile {
    /// Creates the percentile `percent`; none unless it lies between 0 and 100.
    pub fn new(percent: f64) -> Option<Self> {
        (percent > 0.0 && percent < 100.0).then_some(Self(percent))
    }

    /// Returns it in percent.
    pub fn percent(self) -> f64 {
        self.0
    }
}

impl Indicator {
    /// Returns the indicator of latency at `percent`: a percentile, or from 100 on the maximum.
    pub fn latency(percent: f64) -> Self {
        Percentile::new(percent).map_or(Self::Max, Self::Percentile)
    }

    /// Returns how many commands it needs at least.
    pub fn samples_min(self) -> u64 {
        match self {
            Self::Percentile(percentile) => {
                // Rounded before rounding up, or 1 / (1 - 0.99) would ask for 101.
                let beyond = (1e9 / (1.0 - percentile.0 / 100.0)).round() / 1e9;
                SAMPLES_MIN.max(beyond.ceil() as u64)
            }
            Self::Success | Self::Max => SAMPLES_MIN,
        }
    }

    /// Returns the unit in which it is written.
    pub fn unit(self) -> Unit {
        match self {
            Self::Success => Unit::Ratio,
            Self::Percentile(_) | Self::Max => Unit::Milliseconds,
        }
    }
}

impl fmt::Display for Indicator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Success => f.write_str("success"),
            Self::Percentile(percentile) => write!(f, "p{}", percentile.0),
            Self::Max => f.write_str("max"),
        }
    }
}

/// The unit of a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Unit {
    /// A share, 0 to 1.
    Ratio,
    /// Thousandths of a second.
    Milliseconds,
}

impl Unit {
    /// Returns the unit as reports write it: `ratio` or `ms`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ratio => "ratio",
            Self::Milliseconds => "ms",
        }
    }
}

/// What an indicator is held against.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Bound {
    /// The share is at least this.
    AtLeast(Percentage),
    /// The latency is at most this.
    AtMost(Duration),
}

/// An indicator and the bound that it must keep.
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use steadfast_slo::{Objective, Series, Window};
///
/// let mut series = Series::new();
/// for at in 0..200 {
///     series.succeeded(Duration::from_millis(at * 5), Duration::from_millis(at));
/// }
/// let window = Window::new(Duration::ZERO, Duration::from_secs(1));
/// let sli = Objective::latency(95.0, Duration::from_millis(150)).evaluate(&series, window);
/// assert_eq!(sli.value.map(f64::round), Some(189.0));
/// assert_eq!(sli.met, Some(false));
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Objective {
    /// What is measured.
    pub indicator: Indicator,
    /// What it is held against.
    pub bound: Bound,
}

/// What an objective came to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sli {
    /// What was measured, in the unit of the indicator; none without samples.
    pub value: Option<f64>,
    /// How many commands it was measured on: for latency those that succeeded, for success all.
    pub samples: u64,
    /// Whether the bound was kept; none where there were fewer samples than [`Indicator::samples_min`], and where a
    /// latency is kept by those that succeeded but most did not: who fails fast is not fast.
    pub met: Option<bool>,
}

impl Objective {
    /// Creates the objective that at least `share` of the commands succeed.
    pub fn success(share: Percentage) -> Self {
        Self { indicator: Indicator::Success, bound: Bound::AtLeast(share) }
    }

    /// Creates the objective that the latency at `percent` is at most `bound`; from 100 on that of all commands.
    pub fn latency(percent: f64, bound: Duration) -> Self {
        Self { indicator: Indicator::latency(percent), bound: Bound::AtMost(bound) }
    }

    /// Returns the bound in the unit of the indicator.
    pub fn declared(&self) -> f64 {
        match self.bound {
            Bound::AtLeast(share) => share.ratio(),
            Bound::AtMost(bound) => milliseconds(bound),
        }
    }

    /// Measures what was to start within `window` and holds it against the bound.
    pub fn evaluate(&self, series: &Series, window: Window) -> Sli {
        let tally = series.tally(window);
        let (value, samples) = match self.indicator {
            Indicator::Success => (tally.success_ratio(), tally.total()),
            Indicator::Percentile(p) => (tally.percentile(p.0).map(milliseconds), tally.succeeded),
            Indicator::Max => (tally.max().map(milliseconds), tally.succeeded),
        };
        let keeps = |value: f64| match self.bound {
            Bound::AtLeast(_) => value >= self.declared(),
            Bound::AtMost(_) => value <= self.declared(),
        };
        let met = value.filter(|_| samples >= self.indicator.samples_min()).map(keeps);
        let met = met.filter(|met| !met || samples * 2 >= tally.total());
        Sli { value, samples, met }
    }
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_micros() as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(succeeded: u64, failed: u64) -> Series {
        let mut series = Series::new();
        (0..succeeded)
            .for_each(|at| series.succeeded(Duration::from_millis(at % 1000), Duration::from_millis(5)));
        (0..failed).for_each(|at| series.failed(Duration::from_millis(at % 1000)));
        series
    }

    fn second() -> Window {
        Window::new(Duration::ZERO, Duration::from_secs(1))
    }

    #[test]
    fn the_latency_of_few_survivors_is_no_evidence() {
        let slow = Objective::latency(50.0, Duration::from_millis(1));
        let fast = Objective::latency(50.0, Duration::from_millis(5));
        assert_eq!(fast.evaluate(&series(100, 100), second()).met, Some(true));
        assert_eq!(fast.evaluate(&series(100, 101), second()).met, None);
        assert_eq!(slow.evaluate(&series(100, 101), second()).met, Some(false));
    }

    #[test]
    fn a_bound_that_is_just_kept_is_met() {
        let objective = Objective::success("99.9%".parse().expect("is a percentage"));
        assert_eq!(objective.evaluate(&series(999, 1), second()).met, Some(true));
        assert_eq!(objective.evaluate(&series(998, 1), second()).met, Some(false));
        let latency = Objective::latency(95.0, Duration::from_millis(5));
        assert_eq!(latency.evaluate(&series(100, 0), second()).met, Some(true));
        let latency = Objective::latency(95.0, Duration::from_micros(4_900));
        assert_eq!(latency.evaluate(&series(100, 0), second()).met, Some(false));
    }

    #[test]
    fn too_few_samples_say_nothing_either_way() {
        let objective = Objective::success(Percentage::HUNDRED);
        let few = objective.evaluate(&series(0, SAMPLES_MIN - 1), second());
        assert_eq!((few.value, few.met), (Some(0.0), None));
        assert_eq!(objective.evaluate(&series(0, SAMPLES_MIN), second()).met, Some(false));
        let none = objective.evaluate(&series(0, 0), second());
        assert_eq!((none.value, none.samples, none.met), (None, 0, None));
    }

    #[test]
    fn latency_counts_only_what_succeeded() {
        let objective = Objective::latency(50.0, Duration::from_millis(1));
        let sli = objective.evaluate(&series(29, 1000), second());
        assert_eq!((sli.samples, sli.met), (29, None));
    }

    #[test]
    fn the_least_number_of_samples_grows_with_the_percentile() {
        let least = [50.0, 95.0, 99.0, 99.9, 100.0].map(|percent| Indicator::latency(percent).samples_min());
        assert_eq!(least, [30, 30, 100, 1000, 30]);
        assert_eq!(Indicator::latency(99.9).to_string(), "p99.9");
        assert_eq!(Percentile::new(f64::NAN), None);
    }
}
