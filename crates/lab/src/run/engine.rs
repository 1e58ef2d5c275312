//! The run itself, phase by phase.
//!
//! Whatever happens, the way out is the same: the load ends, faults are undone and that is verified, the processes
//! are stopped, the undo log is closed, the watchdog is dismissed. Evidence gathered until then stays in the report.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use steadfast_base::Seed;
use steadfast_base::units::format_duration;
use steadfast_load::{Summary, Targets};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::check;
use super::dose::{self, Baseline};
use super::evidence::Evidence;
use super::faults::{Delivered, Faults};
use super::indicators::{judge, judge_baseline, sentence, step_series};
use super::journal::Journal;
use super::offered;
use super::plan::{self, Variables};
use super::record::{Record, Row};
use super::scrape::Scraper;
use super::verdict::decide;
use super::watch::{Watch, watch};
use super::{Progress, stamp};
use crate::admission;
use crate::report::{Outcome, ProcessResult, Report, RunInfo, SCHEMA};
use crate::spec::{Action, Document, Experiment, Phase};
use crate::system::{Death, End, Process, System, SystemConfig};
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

struct Run<'a> {
    experiment: &'a Experiment,
    options: &'a Options,
    journal: Journal,
    interrupt: CancellationToken,
    evidence: Evidence,
    watchdog: Option<Watchdog>,
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

    /// Drives the load through baseline, inject and recover, then checks.
    async fn under_load(
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
    async fn phases(
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
    fn baseline_holds(&self, record: &Record, stop: &CancellationToken) -> bool {
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
    fn is_guarded(&mut self, stop: &CancellationToken) -> bool {
        let alive = self.watchdog.as_mut().is_some_and(Watchdog::is_alive);
        if !alive {
            let message = "the watchdog has ended, and without it nothing may be injected; see run.watchdog";
            self.journal.finding(Outcome::Refused, "no-watchdog", message);
            stop.cancel();
        }
        alive
    }

    async fn end_of_load(
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

    /// Sees that every process is ready again.
    async fn check_restored(&self, system: &Arc<System>) {
        for message in not_restored(&system.processes(), self.experiment.rollback.within.0).await {
            self.journal.finding(Outcome::NotRestored, "system-not-restored", message);
        }
    }

    async fn check_invariants(
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

    fn check_objectives(&mut self, rows: &[Row], load_start_ms: u64) {
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

    fn report_faults(&mut self, delivered: &[Delivered], rows: &[Row], load_start: Instant, judged: bool) {
        let steps = self.experiment.load.scenario.len();
        let baseline = Baseline::of(rows, steps, self.experiment.phases.baseline.0, load_start);
        let down = dose::downtimes(delivered);
        let run_start = self.journal.start();
        let reports = delivered.iter().map(|one| dose::report(one, &baseline, rows, &down, run_start));
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
    async fn roll_back(&self, system: &Arc<System>) {
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

/// What is needed to tell of processes that die by themselves.
struct Deaths {
    deaths: tokio::sync::mpsc::UnboundedReceiver<Death>,
    journal: Journal,
    /// Whether all processes have been ready once.
    started: Arc<AtomicBool>,
    stop: CancellationToken,
    /// Nothing is left that could die.
    all_stopped: CancellationToken,
}

/// A process that died by itself is a finding, and ends the run.
async fn deaths_become_findings(mut watched: Deaths) {
    loop {
        let death = tokio::select! {
            biased;
            death = watched.deaths.recv() => death,
            () = watched.all_stopped.cancelled() => return,
        };
        let Some(death) = death else { return };
        // One that never got ready is reported by whoever starts the system. Later nobody else would: a fault that
        // starts its target again tries until it succeeds.
        if !death.was_ready && !watched.started.load(Ordering::Acquire) {
            continue;
        }
        let again = if death.was_ready { "" } else { " when it was started again" };
        let last = match death.output.join(" | ") {
            nothing if nothing.is_empty() => "it wrote nothing".to_owned(),
            lines => format!("its last lines: {lines}"),
        };
        let message = format!("{} ended by itself{again}: {}; {last}", death.process, death.status);
        watched.journal.finding(Outcome::Fail, "process-died", message);
        watched.stop.cancel();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::Silent;
    use crate::system::ProcessConfig;

    async fn findings(deaths: Vec<Death>, started: bool) -> Vec<String> {
        let (sender, received) = tokio::sync::mpsc::unbounded_channel();
        let (journal, stop) = (Journal::new(Arc::new(Silent)), CancellationToken::new());
        let all_stopped = CancellationToken::new();
        deaths.into_iter().for_each(|death| sender.send(death).expect("it is received"));
        // All is over before the first death is looked at.
        all_stopped.cancel();
        let started = Arc::new(AtomicBool::new(started));
        let (journal_of, stop_of) = (journal.clone(), stop.clone());
        let watched = Deaths { deaths: received, journal: journal_of, started, stop: stop_of, all_stopped };
        deaths_become_findings(watched).await;
        let findings = journal.findings();
        assert_eq!(stop.is_cancelled(), !findings.is_empty());
        findings.into_iter().map(|finding| finding.message).collect()
    }

    fn death(was_ready: bool) -> Death {
        Death {
            process: "orders".to_owned(),
            status: "exited with 1".to_owned(),
            was_ready,
            output: vec!["ouch".to_owned()],
            at: Instant::now(),
        }
    }

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
        while !matches!(fragile.end(), End::Died(_)) {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        assert_eq!(not_restored(&system.processes(), within).await, Vec::<String>::new());
        system.stop().await.expect("it stops");
    }

    #[tokio::test]
    async fn a_death_is_told_however_late_it_is_heard_of() {
        assert_eq!(
            findings(vec![death(true)], true).await,
            ["orders ended by itself: exited with 1; its last lines: ouch"]
        );
    }

    #[tokio::test]
    async fn a_start_that_failed_is_told_once_the_system_was_up() {
        assert_eq!(findings(vec![death(false)], false).await, Vec::<String>::new());
        assert_eq!(
            findings(vec![death(false)], true).await,
            ["orders ended by itself when it was started again: exited with 1; its last lines: ouch"]
        );
    }
}
