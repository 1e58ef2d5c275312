//! After the load: whether the system came back, what it kept, and what was missed.

use std::sync::Arc;
use std::time::{Duration, Instant};

use steadfast_base::units::format_duration;
use steadfast_load::Targets;
use tokio_util::sync::CancellationToken;

use super::check;
use super::dose::{self, Baseline};
use super::engine::Run;
use super::faults::Delivered;
use super::indicators::{judge, sentence};
use super::plan::Variables;
use super::record::Row;
use crate::report::Outcome;
use crate::spec::Action;
use crate::system::{End, Process, System};

impl Run<'_> {
    /// Sees that every process is ready again.
    pub(super) async fn check_restored(&self, system: &Arc<System>) {
        for message in not_restored(&system.processes(), self.experiment.rollback.within.0).await {
            self.journal.finding(Outcome::NotRestored, "system-not-restored", message);
        }
    }

    pub(super) async fn check_invariants(
        &mut self,
        variables: &Variables,
        targets: &Targets,
        rows: &[Row],
        stop: &CancellationToken,
    ) {
        let checked = check::invariants(self.experiment, variables, targets, rows);
        let results = tokio::select! {
            results = checked => results,
            () = stop.cancelled() => return,
        };
        for result in &results {
            match result.holds {
                Some(true) => {}
                Some(false) => {
                    let message = format!("invariant {} does not hold: {}", result.name, result.summary);
                    self.journal.finding(Outcome::Fail, super::verdict::INVARIANT_VIOLATED, message);
                }
                None => {
                    let message =
                        format!("invariant {} could not be checked: {}", result.name, result.summary);
                    self.journal.finding(Outcome::Inconclusive, "invariant-unchecked", message);
                }
            }
        }
        self.evidence.invariants = results;
    }

    pub(super) fn check_objectives(&mut self, rows: &[Row], load_start_ms: u64) {
        let judged = judge(self.experiment, rows, load_start_ms);
        for one in &judged {
            match one.result.met {
                Some(true) => {}
                Some(false) => {
                    let message = format!("objective missed: {}", sentence(&one.result));
                    self.journal.finding(Outcome::Fail, "objective-violated", message);
                }
                None => {
                    let message = format!("too little was observed: {}", one.why_not_judged());
                    self.journal.finding(Outcome::Inconclusive, "too-few-samples", message);
                }
            }
        }
        self.evidence.objectives = judged.into_iter().map(|judged| judged.result).collect();
    }

    pub(super) fn report_faults(
        &mut self,
        delivered: &[Delivered],
        rows: &[Row],
        load_start: Instant,
        judged: bool,
    ) {
        let steps = self.experiment.load.scenario.len();
        let baseline = Baseline::of(rows, steps, self.experiment.phases.baseline.0, load_start);
        let down = dose::downtimes(delivered);
        let run_start = self.journal.start();
        let reports =
            delivered.iter().map(|one| dose::report(one, delivered, &baseline, rows, &down, run_start));
        self.evidence.faults = reports.collect();
        if !judged {
            return;
        }
        for fault in &self.evidence.faults {
            for dose in fault.dose.iter().filter(|dose| !dose.valid) {
                let message = dose::sentence(&fault.name, dose);
                self.journal.finding(Outcome::Invalid, "dose-not-delivered", message);
            }
        }
    }

    /// Brings the system back after a run that ended before its time. Faults are undone already.
    pub(super) async fn roll_back(&self, system: &Arc<System>) {
        if self.interrupt.is_cancelled() {
            return;
        }
        let work = async {
            for action in &self.experiment.rollback.actions {
                let Action::Restart(restart) = action else { continue };
                let Some(process) = system.process(&restart.target) else { continue };
                self.journal.note(format!("rolling back: starting {} again", restart.target));
                if let Err(error) = process.restart().await {
                    let message = format!("{} could not be started again: {error}", restart.target);
                    self.journal.finding(Outcome::NotRestored, "rollback-failed", message);
                }
            }
        };
        let within = self.experiment.rollback.within.0;
        if tokio::time::timeout(within, work).await.is_err() {
            let message = format!("rolling back took longer than {within:?}");
            self.journal.finding(Outcome::NotRestored, "rollback-failed", message);
        }
    }
}

/// Waits for each process to be ready, each for at most `within`, and says which are not. Where one has died by itself
/// that is what is to be told: those that need it cannot be ready.
async fn not_restored(processes: &[Process], within: Duration) -> Vec<String> {
    let mut messages = Vec::new();
    if processes.iter().any(|process| matches!(process.end(), End::Died(_))) {
        return messages;
    }
    for process in processes {
        let problem = match tokio::time::timeout(within, process.await_ready()).await {
            Ok(Ok(())) => continue,
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("not ready within {}", format_duration(within)),
        };
        messages.push(format!("{} did not come back: {problem}", process.name()));
    }
    messages
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::{ProcessConfig, SystemConfig};
    use crate::undo::{StateDir, UndoLog};

    #[tokio::test]
    async fn what_did_not_come_back_is_told_unless_a_death_explains_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let state = StateDir::at(&folder.path().join("state")).expect("it is ours");
        let undo = UndoLog::create(&state, folder.path(), "restored").expect("a log");
        let config = SystemConfig { folder: folder.path().to_owned(), bin_dirs: Vec::new() };
        let (system, _deaths) = System::new(config, undo).expect("a system");
        let start = async |name: &str, script: &str| {
            let command = ["sh".to_owned(), "-c".to_owned(), script.to_owned()];
            system.start(ProcessConfig::new(name, command)).await
        };
        let within = Duration::from_secs(5);
        let sturdy = start("sturdy", "exec sleep 1000").await.expect("it runs");
        assert_eq!(not_restored(&system.processes(), within).await, Vec::<String>::new());
        sturdy.stop().await.expect("it stops");
        let messages = not_restored(&system.processes(), within).await;
        assert!(messages.len() == 1 && messages[0].starts_with("sturdy did not come back"), "{messages:?}");
        let _ = start("fragile", "exit 3").await;
        let fragile = system.process("fragile").expect("it was started");
        let dies = async {
            while !matches!(fragile.end(), End::Died(_)) {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), dies).await.expect("it dies by itself");
        assert_eq!(not_restored(&system.processes(), within).await, Vec::<String>::new());
        system.stop().await.expect("it stops");
    }
}
