//! What a fault did, against what was declared of it.

use std::time::{Duration, Instant};

use super::faults::{Delivered, describe};
use super::indicators::series;
use super::record::Row;
use crate::inject::{Dose, Observation, Span};
use crate::report::{DoseResult, FaultResult, UndoResult, Window};
use crate::spec::{Fault, FaultKind};

/// The least share of declared time (stalled, paused) that must have been delivered.
const TIME_SHARE_MIN: f64 = 0.9;

/// By how much the delivered share of calls may differ from the declared one, beyond what chance explains.
const SHARE_SLACK: f64 = 0.02;

/// What is needed to find the calls that a fault from outside affected, and when faults were to be in force.
pub(crate) struct Baseline {
    /// Commands slower than this are slower than usual: twice the baseline's 99th percentile, per step.
    pub(crate) slow: Vec<Option<Duration>>,
    /// Which share of commands failed or were repeated in the baseline, per step: trouble that no fault made.
    pub(crate) troubled: Vec<f64>,
    /// The load's start.
    pub(crate) load_start: Instant,
}

impl Baseline {
    /// Learns from the commands that were to start before `end` how each of `steps` steps is without a fault.
    pub(crate) fn of(rows: &[Row], steps: usize, end: Duration, load_start: Instant) -> Self {
        let window = steadfast_slo::Window::new(Duration::ZERO, end);
        let slow =
            (0..steps).map(|step| series(rows, step).tally(window).percentile(99.0).map(|p99| p99 * 2));
        let troubled = (0..steps).map(|step| {
            let of_step = || rows.iter().filter(|row| usize::from(row.step) == step && row.intended < end);
            let troubled = of_step().filter(|row| in_trouble(row)).count();
            troubled as f64 / of_step().count().max(1) as f64
        });
        Self { slow: slow.collect(), troubled: troubled.collect(), load_start }
    }
}

fn in_trouble(row: &Row) -> bool {
    !row.result.is_success() || row.attempts > 1
}

/// Returns when processes were down because a fault of the document had killed them.
pub(crate) fn downtimes(delivered: &[Delivered]) -> Vec<(String, Span)> {
    let killed = |one: &&Delivered| matches!(one.fault.kind, FaultKind::Kill(_));
    let spans = delivered.iter().filter(killed).flat_map(|one| {
        let spans = one.undone.iter().flat_map(|undone| undone.observation.spans.clone());
        spans.map(|span| (one.fault.target.clone(), span))
    });
    spans.collect()
}

/// Makes the report of a fault, one of `all`; its dose is valid only if it was injected. `down` are the [`downtimes`] of
/// all targets.
pub(crate) fn report(
    delivered: &Delivered,
    all: &[Delivered],
    baseline: &Baseline,
    rows: &[Row],
    down: &[(String, Span)],
    run_start: Instant,
) -> FaultResult {
    let fault = &delivered.fault;
    let since = |at: Instant| at.saturating_duration_since(run_start).as_millis() as u64;
    let undone = delivered.undone.as_ref();
    let observation = undone.map(|undone| &undone.observation);
    let end = undone.map_or_else(Instant::now, |undone| undone.at);
    let spans = observation.map(|o| o.spans.as_slice()).unwrap_or_default();
    FaultResult {
        name: fault.name.clone(),
        target: fault.target.clone(),
        injector: delivered.injector.to_owned(),
        description: describe(&fault.kind),
        windows: spans
            .iter()
            .map(|span| Window { from_ms: since(span.from), to_ms: since(span.to.unwrap_or(end)) })
            .collect(),
        dose: observation.map_or_else(
            || vec![count("affected calls", fault.at_least.max(1), 0)],
            |observation| doses(fault, is_alone(fault, all), observation, baseline, rows, down, end),
        ),
        undo: undone.map_or_else(
            || UndoResult { action: "nothing was injected".to_owned(), ..UndoResult::default() },
            |undone| UndoResult {
                action: undone.action.clone(),
                at_ms: delivered.at_ms,
                verified: undone.undone.clone().ok(),
                error: undone.undone.clone().err(),
            },
        ),
    }
}

/// Says whether no other fault was to be in force at the same time.
fn is_alone(fault: &Fault, all: &[Delivered]) -> bool {
    let ends = |fault: &Fault| fault.at + fault.length;
    let others = all.iter().map(|other| &other.fault).filter(|other| other.name != fault.name);
    others.into_iter().all(|other| ends(other) <= fault.at || ends(fault) <= other.at)
}

fn doses(
    fault: &Fault,
    is_alone: bool,
    observation: &Observation,
    baseline: &Baseline,
    rows: &[Row],
    down: &[(String, Span)],
    end: Instant,
) -> Vec<DoseResult> {
    match &observation.dose {
        Dose::Calls(dose) => match &fault.kind {
            FaultKind::Runtime(runtime) => {
                let times = fault.length.as_secs_f64() / runtime.every.0.as_secs_f64();
                let declared = times.floor().max(1.0) * runtime.stall.0.as_secs_f64() * 1000.0;
                // The process counts the calls that it meets within a moment of a stall's end, which on a slow machine are
                // few of those that had waited for it; who made the calls knows of all, and cannot tell what made them fail.
                let met = count("affected calls", fault.at_least, dose.affected);
                let outside = affected_from_outside(fault, observation, baseline, rows, end);
                let affected = if is_alone && outside.delivered > met.delivered { outside } else { met };
                vec![affected, time("time stalled, all workers", declared, dose.stalled_ms as f64)]
            }
            kind => {
                let share = match kind {
                    FaultKind::Http(http) => http.percent.ratio(),
                    FaultKind::Grpc(grpc) => grpc.percent.ratio(),
                    _ => 1.0,
                };
                vec![
                    count("affected calls", fault.at_least, dose.affected),
                    share_of_calls(share, dose.affected, dose.seen),
                    time_in_force(fault, &observation.spans, down, baseline.load_start, end),
                ]
            }
        },
        Dose::Kills { kills, .. } => {
            vec![
                affected_from_outside(fault, observation, baseline, rows, end),
                count("kills", kills_declared(fault), u64::from(*kills)),
            ]
        }
        Dose::Paused { paused, .. } => vec![
            affected_from_outside(fault, observation, baseline, rows, end),
            time("time paused", fault.length.as_secs_f64() * 1000.0, paused.as_secs_f64() * 1000.0),
        ],
    }
}

/// Counts commands that were under way while the fault was in force, and failed, were repeated, or were slower than
/// usual. As many as would have failed or been repeated without it, by the baseline, do not count.
fn affected_from_outside(
    fault: &Fault,
    observation: &Observation,
    baseline: &Baseline,
    rows: &[Row],
    end: Instant,
) -> DoseResult {
    let since = |at: Instant| at.saturating_duration_since(baseline.load_start);
    let from = observation.spans.first().map(|span| since(span.from));
    let affected = from.map_or(0.0, |from| {
        let under_way = rows.iter().filter(|row| row.overlaps(from, since(end)));
        let (mut hit, mut anyway) = (0_u64, 0.0);
        for row in under_way {
            let step = usize::from(row.step);
            let slow = baseline.slow.get(step).copied().flatten();
            hit += u64::from(in_trouble(row) || slow.is_some_and(|slow| row.latency() > slow));
            anyway += baseline.troubled.get(step).copied().unwrap_or_default();
        }
        (hit as f64 - anyway).max(0.0)
    });
    let affected = affected as u64;
    count(
        "affected calls (failed, repeated or slower than twice the baseline's p99)",
        fault.at_least,
        affected,
    )
}

/// Returns how many kills a fault declares: the first, and one for each `every` that passes before its end.
fn kills_declared(fault: &Fault) -> u64 {
    let FaultKind::Kill(kill) = &fault.kind else { return 1 };
    let every = kill.every.map(|every| every.0).filter(|every| !every.is_zero());
    every.map_or(1, |every| fault.length.as_nanos().div_ceil(every.as_nanos()).max(1) as u64)
}

/// Measures for how much of its declared time a fault was in force. While another fault of the document had killed its
/// target there was nothing to be in force in, which is as declared.
fn time_in_force(
    fault: &Fault,
    spans: &[Span],
    down: &[(String, Span)],
    load_start: Instant,
    end: Instant,
) -> DoseResult {
    let from = load_start + fault.at;
    let to = from + fault.length;
    let down = down.iter().filter(|(target, _)| *target == fault.target).map(|(_, span)| span);
    let mut within: Vec<(Instant, Instant)> =
        spans.iter().chain(down).map(|span| (span.from.max(from), span.to.unwrap_or(end).min(to))).collect();
    within.sort();
    // Spans may overlap; what two of them cover counts once.
    let (mut covered, mut until) = (Duration::ZERO, from);
    for (begin, end) in within {
        covered += end.saturating_duration_since(begin.max(until));
        until = until.max(end);
    }
    let millis = |duration: Duration| duration.as_secs_f64() * 1000.0;
    time("time in force, within its declared time", millis(fault.length), millis(covered))
}

fn count(measure: &str, declared: u64, delivered: u64) -> DoseResult {
    DoseResult {
        measure: measure.to_owned(),
        unit: "count".to_owned(),
        declared_min: Some(declared as f64),
        declared_max: None,
        delivered: delivered as f64,
        valid: delivered >= declared,
    }
}

fn time(measure: &str, declared_ms: f64, delivered_ms: f64) -> DoseResult {
    let least = declared_ms * TIME_SHARE_MIN;
    DoseResult {
        measure: measure.to_owned(),
        unit: "ms".to_owned(),
        declared_min: Some(least),
        declared_max: None,
        delivered: delivered_ms,
        valid: delivered_ms >= least,
    }
}

/// Compares the share of calls with the declared one, give or take four standard deviations of a draw per call.
fn share_of_calls(declared: f64, affected: u64, seen: u64) -> DoseResult {
    let deviation = (declared * (1.0 - declared) / (seen.max(1) as f64)).sqrt();
    let slack = 4.0 * deviation + SHARE_SLACK;
    let (least, most) = ((declared - slack).max(0.0), (declared + slack).min(1.0));
    let delivered = affected as f64 / seen.max(1) as f64;
    DoseResult {
        measure: "share of calls affected".to_owned(),
        unit: "ratio".to_owned(),
        declared_min: Some(least),
        declared_max: Some(most),
        delivered,
        valid: seen > 0 && (least..=most).contains(&delivered),
    }
}

/// Says in one sentence how a dose strayed from what was declared.
pub(crate) fn sentence(fault: &str, dose: &DoseResult) -> String {
    let value = |value: f64| match dose.unit.as_str() {
        "ratio" => format!("{:.1} %", value * 100.0),
        "ms" => format!("{value:.0} ms"),
        _ => format!("{value:.0}"),
    };
    let declared = match (dose.declared_min, dose.declared_max) {
        (Some(least), Some(most)) => format!("{} to {}", value(least), value(most)),
        (Some(least), None) => format!("at least {}", value(least)),
        (None, Some(most)) => format!("at most {}", value(most)),
        (None, None) => "nothing".to_owned(),
    };
    let (measure, delivered) = (&dose.measure, value(dose.delivered));
    format!("fault {fault} was not delivered as declared: {measure}: {delivered}, declared {declared}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_may_stray_as_far_as_chance_does() {
        assert!(share_of_calls(0.5, 1_030, 2_000).valid);
        assert!(!share_of_calls(0.5, 1_400, 2_000).valid);
        assert!(share_of_calls(1.0, 2_000, 2_000).valid);
        assert!(!share_of_calls(0.3, 0, 0).valid);
    }

    /// A command that was answered after 1 ms, `at` ms after the load's start.
    fn row(at: u64, attempts: u32) -> Row {
        Row {
            step: 0,
            attempts,
            result: steadfast_load::CommandResult::Succeeded { status: 200 },
            unknown: false,
            id: uuid::Uuid::nil(),
            key: None,
            intended: Duration::from_millis(at),
            dispatched: Duration::from_millis(at),
            finished: Duration::from_millis(at + 1),
        }
    }

    #[test]
    fn trouble_that_was_there_before_is_not_the_faults() {
        let start = Instant::now();
        let affected = |attempts: fn(u64) -> u32| {
            let rows: Vec<Row> = (0..24_000).step_by(10).map(|at| row(at, attempts(at))).collect();
            let baseline = Baseline::of(&rows, 1, Duration::from_secs(10), start);
            let span = Span { from: start + Duration::from_secs(10), to: None };
            let observation = Observation {
                dose: Dose::Kills { kills: 1, down: Duration::from_secs(14) },
                spans: vec![span],
            };
            let end = start + Duration::from_secs(24);
            affected_from_outside(&fault("kill: {}"), &observation, &baseline, &rows, end).delivered
        };
        assert_eq!(affected(|_| 2), 0.0, "all calls are repeated always");
        assert_eq!(affected(|at| if at < 10_000 { 1 } else { 2 }), 1_400.0);
        assert_eq!(affected(|at| if at < 5_000 { 2 } else { 1 }), 0.0);
    }

    fn fault(kind: &str) -> Fault {
        serde_saphyr::from_str(&format!("{{name: x, at: 10s, for: 14s, target: orders, {kind}}}"))
            .expect(kind)
    }

    #[test]
    fn calls_that_a_stalled_process_met_too_late_are_counted_by_who_made_them() {
        let fault = fault("atLeast: 1000, runtime: {stall: 300ms, every: 1s}");
        let start = Instant::now();
        let dose_beside = |is_alone: bool, met: u64, attempts: u32| {
            let attempts = |at| if at < 10_000 { 1 } else { attempts };
            let rows: Vec<Row> = (0..24_000).step_by(10).map(|at| row(at, attempts(at))).collect();
            let baseline = Baseline::of(&rows, 1, Duration::from_secs(10), start);
            let mut dose = steadfast_fault::Dose::default();
            (dose.affected, dose.stalled_ms) = (met, 4_200);
            let observation = Observation {
                dose: Dose::Calls(dose),
                spans: vec![Span { from: start + Duration::from_secs(10), to: None }],
            };
            let end = start + Duration::from_secs(24);
            let doses = doses(&fault, is_alone, &observation, &baseline, &rows, &[], end);
            assert!(doses[1].valid, "as long as declared");
            (doses[0].delivered, doses[0].valid)
        };
        let dose = |met, attempts| dose_beside(true, met, attempts);
        assert_eq!(dose(1_390, 2), (1_400.0, true));
        assert_eq!(dose(31, 2), (1_400.0, true), "the process was slow after each stall");
        assert_eq!(dose(1_390, 1), (1_390.0, true), "clients do not notice");
        assert_eq!(dose(31, 1), (31.0, false), "nobody was affected");
        assert_eq!(dose_beside(false, 31, 2), (31.0, false), "it may have been another fault");
    }

    #[test]
    fn a_fault_declares_as_many_kills_as_fit_into_its_time() {
        for (kill, kills) in [
            ("kill: {}", 1),
            ("kill: {every: 5s, restartAfter: 1s}", 3),
            ("kill: {every: 7s, restartAfter: 1s}", 2),
            ("kill: {every: 14s, restartAfter: 1s}", 1),
        ] {
            assert_eq!(kills_declared(&fault(kill)), kills, "{kill}");
        }
    }

    #[test]
    fn a_fault_that_was_late_short_or_interrupted_is_not_as_declared() {
        let fault = fault("http: {status: 503}");
        let start = Instant::now();
        let span = |(from, to): (u64, u64)| Span {
            from: start + Duration::from_millis(from),
            to: Some(start + Duration::from_millis(to)),
        };
        let valid = |spans: &[(u64, u64)], target: &str, down: &[(u64, u64)]| {
            let spans: Vec<Span> = spans.iter().copied().map(span).collect();
            let down: Vec<_> = down.iter().map(|down| (target.to_owned(), span(*down))).collect();
            time_in_force(&fault, &spans, &down, start, start + Duration::from_secs(60)).valid
        };
        assert!(valid(&[(10_010, 24_020)], "orders", &[]));
        assert!(valid(&[(10_010, 15_000), (15_500, 24_000)], "orders", &[]));
        assert!(!valid(&[], "orders", &[]));
        assert!(!valid(&[(12_000, 26_000)], "orders", &[]), "it began late");
        assert!(!valid(&[(10_000, 22_000)], "orders", &[]), "it ended early");
        assert!(!valid(&[(10_000, 17_000), (10_000, 17_000)], "orders", &[]), "time counts once");
        let killed = [(10_000, 12_000), (14_000, 24_000)];
        assert!(valid(&killed, "orders", &[(11_900, 14_000)]), "the target was killed as declared");
        assert!(!valid(&killed, "payment", &[(11_900, 14_000)]), "another was killed");
    }

    #[test]
    fn what_is_not_valid_is_said_with_its_unit() {
        let text = sentence("slow", &count("affected calls", 1_000, 994));
        assert_eq!(
            text,
            "fault slow was not delivered as declared: affected calls: 994, declared at least 1000"
        );
        assert!(sentence("slow", &share_of_calls(1.0, 1, 2)).ends_with("50.0 %, declared 98.0 % to 100.0 %"));
    }

    #[test]
    fn too_few_and_too_short_are_not_valid() {
        assert!(count("x", 1_000, 1_000).valid);
        assert!(!count("x", 1_000, 999).valid);
        assert!(time("x", 1_000.0, 900.0).valid);
        assert!(!time("x", 1_000.0, 899.0).valid);
    }
}
