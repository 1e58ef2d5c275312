//! What is watched while the load runs: the figures of the last second, and the condition to abort.

use std::sync::Arc;
use std::time::Duration;

use steadfast_slo::BurnRule;
use tokio_util::sync::CancellationToken;

use super::indicators::series;
use super::journal::Journal;
use super::record::{Record, Row};
use super::{Snapshot, StepSnapshot};
use crate::report::Outcome;
use crate::spec::{BurnRate, Experiment, Phase};

/// What watching needs.
pub(crate) struct Watch {
    pub(crate) experiment: Experiment,
    pub(crate) record: Arc<Record>,
    pub(crate) journal: Journal,
    pub(crate) active: Arc<parking_lot::Mutex<Vec<String>>>,
    pub(crate) stop: CancellationToken,
}

const TICK: Duration = Duration::from_millis(250);

/// Watches until it is aborted or the run stops.
pub(crate) async fn watch(watch: Watch) {
    let Some(start) = watch.record.start() else { return };
    let mut recent: Vec<Row> = Vec::new();
    let mut seen = 0;
    let mut tick = tokio::time::interval(TICK);
    let keep = watch.experiment.abort.as_ref().map_or(Duration::ZERO, |abort| abort.when.burn_rate.length.0);
    let keep = keep.max(Duration::from_secs(1)) + longest_attempt(&watch.experiment);
    loop {
        tokio::select! {
            _ = tick.tick() => {}
            () = watch.stop.cancelled() => return,
        }
        let now = start.elapsed();
        let new = watch.record.rows_from(seen);
        seen += new.len();
        recent.extend(new);
        recent.retain(|row| row.finished + keep >= now);
        watch.journal.snapshot(&snapshot(&watch, &recent, now));
        if let Some(abort) = &watch.experiment.abort
            && let Some(message) = burning(&watch.experiment, &recent, now, abort.when.burn_rate)
        {
            watch.journal.finding(Outcome::Fail, "aborted-on-burn-rate", message);
            watch.stop.cancel();
            return;
        }
    }
}

fn phase_at(experiment: &Experiment, now: Duration) -> Phase {
    let within = |phase: &Phase| experiment.phases.window(*phase).contains(&now);
    Phase::ALL.into_iter().find(within).unwrap_or(Phase::Recover)
}

fn snapshot(watch: &Watch, recent: &[Row], now: Duration) -> Snapshot {
    let experiment = &watch.experiment;
    let second = now.as_secs().saturating_sub(1) as usize;
    let (offered, dispatched) = watch.record.arrivals_in(second);
    let last = now.saturating_sub(Duration::from_secs(1));
    let steps = experiment.load.scenario.iter().enumerate().map(|(index, step)| {
        let ended = recent.iter().filter(|row| usize::from(row.step) == index && row.finished >= last);
        let (mut latencies, mut failed) = (Vec::new(), 0);
        for row in ended {
            if row.result.is_success() {
                latencies.push(row.latency());
            } else {
                failed += 1;
            }
        }
        latencies.sort_unstable();
        let at = |share: f64| {
            let rank = (share * latencies.len() as f64).ceil() as usize;
            latencies.get(rank.saturating_sub(1)).map(|latency| latency.as_secs_f64() * 1000.0)
        };
        StepSnapshot {
            name: step.name.clone(),
            ended: latencies.len() as u64 + failed,
            failed,
            p50_ms: at(0.50),
            p99_ms: at(0.99),
        }
    });
    Snapshot {
        phase: phase_at(experiment, now).name(),
        elapsed: now,
        length: experiment.load.length(),
        offered_per_second: offered as f64,
        dispatched_per_second: dispatched as f64,
        steps: steps.collect(),
        faults: watch.active.lock().clone(),
    }
}

/// Returns how long one attempt of any step may take.
fn longest_attempt(experiment: &Experiment) -> Duration {
    experiment.load.scenario.iter().map(|step| step.http.timeout.0).max().unwrap_or_default()
}

/// Says which success objective of the present phase burns its error budget too fast, if one does.
///
/// Looks as far back as an attempt may take: of what was to start later, those that failed at once are known first.
fn burning(experiment: &Experiment, recent: &[Row], now: Duration, limit: BurnRate) -> Option<String> {
    let at = now.checked_sub(longest_attempt(experiment))?;
    let phase = phase_at(experiment, at);
    let rule = BurnRule { over: limit.over, length: limit.length.0 };
    experiment.objectives.iter().find_map(|objective| {
        let declared = objective.success?;
        let windows = objective.during.windows(&experiment.phases, objective.within.0);
        windows
            .iter()
            .find(|(name, window)| (*name == phase.name() || *name == "all") && window.contains(&at))?;
        let (step, _) = experiment.load.step(&objective.step)?;
        let rate = rule.exceeded(&series(recent, step), declared, at)?;
        Some(format!(
            "aborted: {} burned its error budget {rate:.1} times too fast for {}, the limit is {}",
            objective.step, limit.length, limit.over
        ))
    })
}
