//! A fault under way.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use tokio::sync::watch;

use super::{Error, Injector, Observation};
use crate::undo::UndoLog;

/// How long to wait between two tries.
const UNDO_PAUSE: Duration = Duration::from_millis(50);

/// A fault that is carried out by a thread of its own. Dropped, it is undone first.
#[derive(Debug)]
pub struct Active {
    name: String,
    kind: &'static str,
    target: String,
    shared: Arc<Shared>,
    progress: watch::Receiver<Progress>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    over: Mutex<bool>,
    condition: Condvar,
    observation: Mutex<Observation>,
}

#[derive(Debug, Clone)]
enum Progress {
    Preparing,
    Injected,
    Undone(Arc<Outcome>),
}

/// How a fault went.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Why it was not injected at all.
    pub not_injected: Option<String>,
    /// What went wrong while it was to be in force, in order, at most 16.
    pub problems: Vec<String>,
    /// What undoes it, in words; empty if there was nothing to undo.
    pub action: String,
    /// How it was seen that it is undone, or why it is not.
    pub undone: Result<String, String>,
    /// When that was.
    pub at: Instant,
    /// What it did.
    pub observation: Observation,
}

impl Active {
    /// Begins a fault that is to last for `lasts` and returns at once. Its undoing is tried again until it succeeds,
    /// for at most `undo_within`, or as long as one try takes.
    ///
    /// # Errors
    /// No thread can be started; nothing was injected.
    pub fn begin(
        name: &str,
        injector: Box<dyn Injector>,
        lasts: Duration,
        undo_within: Duration,
        log: Arc<UndoLog>,
    ) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            over: Mutex::new(false),
            condition: Condvar::new(),
            observation: Mutex::new(injector.observe()),
        });
        let (report, progress) = watch::channel(Progress::Preparing);
        let (kind, target) = (injector.kind(), injector.target().to_owned());
        let name = name.to_owned();
        let fault =
            Fault { name: name.clone(), injector, undo_within, log, shared: Arc::clone(&shared), report };
        let thread = std::thread::Builder::new()
            .name(format!("fault {name}"))
            .spawn(move || fault.carry_out(lasts))?;
        Ok(Self { name, kind, target, shared, progress, thread: Some(thread) })
    }

    /// Returns the fault's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns who injects it: `process` or `signal`.
    pub fn kind(&self) -> &'static str {
        self.kind
    }

    /// Returns the process it is done to.
    pub fn target(&self) -> &str {
        &self.target
    }

    /// Returns what is known of it now.
    pub fn observation(&self) -> Observation {
        self.shared.observation.lock().clone()
    }

    /// Ends the fault before its time; returns at once, before it is undone.
    pub fn end(&self) {
        *self.shared.over.lock() = true;
        self.shared.condition.notify_all();
    }

    /// Waits until the fault is in force.
    ///
    /// # Errors
    /// Why it was not injected.
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    pub async fn injected(&self) -> Result<(), String> {
        let mut progress = self.progress.clone();
        let passed = progress.wait_for(|progress| !matches!(progress, Progress::Preparing)).await;
        match passed.as_deref() {
            Ok(Progress::Undone(outcome)) => outcome.not_injected.clone().map_or(Ok(()), Err),
            Ok(_) => Ok(()),
            Err(_) => Err(LOST.to_owned()),
        }
    }

    /// Waits until the fault's time is up and it is undone, and returns how it went.
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing; it can be awaited again.
    pub async fn undone(&self) -> Outcome {
        let mut progress = self.progress.clone();
        match progress.wait_for(|progress| matches!(progress, Progress::Undone(_))).await.as_deref() {
            Ok(Progress::Undone(outcome)) => Outcome::clone(outcome),
            _ => Outcome {
                not_injected: None,
                problems: Vec::new(),
                action: String::new(),
                undone: Err(LOST.to_owned()),
                at: Instant::now(),
                observation: self.observation(),
            },
        }
    }
}

const LOST: &str = "the thread that carries out the fault has panicked";

impl Drop for Active {
    fn drop(&mut self) {
        self.end();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The side of the thread.
struct Fault {
    name: String,
    injector: Box<dyn Injector>,
    undo_within: Duration,
    log: Arc<UndoLog>,
    shared: Arc<Shared>,
    report: watch::Sender<Progress>,
}

impl Fault {
    fn carry_out(mut self, lasts: Duration) {
        let prepared = self.injector.prepare();
        let opened = prepared.and_then(|undo| Ok((self.log.open(&self.name, undo.clone())?, undo)));
        let (opened, undo) = match opened {
            Ok(opened) => opened,
            Err(error) => {
                return self.conclude(Some(error.to_string()), vec![], String::new(), Ok(NOTHING.into()));
            }
        };
        let mut problems = Vec::new();
        // Counted from before the injection, so that what recurs at the very end falls due after it.
        let until = Instant::now() + lasts;
        let injected = self.injector.inject();
        if injected.is_ok() {
            self.report.send_replace(Progress::Injected);
            self.uphold(until, &mut problems);
        }
        let mut undone = self.undo();
        if let Ok(how) = &undone
            && let Err(error) = self.log.close(opened, "run", how)
        {
            undone = Err(error.into());
        }
        let not_injected = injected.err().map(|error| error.to_string());
        self.conclude(not_injected, problems, undo.to_string(), undone.map_err(|error| error.to_string()));
    }

    fn uphold(&mut self, until: Instant, problems: &mut Vec<String>) {
        loop {
            let again = match self.injector.uphold() {
                Ok(again) => again,
                Err(error) => {
                    let problem = error.to_string();
                    if problems.len() < 16 && problems.last() != Some(&problem) {
                        tracing::warn!(fault = self.name, problem, "the fault is not in force");
                        problems.push(problem);
                    }
                    Duration::from_millis(100)
                }
            };
            self.publish();
            let wake = until.min(Instant::now() + again);
            let mut over = self.shared.over.lock();
            while !*over && !self.shared.condition.wait_until(&mut over, wake).timed_out() {}
            if *over || Instant::now() >= until {
                return;
            }
        }
    }

    /// Undoes and verifies until that succeeds or the time is up.
    fn undo(&mut self) -> Result<String, Error> {
        let deadline = Instant::now() + self.undo_within;
        loop {
            let undone = self.injector.undo();
            match undone.and_then(|()| self.injector.verify()) {
                Err(_) if Instant::now() < deadline => std::thread::sleep(UNDO_PAUSE),
                result => return result,
            }
        }
    }

    fn publish(&self) {
        *self.shared.observation.lock() = self.injector.observe();
    }

    fn conclude(
        &self,
        not_injected: Option<String>,
        problems: Vec<String>,
        action: String,
        undone: Result<String, String>,
    ) {
        self.publish();
        let observation = self.injector.observe();
        let outcome = Outcome { not_injected, problems, action, undone, at: Instant::now(), observation };
        self.report.send_replace(Progress::Undone(Arc::new(outcome)));
    }
}

const NOTHING: &str = "nothing was done";
