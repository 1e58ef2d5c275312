use std::time::Duration;

use steadfast_base::units::Percentage;

use crate::{SAMPLES_MIN, Series, Tally, Window};

/// Returns how many times faster than allowed the error budget burns: the share of failures divided by the share that
/// the objective allows. 1 uses up the budget exactly by the end of the objective's period. None without commands.
///
/// After *The Site Reliability Workbook* (Google, 2018), chapter 5, "Alerting on SLOs": its fastest alert fires at
/// 14.4, at which 2 % of a 30-day budget are gone in an hour.
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use steadfast_slo::{Series, burn_rate};
///
/// let mut series = Series::new();
/// (0..985).for_each(|at| series.succeeded(Duration::from_millis(at), Duration::from_millis(1)));
/// (0..15).for_each(|at| series.failed(Duration::from_millis(at)));
/// let rate = burn_rate(&series.total(), "99.9%".parse()?).unwrap();
/// assert_eq!(rate.round(), 15.0);
/// # Ok::<(), steadfast_base::units::UnitError>(())
/// ```
pub fn burn_rate(tally: &Tally, objective: Percentage) -> Option<f64> {
    let failures = 1.0 - tally.success_ratio()?;
    let allowed = 1.0 - objective.ratio();
    // An objective of 100 % has no budget: the first failure burns it infinitely fast.
    Some(if tally.failed == 0 { 0.0 } else { failures / allowed.max(0.0) })
}

/// Stops a run whose error budget burns faster than `over` times the allowed rate for `length`.
///
/// The workbook joins a long window, which makes an alert trustworthy, with a short one of a twelfth of it, which makes
/// it end soon. A run has no alert that must end: one window is enough.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BurnRule {
    /// How many times faster than allowed.
    pub over: f64,
    /// For how long.
    pub length: Duration,
}

impl BurnRule {
    /// Returns the burn rate of the last `length` before `now` if it is over the bound; none before `length` has
    /// passed since the start of the load, and with fewer than [`SAMPLES_MIN`] commands.
    ///
    /// Commands that have not ended are in no series, and those that end first are the ones that fail at once: let
    /// `now` lie as far back as a command may take.
    pub fn exceeded(&self, series: &Series, objective: Percentage, now: Duration) -> Option<f64> {
        if now < self.length {
            return None;
        }
        let tally = series.tally(Window::until(now, self.length));
        let rate = burn_rate(&tally, objective)?;
        (tally.total() >= SAMPLES_MIN && rate > self.over).then_some(rate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn percent(text: &str) -> Percentage {
        text.parse().expect(text)
    }

    #[test]
    fn two_percent_of_a_month_in_an_hour_is_14_4() {
        let hour_of_month = 1.0 / (30.0 * 24.0);
        let mut series = Series::new();
        (0..9_856).for_each(|at| series.succeeded(Duration::from_millis(at), Duration::ZERO));
        (0..144).for_each(|at| series.failed(Duration::from_millis(at)));
        let rate = burn_rate(&series.total(), percent("99.9%")).expect("there are commands");
        assert!((rate - 14.4).abs() < 1e-9, "{rate}");
        assert!((rate * hour_of_month - 0.02).abs() < 1e-9);
    }

    #[test]
    fn without_a_budget_one_failure_is_infinitely_fast_and_none_is_not() {
        let mut series = Series::new();
        assert_eq!(burn_rate(&series.total(), percent("100%")), None);
        series.succeeded(Duration::ZERO, Duration::ZERO);
        assert_eq!(burn_rate(&series.total(), percent("100%")), Some(0.0));
        series.failed(Duration::ZERO);
        assert_eq!(burn_rate(&series.total(), percent("100%")), Some(f64::INFINITY));
    }

    #[test]
    fn a_rule_looks_only_at_its_window_and_waits_until_it_is_full() {
        let rule = BurnRule { over: 10.0, length: Duration::from_secs(5) };
        let mut series = Series::new();
        for at in 0..200 {
            let at = Duration::from_millis(at * 100);
            if at < Duration::from_secs(10) {
                series.succeeded(at, Duration::ZERO);
            } else {
                series.failed(at);
            }
        }
        let exceeded = |second| rule.exceeded(&series, percent("99%"), Duration::from_secs(second));
        assert_eq!(exceeded(10), None);
        assert!(exceeded(15).is_some_and(|rate| (rate - 100.0).abs() < 1e-6));
        let early = BurnRule { over: 10.0, length: Duration::from_secs(50) };
        assert_eq!(early.exceeded(&series, percent("99%"), Duration::from_secs(20)), None);
    }
}
