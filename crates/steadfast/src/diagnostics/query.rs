//! What is asked for, cut to what may be.

use std::time::Duration;

use serde::Deserialize;

/// How a profile is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Format {
    /// A flame graph.
    #[default]
    Svg,
    /// A line for each stack.
    Folded,
}

/// How long the runtime is looked at.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RuntimeQuery {
    /// 0.1 to 10.
    seconds: f64,
}

impl Default for RuntimeQuery {
    fn default() -> Self {
        Self { seconds: 1.0 }
    }
}

impl RuntimeQuery {
    pub(super) fn window(&self) -> Duration {
        seconds(self.seconds, 0.1, 10.0)
    }
}

/// How the processor is sampled.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct ProfileQuery {
    /// 0.1 to 30.
    seconds: f64,
    /// 1 to 250.
    per_second: u32,
    pub(super) format: Format,
}

impl Default for ProfileQuery {
    fn default() -> Self {
        // No multiple of what timers usually have.
        Self { seconds: 5.0, per_second: 99, format: Format::default() }
    }
}

impl ProfileQuery {
    pub(super) fn length(&self) -> Duration {
        seconds(self.seconds, 0.1, 30.0)
    }

    pub(super) fn per_second(&self) -> u32 {
        self.per_second.clamp(1, 250)
    }
}

fn seconds(asked: f64, least: f64, most: f64) -> Duration {
    Duration::from_secs_f64(if asked.is_nan() { least } else { asked.clamp(least, most) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_is_cut() {
        for (asked, cut) in [(1e300, 30.0), (-5.0, 0.1), (f64::NAN, 0.1), (7.0, 7.0)] {
            let query = ProfileQuery { seconds: asked, per_second: u32::MAX, format: Format::Svg };
            assert_eq!((query.length(), query.per_second()), (Duration::from_secs_f64(cut), 250));
        }
        assert_eq!(RuntimeQuery { seconds: f64::INFINITY }.window(), Duration::from_secs(10));
        assert_eq!(ProfileQuery { per_second: 0, ..ProfileQuery::default() }.per_second(), 1);
    }
}
