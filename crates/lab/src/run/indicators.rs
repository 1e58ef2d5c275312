//! From commands to indicators: objectives against what was measured, and the series of the report.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use steadfast_slo::{Objective, Series, Window};

use super::offered;
use super::record::{Record, Row};
use crate::report::{FailureCount, ObjectiveResult, StepSecond, StepSeries};
use crate::spec::{self, During, Phase};

/// The least share of the declared commands of a step that must have been run for an objective to be met.
const RUN_SHARE_MIN: f64 = 0.5;

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
    window: Range<Duration>,
    /// How many commands there were, and how many the load declares.
    runs: (u64, f64),
}

impl Judged {
    /// Says in words what there was where it was too little to judge.
    pub(crate) fn why_not_judged(&self) -> String {
        let length = self.window.end.saturating_sub(self.window.start);
        let (ObjectiveResult { step, during, indicator, samples, .. }, (runs, declared)) =
            (&self.result, self.runs);
        let seconds = length.as_secs_f64();
        format!(
            "{step} {indicator} during {during} was measured on {samples} of {runs} commands in {seconds:.1} s, of \
             about {declared:.0} that the load declares"
        )
    }
}

/// The windows of one objective, by name.
type Windows = Vec<(&'static str, Range<Duration>)>;

/// Measures every indicator of every objective in all its windows.
pub(crate) fn judge(experiment: &spec::Experiment, rows: &[Row], load_start_ms: u64) -> Vec<Judged> {
    let all = |objective: &spec::Objective| objective.during.windows(&experiment.phases, objective.within.0);
    judge_in(experiment, rows, load_start_ms, all)
}

/// Measures in the baseline every indicator of every objective that covers it.
pub(crate) fn judge_baseline(experiment: &spec::Experiment, rows: &[Row]) -> Vec<Judged> {
    let baseline = Phase::Baseline;
    let covering = |objective: &spec::Objective| match &objective.during {
        During::Phases(phases) if !phases.contains(&baseline) => Windows::new(),
        _ => During::Phases(vec![baseline]).windows(&experiment.phases, objective.within.0),
    };
    judge_in(experiment, rows, 0, covering)
}

fn judge_in(
    experiment: &spec::Experiment,
    rows: &[Row],
    load_start_ms: u64,
    windows: impl Fn(&spec::Objective) -> Windows,
) -> Vec<Judged> {
    let mut cache: BTreeMap<usize, Series> = BTreeMap::new();
    let mut judged = Vec::new();
    for objective in &experiment.objectives {
        let Some((index, _)) = experiment.load.step(&objective.step) else { continue };
        let series = cache.entry(index).or_insert_with(|| series(rows, index));
        for (during, window) in windows(objective) {
            let runs = series.tally(Window::from(window.clone())).total();
            let runs = (runs, offered::commands(&experiment.load, index, &window));
            for declared in indicators(objective) {
                let mut result = measure(objective, during, &window, declared, series, load_start_ms);
                // A step that mostly was not run, for want of what the steps before it should have answered, has not
                // shown that it does what is asked of it.
                let enough = runs.0 as f64 >= runs.1 * RUN_SHARE_MIN;
                result.met = result.met.filter(|met| !met || enough);
                judged.push(Judged { result, window: window.clone(), runs });
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

#[cfg(test)]
mod tests {
    use steadfast_load::CommandResult;
    use uuid::Uuid;

    use super::*;

    fn experiment(objective: &str) -> spec::Experiment {
        let text = r#"
apiVersion: steadfast.dev/v1
kind: Experiment
metadata: {name: e}
system: {processes: [{name: web, command: [web], ready: {tcp: {}}}]}
phases: {baseline: 2s, inject: 2s, recover: 2s}
load:
  arrivals: [{rate: 100/s, for: 6s}]
  scenario:
    - {name: create, http: {method: POST, url: "${web.url}/"}, capture: {id: $.id}}
    - {name: confirm, weight: 50%, http: {method: POST, url: "${web.url}/${id}"}}
objectives: [OBJECTIVE]
"#;
        serde_saphyr::from_str(&text.replace("OBJECTIVE", objective)).expect("it is an experiment")
    }

    fn rows(step: u16, every: Duration, result: impl Fn(Duration) -> CommandResult) -> Vec<Row> {
        let times = (0..).map(|n| every * n).take_while(|at| *at < Duration::from_secs(6));
        let row = |at| Row {
            step,
            attempts: 1,
            result: result(at),
            unknown: false,
            id: Uuid::nil(),
            key: None,
            intended: at,
            dispatched: at,
            finished: at + Duration::from_millis(1),
        };
        times.map(row).collect()
    }

    const GOOD: CommandResult = CommandResult::Succeeded { status: 200 };

    #[test]
    fn a_step_that_mostly_was_not_run_has_shown_nothing() {
        let experiment = experiment("{step: confirm, during: inject, success: 99%}");
        let met = |every| {
            let judged = judge(&experiment, &rows(1, Duration::from_millis(every), |_| GOOD), 0);
            (judged[0].result.met, judged[0].why_not_judged())
        };
        assert_eq!(met(20).0, Some(true));
        let (met, why) = met(50);
        assert_eq!(met, None);
        assert_eq!(
            why,
            "confirm success during inject was measured on 40 of 40 commands in 2.0 s, of about 100 that the load \
             declares"
        );
    }

    #[test]
    fn an_objective_for_all_phases_is_held_against_the_baseline_too() {
        let bad_at_first = |at| {
            if at < Duration::from_secs(2) { CommandResult::Failed { status: 500 } } else { GOOD }
        };
        let rows = rows(0, Duration::from_millis(10), bad_at_first);
        let met = |during: &str| {
            let experiment = experiment(&format!("{{step: create, {during} success: 50%}}"));
            judge_baseline(&experiment, &rows).iter().map(|judged| judged.result.met).collect::<Vec<_>>()
        };
        assert_eq!(met(""), [Some(false)]);
        assert_eq!(met("during: [baseline, recover],"), [Some(false)]);
        assert_eq!(met("during: [inject, recover],"), []);
    }
}
