//! From commands to indicators: objectives against what was measured, and the series of the report.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use steadfast_slo::{Objective, Series, Window};

use super::record::{Record, Row};
use crate::report::{FailureCount, ObjectiveResult, StepSecond, StepSeries};
use crate::spec;

/// Makes the series of one step from its commands.
pub(crate) fn series(rows: &[Row], step: usize) -> Series {
    let mut series = Series::new();
    for row in rows.iter().filter(|row| usize::from(row.step) == step) {
        if row.result.is_success() {
            series.succeeded(row.intended, row.latency());
        } else {
            series.failed(row.intended);
        }
    }
    series
}

/// One indicator of an objective in one window, with what it says of the measured series.
pub(crate) struct Judged {
    pub(crate) result: ObjectiveResult,
    pub(crate) window: Range<Duration>,
}

/// Measures every indicator of every objective in every window that `wanted` lets pass.
pub(crate) fn judge(
    experiment: &spec::Experiment,
    rows: &[Row],
    load_start_ms: u64,
    wanted: impl Fn(&str) -> bool,
) -> Vec<Judged> {
    let mut cache: BTreeMap<usize, Series> = BTreeMap::new();
    let mut judged = Vec::new();
    for objective in &experiment.objectives {
        let Some((index, _)) = experiment.load.step(&objective.step) else { continue };
        let series = cache.entry(index).or_insert_with(|| series(rows, index));
        for (during, window) in objective.during.windows(&experiment.phases, objective.within.0) {
            if !wanted(during) {
                continue;
            }
            for declared in indicators(objective) {
                let result = measure(objective, during, &window, declared, series, load_start_ms);
                judged.push(Judged { result, window: window.clone() });
            }
        }
    }
    judged
}

fn indicators(objective: &spec::Objective) -> Vec<Objective> {
    let success = objective.success.map(Objective::success);
    let latencies =
        objective.latencies().into_iter().map(|(percent, bound)| Objective::latency(percent, bound));
    success.into_iter().chain(latencies).collect()
}

fn measure(
    objective: &spec::Objective,
    during: &str,
    window: &Range<Duration>,
    declared: Objective,
    series: &Series,
    load_start_ms: u64,
) -> ObjectiveResult {
    let sli = declared.evaluate(series, Window::from(window.clone()));
    ObjectiveResult {
        step: objective.step.clone(),
        during: during.to_owned(),
        indicator: declared.indicator.to_string(),
        unit: declared.indicator.unit().name().to_owned(),
        declared: declared.declared(),
        measured: sli.value,
        samples: sli.samples,
        met: sli.met,
        from_ms: load_start_ms + window.start.as_millis() as u64,
        to_ms: load_start_ms + window.end.as_millis() as u64,
    }
}

/// Writes in one sentence how an objective was missed.
pub(crate) fn sentence(result: &ObjectiveResult) -> String {
    let percent = |ratio: f64| {
        let text = format!("{:.2}", ratio * 100.0);
        format!("{} %", text.trim_end_matches('0').trim_end_matches('.'))
    };
    let value = |value: f64| if result.unit == "ratio" { percent(value) } else { format!("{value:.1} ms") };
    let measured = result.measured.map_or("nothing".to_owned(), value);
    let bound = if result.unit == "ratio" { "at least" } else { "at most" };
    format!(
        "{} {} during {} was {measured} of {} commands, declared {bound} {}",
        result.step,
        result.indicator,
        result.during,
        result.samples,
        value(result.declared)
    )
}

/// Makes the series of the report.
pub(crate) fn step_series(
    experiment: &spec::Experiment,
    rows: &[Row],
    record: &Record,
    load_start_ms: u64,
) -> Vec<StepSeries> {
    let seconds = experiment.load.length().as_secs() as usize;
    let steps = experiment.load.scenario.iter().enumerate();
    steps
        .map(|(index, step)| {
            let series = series(rows, index);
            let mut counts = vec![(0_u64, 0_u64); seconds];
            let mut failures: BTreeMap<String, u64> = BTreeMap::new();
            for row in rows.iter().filter(|row| usize::from(row.step) == index) {
                if let Some((dispatched, retries)) = counts.get_mut(row.intended.as_secs() as usize) {
                    *dispatched += u64::from(row.attempts > 0);
                    *retries += u64::from(row.attempts.saturating_sub(1));
                }
                if !row.result.is_success() {
                    *failures.entry(row.result.cause().into_owned()).or_default() += 1;
                }
            }
            let mut failures: Vec<_> =
                failures.into_iter().map(|(cause, count)| FailureCount { cause, count }).collect();
            failures.sort_by_key(|failure| std::cmp::Reverse(failure.count));
            let second = |(at, (dispatched, retries)): (usize, (u64, u64))| {
                let from = Duration::from_secs(at as u64);
                let tally = series.tally(Window::from(from..from + Duration::from_secs(1)));
                let offered = if index == 0 { record.arrivals_in(at).0 } else { tally.total() };
                StepSecond {
                    at_ms: load_start_ms + from.as_millis() as u64,
                    offered,
                    dispatched,
                    succeeded: tally.succeeded,
                    failed: tally.failed,
                    retries,
                    p50_ms: milliseconds(tally.percentile(50.0)),
                    p95_ms: milliseconds(tally.percentile(95.0)),
                    p99_ms: milliseconds(tally.percentile(99.0)),
                    max_ms: milliseconds(tally.max()),
                }
            };
            StepSeries {
                name: step.name.clone(),
                seconds: counts.into_iter().enumerate().map(second).collect(),
                failures,
            }
        })
        .collect()
}

fn milliseconds(duration: Option<Duration>) -> Option<f64> {
    duration.map(|duration| duration.as_secs_f64() * 1000.0)
}
