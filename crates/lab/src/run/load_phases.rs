//! Under load: baseline, inject and recover, each fault in its time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use steadfast_load::{Summary, Targets};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::check;
use super::engine::Run;
use super::faults::{Delivered, Faults};
use super::indicators::{judge_baseline, sentence, step_series};
use super::offered;
use super::plan::{self, Variables};
use super::record::{Record, Row};
use super::scrape::Scraper;
use super::watch::{Watch, watch};
use crate::report::Outcome;
use crate::spec::Phase;
use crate::system::System;
use crate::undo::{UndoLog, Watchdog};

impl Run<'_> {
    /// Drives the load through baseline, inject and recover, then checks.
    pub(super) async fn under_load(
        &mut self,
        system: &Arc<System>,
        undo: &Arc<UndoLog>,
        targets: &Targets,
        variables: &Variables,
        stop: &CancellationToken,
    ) {
        let plan = match plan::load_plan(&self.experiment.load, self.options.seed) {
            Ok(plan) => plan,
            Err(error) => return self.journal.finding(Outcome::Usage, "load", error.to_string()),
        };
        let record = Arc::new(Record::new(check::keys(self.experiment)));
        let load_stop = stop.child_token();
        let load = tokio::spawn(steadfast_load::run(
            plan,
            targets.clone(),
            Arc::clone(&record) as Arc<dyn steadfast_load::Recorder>,
            load_stop.clone(),
        ));
        let Some(load_start) = started(&record, &load).await else {
            let why = match load.await {
                Ok(Err(error)) => error.to_string(),
                _ => "the load did not start".to_owned(),
            };
            return self.journal.finding(Outcome::Usage, "load", why);
        };
        let load_start_ms = load_start.saturating_duration_since(self.journal.start()).as_millis() as u64;
        let phases = &self.experiment.phases;
        self.journal.phase("baseline", "measuring the steady state", Some(phases.baseline.0));
        let faults = Faults {
            system: Arc::clone(system),
            undo: Arc::clone(undo),
            journal: self.journal.clone(),
            seed: self.options.seed.derive("faults"),
            start: load_start,
            stop: stop.clone(),
            undo_within: self.experiment.rollback.within.0,
            active: Arc::default(),
        };
        let scraper = Scraper::start(self.experiment, targets, self.journal.start());
        let watching = tokio::spawn(watch(Watch {
            experiment: self.experiment.clone(),
            record: Arc::clone(&record),
            journal: self.journal.clone(),
            active: Arc::clone(&faults.active),
            stop: stop.clone(),
        }));

        let delivered = self.phases(&record, load_start, faults, stop).await;
        let summary = self.end_of_load(load).await;
        watching.abort();
        if let Err(error) = watching.await
            && error.is_panic()
        {
            self.journal.finding(Outcome::Internal, "watch", error.to_string());
        }
        let scraped = scraper.finish().await;
        scraped.cuts().for_each(|cut| self.journal.note(cut));
        self.evidence.scrapes = scraped.series;

        if !stop.is_cancelled() {
            self.journal.phase("check", "reading back what the system kept", None);
        }
        let rows = record.with_rows(<[Row]>::to_vec);
        self.evidence.steps = step_series(self.experiment, &rows, &record, load_start_ms);
        self.evidence.load = summary.as_ref().map(offered::result).unwrap_or_default();
        if stop.is_cancelled() {
            self.roll_back(system).await;
            tokio::select! {
                biased;
                () = self.interrupt.cancelled() => {}
                () = self.check_restored(system) => {}
            }
        } else {
            tokio::select! {
                () = self.check_restored(system) => {}
                () = stop.cancelled() => {}
            }
            self.check_invariants(variables, targets, &rows, stop).await;
            if !stop.is_cancelled() {
                for process in &scraped.unreachable {
                    let message = format!("no scrape of the metrics of {process} was answered");
                    self.journal.finding(Outcome::Inconclusive, "observer-unreachable", message);
                }
                if let Some(summary) = &summary {
                    let found = offered::findings(self.experiment, summary, &rows, record.dropped());
                    found.into_iter().for_each(|found| self.journal.take(found));
                }
                self.check_objectives(&rows, load_start_ms);
            }
        }
        self.report_faults(&delivered, &rows, load_start, !stop.is_cancelled());
    }

    /// Walks through the phases; returns when the last one is over or the run is to stop, with every fault undone.
    pub(super) async fn phases(
        &mut self,
        record: &Arc<Record>,
        load_start: Instant,
        faults: Faults,
        stop: &CancellationToken,
    ) -> Vec<Delivered> {
        let experiment = self.experiment;
        let phases = &experiment.phases;
        let until = |phase: Phase| tokio::time::Instant::from_std(load_start + phases.window(phase).end);
        let reached = async |phase: Phase| {
            tokio::select! {
                () = tokio::time::sleep_until(until(phase)) => true,
                () = stop.cancelled() => false,
            }
        };
        let mut under_way = JoinSet::new();
        if reached(Phase::Baseline).await && self.baseline_holds(record, stop) && self.is_guarded(stop) {
            let count = experiment.faults.len();
            let doing = format!("{count} fault{}", if count == 1 { "" } else { "s" });
            self.journal.phase("inject", doing, Some(phases.inject.0));
            for fault in &experiment.faults {
                under_way.spawn(faults.clone().deliver(fault.clone()));
            }
            if reached(Phase::Inject).await {
                self.journal.phase("recover", "measuring after the faults", Some(phases.recover.0));
                reached(Phase::Recover).await;
            }
        }
        // Each fault ends by its own clock, or by `stop`, and is undone within the time that undoing may take.
        let mut delivered = Vec::new();
        while let Some(next) = under_way.join_next().await {
            match next {
                Ok(one) => delivered.push(one),
                Err(error) => self.journal.finding(Outcome::Internal, "fault-task", error.to_string()),
            }
        }
        delivered.sort_by_key(|one| one.fault.at);
        delivered
    }

    /// Says whether the steady state meets what was declared of it; nothing is injected otherwise.
    pub(super) fn baseline_holds(&self, record: &Record, stop: &CancellationToken) -> bool {
        let rows = record.rows_from(0);
        let judged = judge_baseline(self.experiment, &rows);
        let missed: Vec<String> = judged
            .iter()
            .filter(|judged| judged.result.met == Some(false))
            .map(|judged| sentence(&judged.result))
            .collect();
        if missed.is_empty() {
            return true;
        }
        let message =
            format!("the baseline already misses it, so nothing was injected: {}", missed.join("; "));
        self.journal.finding(Outcome::Fail, "baseline-violated", message);
        stop.cancel();
        false
    }

    /// Sees that there is still somebody to undo the faults should this process die; nothing is injected otherwise.
    pub(super) fn is_guarded(&mut self, stop: &CancellationToken) -> bool {
        let alive = self.watchdog.as_mut().is_some_and(Watchdog::is_alive);
        if !alive {
            let message = "the watchdog has ended, and without it nothing may be injected; see run.watchdog";
            self.journal.finding(Outcome::Refused, "no-watchdog", message);
            stop.cancel();
        }
        alive
    }

    pub(super) async fn end_of_load(
        &self,
        load: tokio::task::JoinHandle<Result<Summary, steadfast_load::Error>>,
    ) -> Option<Summary> {
        match load.await {
            Ok(Ok(summary)) => Some(summary),
            Ok(Err(error)) => {
                self.journal.finding(Outcome::Internal, "load", error.to_string());
                None
            }
            Err(error) => {
                self.journal.finding(Outcome::Internal, "load", error.to_string());
                None
            }
        }
    }
}

/// Waits until the load has started; none if it ended before.
async fn started(
    record: &Record,
    load: &tokio::task::JoinHandle<Result<Summary, steadfast_load::Error>>,
) -> Option<Instant> {
    const LOOK: Duration = Duration::from_millis(1);
    loop {
        if let Some(start) = record.start() {
            return Some(start);
        }
        if load.is_finished() {
            return None;
        }
        tokio::time::sleep(LOOK).await;
    }
}
