//! Whether the load came as declared, and whether all of it was seen.

use std::ops::Range;
use std::time::Duration;

use steadfast_load::{CommandResult, SHORTFALL_MAX, Summary};

use super::record::Row;
use super::verdict::finding;
use crate::report::{Finding, LoadResult, Outcome};
use crate::spec::{Experiment, Load};

/// Makes the report of the load.
pub(crate) fn result(summary: &Summary) -> LoadResult {
    LoadResult {
        scheduled: summary.scheduled,
        on_schedule: summary.on_schedule,
        dispatched: summary.dispatched,
        lateness_max_ms: summary.lateness_max.as_secs_f64() * 1000.0,
        shortfall_max: SHORTFALL_MAX,
        valid: summary.is_valid(),
    }
}

/// Returns how many commands of the step numbered `index` the load declares for `window`: its arrivals, by the weights
/// of the step and of those before it, whose answers it may need.
pub(crate) fn commands(load: &Load, index: usize, window: &Range<Duration>) -> f64 {
    let mut start = Duration::ZERO;
    let arrivals: f64 = load
        .arrivals
        .iter()
        .map(|stage| {
            let end = start.saturating_add(stage.length.0);
            let within = end.min(window.end).saturating_sub(start.max(window.start));
            start = end;
            stage.rate.per_second() * within.as_secs_f64()
        })
        .sum();
    load.scenario.iter().take(index + 1).fold(arrivals, |commands, step| commands * step.weight.ratio())
}

/// Finds what makes the load another than the declared one; `dropped` is the number of commands that were not kept.
pub(crate) fn findings(
    experiment: &Experiment,
    summary: &Summary,
    rows: &[Row],
    dropped: u64,
) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut invalid = |code: &str, message: String| found.push(finding(Outcome::Invalid, code, message));
    if !summary.is_valid() {
        let (on_schedule, scheduled) = (summary.on_schedule, summary.scheduled);
        let message = format!(
            "the load was not driven as declared: {on_schedule} of {scheduled} arrivals were dispatched on schedule"
        );
        invalid("load-not-on-schedule", message);
    }
    let declared = experiment.load.arrivals_total();
    if summary.cancelled || (summary.scheduled as f64) < declared * (1.0 - SHORTFALL_MAX) {
        let message = format!("the load ended early: {} of {declared:.0} arrivals came", summary.scheduled);
        invalid("load-cut-short", message);
    }
    let unsent = rows.iter().filter(|row| row.result == CommandResult::Unsent).count();
    if exceeds(unsent, rows.len()) {
        let message = format!(
            "{unsent} of {} commands could not be sent for want of connections; raise `connectionsMax` or the limit \
             of open files, or lower the rate",
            rows.len()
        );
        invalid("commands-not-sent", message);
    }
    if dropped > 0 {
        let message = format!("{dropped} commands were more than a run can keep; declare a smaller load");
        invalid("commands-not-kept", message);
    }
    let captures = |row: &&Row| {
        let step = experiment.load.scenario.get(usize::from(row.step));
        row.result.is_success() && step.is_some_and(|step| !step.capture.is_empty())
    };
    let (answers, uncaptured) = (rows.iter().filter(captures).count(), summary.uncaptured as usize);
    if exceeds(uncaptured, answers) {
        let message = format!(
            "values to capture were missing {uncaptured} times in {answers} successful answers, and steps that need \
             them were not run"
        );
        found.push(finding(Outcome::Inconclusive, "values-not-captured", message));
    }
    found
}

fn exceeds(part: usize, whole: usize) -> bool {
    part as f64 > whole as f64 * SHORTFALL_MAX
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use uuid::Uuid;

    use super::*;

    fn experiment() -> Experiment {
        serde_saphyr::from_str(
            r#"
apiVersion: steadfast.dev/v1
kind: Experiment
metadata: {name: e}
system: {processes: [{name: web, command: [web], ready: {tcp: {}}}]}
phases: {baseline: 1s, inject: 1s, recover: 1s}
load:
  arrivals: [{rate: 100/s, for: 1s}, {rate: 200/s, for: 2s}]
  scenario:
    - {name: create, weight: 80%, http: {method: POST, url: "${web.url}/"}, capture: {id: $.id}}
    - {name: confirm, weight: 50%, http: {method: POST, url: "${web.url}/${id}"}}
"#,
        )
        .expect("it is an experiment")
    }

    fn summary() -> Summary {
        Summary {
            start: Instant::now(),
            scheduled: 500,
            dispatched: 500,
            on_schedule: 500,
            lateness_max: Duration::ZERO,
            abandoned: 0,
            uncaptured: 0,
            cancelled: false,
            elapsed: Duration::from_secs(3),
        }
    }

    fn rows(unsent: usize) -> Vec<Row> {
        let row = |at: usize| Row {
            step: 0,
            attempts: 1,
            result: if at < unsent {
                CommandResult::Unsent
            } else {
                CommandResult::Succeeded { status: 200 }
            },
            unknown: false,
            id: Uuid::nil(),
            key: None,
            intended: Duration::ZERO,
            dispatched: Duration::ZERO,
            finished: Duration::ZERO,
        };
        (0..500).map(row).collect()
    }

    fn codes(summary: Summary, unsent: usize, dropped: u64) -> Vec<String> {
        let found = findings(&experiment(), &summary, &rows(unsent), dropped);
        found.into_iter().map(|finding| finding.code).collect()
    }

    #[test]
    fn a_load_that_was_not_as_declared_is_told() {
        assert_eq!(codes(summary(), 0, 0), Vec::<String>::new());
        assert_eq!(codes(summary(), 10, 0), Vec::<String>::new());
        assert_eq!(codes(summary(), 11, 0), ["commands-not-sent"]);
        assert_eq!(codes(summary(), 0, 1), ["commands-not-kept"]);
        assert_eq!(codes(Summary { uncaptured: 11, ..summary() }, 0, 0), ["values-not-captured"]);
        assert_eq!(codes(Summary { on_schedule: 489, ..summary() }, 0, 0), ["load-not-on-schedule"]);
        assert_eq!(codes(Summary { cancelled: true, ..summary() }, 0, 0), ["load-cut-short"]);
        let half = Summary { scheduled: 250, dispatched: 250, on_schedule: 250, ..summary() };
        assert_eq!(codes(half, 0, 0), ["load-cut-short"]);
    }

    #[test]
    fn commands_follow_from_stages_and_weights() {
        let load = experiment().load;
        let seconds = |from: u64, to: u64| Duration::from_millis(from)..Duration::from_millis(to);
        assert_eq!(commands(&load, 0, &seconds(0, 3_000)).round(), 400.0);
        assert_eq!(commands(&load, 1, &seconds(500, 1_500)).round(), 60.0);
        assert_eq!(commands(&load, 1, &seconds(4_000, 5_000)), 0.0);
    }
}
