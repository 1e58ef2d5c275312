//! A report with something in every section, for tests.

use super::*;

/// Makes a report of a failed run.
pub(super) fn report() -> Report {
    let step = |name: &str, slow: f64| StepSeries {
        name: name.to_owned(),
        seconds: (0..33)
            .map(|second| {
                let faulty = (8..23).contains(&second);
                let failed = if faulty { 70 } else { 0 };
                StepSecond {
                    at_ms: 1500 + second * 1000,
                    offered: 200,
                    dispatched: 200,
                    succeeded: 200 - failed,
                    failed,
                    retries: if faulty { 90 } else { 1 },
                    p50_ms: (second != 20).then_some(2.0),
                    p95_ms: (second != 20).then_some(if faulty { slow } else { 4.5 }),
                    p99_ms: (second != 20).then_some(if faulty { slow * 1.4 } else { 7.5 }),
                    max_ms: (second != 20).then_some(if faulty { slow * 2.0 } else { 12.0 }),
                }
            })
            .collect(),
        failures: vec![FailureCount { cause: "timeout".to_owned(), count: 1050 }],
    };
    let objective = |step: &str, indicator: &str, declared: f64, measured: Option<f64>, met: Option<bool>| {
        ObjectiveResult {
            step: step.to_owned(),
            during: "inject".to_owned(),
            indicator: indicator.to_owned(),
            unit: if indicator == "success" { "ratio" } else { "ms" }.to_owned(),
            declared,
            measured,
            samples: 2400,
            met,
            from_ms: 9500,
            to_ms: 24_500,
        }
    };
    let reason = "confirm succeeded in 51.2 % of 2,400 commands during inject, 99 % declared".to_owned();
    let finding =
        Finding { outcome: Outcome::Fail, code: "objective-violated".to_owned(), message: reason.clone() };
    let phases = [("admit", 0), ("start", 200), ("baseline", 1500), ("inject", 9500), ("recover", 24_500)];
    let ends = [200, 1500, 9500, 24_500, 34_500];
    Report {
        schema: SCHEMA.to_owned(),
        run: RunInfo {
            id: "20260102T030405Z-payment-is-slow".to_owned(),
            name: "payment-is-slow".to_owned(),
            description: Some("Half the calls to payment take 500 ms longer.".to_owned()),
            file: "specs/orders/1-payment-is-slow.yaml".to_owned(),
            seed: 7,
            started_at: "2026-01-02T03:04:05Z".to_owned(),
            duration_ms: 36_000,
            version: "0.1.0".to_owned(),
        },
        verdict: Verdict {
            outcome: Outcome::Fail,
            exit_code: 1,
            reason_code: "objective-violated".to_owned(),
            reason,
            findings: vec![finding],
        },
        phases: phases
            .iter()
            .zip(ends)
            .map(|((name, from_ms), to_ms)| PhaseSpan { name: (*name).to_owned(), from_ms: *from_ms, to_ms })
            .collect(),
        objectives: vec![
            objective("create", "success", 0.999, Some(1.0), Some(true)),
            objective("create", "p95", 300.0, Some(12.4), Some(true)),
            objective("confirm", "success", 0.99, Some(0.512), Some(false)),
            objective("confirm", "p99", 500.0, None, None),
        ],
        steps: vec![step("create", 9.0), step("confirm", 480.0)],
        load: LoadResult {
            scheduled: 6600,
            on_schedule: 6598,
            dispatched: 6600,
            lateness_max_ms: 12.5,
            shortfall_max: 0.02,
            valid: true,
        },
        faults: vec![FaultResult {
            name: "slow".to_owned(),
            target: "payment".to_owned(),
            injector: "process".to_owned(),
            description: "delay of 500 ms for 50 % of gRPC calls".to_owned(),
            windows: vec![Window { from_ms: 9500, to_ms: 24_500 }],
            dose: vec![DoseResult {
                measure: "affected calls".to_owned(),
                unit: "count".to_owned(),
                declared_min: Some(1000.0),
                declared_max: None,
                delivered: 1204.0,
                valid: true,
            }],
            undo: UndoResult {
                action: "revoke the lease".to_owned(),
                at_ms: Some(24_510),
                verified: Some("the target lists no lease".to_owned()),
                error: None,
            },
        }],
        invariants: vec![InvariantResult {
            name: "money".to_owned(),
            kind: "agreement".to_owned(),
            holds: Some(true),
            checked: 5280,
            summary: "2 values agree".to_owned(),
            violations_total: 0,
            violations: Vec::new(),
            figures: vec![Figure { name: "polls".to_owned(), value: 2.0 }],
        }],
        processes: vec![ProcessResult {
            name: "orders".to_owned(),
            starts: 1,
            end: "stopped by the run".to_owned(),
            log: "orders.log".to_owned(),
        }],
        scrapes: vec![ScrapeSeries {
            process: "orders".to_owned(),
            metric: "http_requests_total".to_owned(),
            kind: "counter".to_owned(),
            points: vec![ScrapePoint { at_ms: 2000, value: Some(361.0) }],
            missing: 1,
        }],
        timeline: vec![TimelineEntry { at_ms: 9500, what: "fault slow injected".to_owned() }],
        document: "apiVersion: steadfast.dev/v1\nkind: Experiment # <script>\n".to_owned(),
    }
}
