//! The run itself, phase by phase.
//!
//! Whatever happens, the way out is the same: the load ends, faults are undone and that is verified, the processes
//! are stopped, the undo log is closed, the watchdog is dismissed. Evidence gathered until then stays in the report.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Instant, SystemTime};

use steadfast_base::Seed;
use steadfast_load::Targets;
use tokio_util::sync::CancellationToken;

use super::deaths::{Deaths, deaths_become_findings};
use super::evidence::Evidence;
use super::journal::Journal;
use super::plan::{self, Variables};
use super::verdict::decide;
use super::{Progress, stamp};
use crate::admission;
use crate::report::{Outcome, ProcessResult, Report, RunInfo, SCHEMA};
use crate::spec::{Document, Experiment};
use crate::system::{System, SystemConfig};
use crate::undo::{self, RunLock, StateDir, UndoLog, Watchdog, WatchdogCommand};

/// What a run is given beside its document.
#[derive(Debug, Clone)]
pub struct Options {
    /// The run's folder; must exist and be the run's own.
    pub folder: PathBuf,
    /// Where programs are looked for before `PATH`.
    pub bin_dirs: Vec<PathBuf>,
    /// The seed of all randomness.
    pub seed: Seed,
    /// How the watchdog is started.
    pub watchdog: WatchdogCommand,
    /// Where runs on this host find each other.
    pub state: StateDir,
}

/// Runs one experiment and returns its report; every failure is a finding in it.
///
/// `interrupt` ends the run early: faults are undone, processes stopped, and the verdict is
/// [`Outcome::Interrupted`].
///
/// # Cancel safety
/// Not cancel safe: dropped before its end it stops processes and undoes faults as far as a destructor can; what is
/// left then is the watchdog's.
pub async fn run(
    document: &Document,
    options: &Options,
    progress: Arc<dyn Progress>,
    interrupt: CancellationToken,
) -> Report {
    let journal = Journal::new(progress);
    let started = SystemTime::now();
    let mut run = Run {
        experiment: &document.experiment,
        options,
        journal: journal.clone(),
        interrupt,
        evidence: Evidence::default(),
        watchdog: None,
    };
    run.all(document).await;
    let evidence = run.evidence;
    if journal.findings().is_empty() {
        for gap in evidence.gaps(&document.experiment) {
            journal.finding(Outcome::Inconclusive, "evidence-missing", gap);
        }
    }
    let (phases, timeline) = {
        journal.phase("verdict", "weighing what was found", None);
        journal.finish()
    };
    Report {
        schema: SCHEMA.to_owned(),
        run: RunInfo {
            id: run_id(&options.folder),
            name: document.experiment.metadata.name.clone(),
            description: document.experiment.metadata.description.clone(),
            file: document.file.display().to_string(),
            seed: options.seed.value(),
            started_at: stamp::rfc3339(started),
            duration_ms: journal.at_ms(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        },
        verdict: decide(journal.findings(), &evidence.pass_reason()),
        phases,
        objectives: evidence.objectives,
        steps: evidence.steps,
        load: evidence.load,
        faults: evidence.faults,
        invariants: evidence.invariants,
        processes: evidence.processes,
        scrapes: evidence.scrapes,
        timeline,
        document: document.text.clone(),
    }
}

fn run_id(folder: &Path) -> String {
    folder.file_name().map_or_else(|| "run".to_owned(), |name| name.to_string_lossy().into_owned())
}

/// The run was ended before its time; the finding that says why is in the journal.
struct Ended;

/// One run and what it has shown so far.
pub(super) struct Run<'a> {
    pub(super) experiment: &'a Experiment,
    pub(super) options: &'a Options,
    pub(super) journal: Journal,
    pub(super) interrupt: CancellationToken,
    pub(super) evidence: Evidence,
    pub(super) watchdog: Option<Watchdog>,
}

impl Run<'_> {
    async fn all(&mut self, document: &Document) {
        self.journal.phase("admit", "checking that the run may start", None);
        let Ok(_lock) = self.admit(document) else { return };
        let begun = UndoLog::create(&self.options.state, &self.options.folder, &run_id(&self.options.folder));
        let begun = begun.and_then(|log| match Watchdog::start(&log, &self.options.watchdog) {
            Ok(watchdog) => Ok((log, watchdog)),
            // Nothing was done yet: the log is not to be found by others as one that was left.
            Err(error) => log.end().and(Err(error)),
        });
        let undo = match begun {
            Ok((undo, watchdog)) => {
                self.watchdog = Some(watchdog);
                undo
            }
            Err(error) => {
                let message = format!("without undo log and watchdog nothing may be injected: {error}");
                return self.journal.finding(Outcome::Refused, "no-watchdog", message);
            }
        };
        self.with_system(document, &undo).await;
        let Some(mut watchdog) = self.watchdog.take() else { return };
        if !watchdog.is_alive() {
            self.journal
                .note("the watchdog had ended before the run; what was done was undone by the run itself");
        }
        match undo.end() {
            Ok(left) if left.is_empty() => watchdog.dismiss(),
            Ok(left) => {
                let message = format!("left behind: {}", left.join("; "));
                self.journal.finding(Outcome::NotRestored, "left-behind", message);
                // Dropped without being dismissed the watchdog undoes what is open.
                drop(watchdog);
            }
            Err(error) => {
                self.journal.finding(Outcome::NotRestored, "undo-log", error.to_string());
                drop(watchdog);
            }
        }
    }

    /// Takes the lock, undoes what dead runs left, and asks admission.
    fn admit(&self, document: &Document) -> Result<RunLock, Ended> {
        let refused = |code: &str, message: String| {
            self.journal.finding(Outcome::Refused, code, message);
            Ended
        };
        let lock = RunLock::acquire(&self.options.state, "host", &run_id(&self.options.folder))
            .map_err(|error| refused("busy", error.to_string()))?;
        let recovered = undo::recover::undo_all(&self.options.state)
            .map_err(|error| refused("state-folder", error.to_string()))?;
        for run in recovered {
            if run.is_clean() {
                self.journal.note(format!("undid what the dead run {} had left", run.run));
            } else {
                let message = format!("what the dead run {} left cannot be undone: {run:?}", run.run);
                return Err(refused("left-by-dead-run", message));
            }
        }
        let checks = admission::admit(document, &self.options.folder, &self.options.bin_dirs);
        let mut refusals = checks.iter().filter(|check| !check.passed).peekable();
        if refusals.peek().is_some() {
            for check in refusals {
                self.journal.finding(Outcome::Refused, "admission", check.to_string());
            }
            return Err(Ended);
        }
        Ok(lock)
    }

    async fn with_system(&mut self, document: &Document, undo: &Arc<UndoLog>) {
        let config =
            SystemConfig { folder: self.options.folder.clone(), bin_dirs: self.options.bin_dirs.clone() };
        let (system, deaths) = match System::new(config, Arc::clone(undo)) {
            Ok((system, deaths)) => (Arc::new(system), deaths),
            Err(error) => {
                return self.journal.finding(Outcome::Inconclusive, "system-not-started", error.to_string());
            }
        };
        let stop = CancellationToken::new();
        let started = Arc::new(AtomicBool::new(false));
        let all_stopped = CancellationToken::new();
        let watcher = tokio::spawn(deaths_become_findings(Deaths {
            deaths,
            journal: self.journal.clone(),
            started: Arc::clone(&started),
            stop: stop.clone(),
            all_stopped: all_stopped.clone(),
        }));
        let interrupted = self.watch_interrupt(&stop);
        self.journal.phase("start", "starting the system", None);
        let targets = Targets::new();
        if let Ok(variables) = self.start(document, &system, &targets, &stop).await {
            started.store(true, Ordering::Release);
            self.under_load(&system, undo, &targets, &variables, &stop).await;
        }
        interrupted.abort();
        if let Err(error) = system.stop().await {
            let message = format!("the system could not be stopped: {error}");
            self.journal.finding(Outcome::NotRestored, "system-not-stopped", message);
        }
        // A process that died just before it was to be stopped has died all the same.
        all_stopped.cancel();
        if let Err(error) = watcher.await {
            self.journal.finding(Outcome::Internal, "death-watch", error.to_string());
        }
        self.evidence.processes = system
            .processes()
            .iter()
            .map(|process| ProcessResult {
                name: process.name().to_owned(),
                starts: process.starts(),
                end: process.end().to_string(),
                log: process.log().file_name().unwrap_or_default().to_string_lossy().into_owned(),
            })
            .collect();
    }

    /// Turns the interrupt into a finding and a stop.
    fn watch_interrupt(&self, stop: &CancellationToken) -> tokio::task::JoinHandle<()> {
        let (interrupt, stop, journal) = (self.interrupt.clone(), stop.clone(), self.journal.clone());
        tokio::spawn(async move {
            interrupt.cancelled().await;
            journal.finding(Outcome::Interrupted, "interrupted", "interrupted; what was injected is undone");
            stop.cancel();
        })
    }

    /// Starts the processes in order and returns what variables stand for.
    async fn start(
        &self,
        document: &Document,
        system: &Arc<System>,
        targets: &Targets,
        stop: &CancellationToken,
    ) -> Result<Variables, Ended> {
        let mut variables = Variables::new();
        let absolute =
            |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).display().to_string();
        variables.insert("run.dir".to_owned(), absolute(&self.options.folder));
        variables.insert("document.dir".to_owned(), absolute(&document.dir));
        for process in &self.experiment.system.processes {
            let failed = |code: &str, message: String| {
                self.journal.finding(Outcome::Inconclusive, code, message);
                Ended
            };
            let config = plan::process(
                process,
                &variables,
                &self.options.folder,
                &self.options.state,
                &run_id(&self.options.folder),
            )
            .map_err(|error| failed("not-plannable", error.to_string()))?;
            let began = Instant::now();
            let started = tokio::select! {
                started = system.start(config) => started,
                () = stop.cancelled() => return Err(Ended),
            };
            let started = started.map_err(|error| failed("system-not-ready", error.to_string()))?;
            let took = began.elapsed();
            self.journal.note(format!("{} is ready after {:.1} s", process.name, took.as_secs_f64()));
            let name = format!("{}.url", process.name);
            if let Some(url) = started.url() {
                variables.insert(name.clone(), url.clone());
                targets.set(name.clone(), url);
            }
            tokio::spawn(follow_url(started.urls(), targets.clone(), name));
        }
        Ok(variables)
    }
}

/// Keeps a load's target at the address of a process, which changes when it is started again. Ends with the process's
/// handle.
async fn follow_url(mut urls: tokio::sync::watch::Receiver<Option<String>>, targets: Targets, name: String) {
    loop {
        match urls.borrow_and_update().clone() {
            Some(url) => targets.set(name.clone(), url),
            None => targets.remove(&name),
        }
        if urls.changed().await.is_err() {
            return;
        }
    }
}
