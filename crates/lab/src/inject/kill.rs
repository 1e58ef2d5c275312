//! Killing a process and starting it again.

use std::fmt;
use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use tokio::runtime::Runtime;

use super::dose::{Span, end_span};
use super::{Dose, Error, Injector, Observation};
use crate::system::{self, Process, Scope, Signal};
use crate::undo::Undo;

/// How long to wait before a start that failed is tried again.
const RETRY: Duration = Duration::from_millis(500);
/// How long the readiness of the process is looked at before other things get their turn.
const LOOK: Duration = Duration::from_millis(20);

/// How a process is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KillConfig {
    /// By which signal.
    pub signal: Signal,
    /// Which part of it. A worker that is killed is left to its own process to start again.
    pub scope: Scope,
    /// How long after each kill it is started again; none leaves it dead until the fault ends.
    pub restart_after: Option<Duration>,
    /// After which time it is killed again, counted from the first kill; none kills once. A kill that falls due
    /// while the process is not ready is left out.
    pub every: Option<Duration>,
}

impl Default for KillConfig {
    /// SIGKILL to the main process, once, started again after a second.
    fn default() -> Self {
        let restart_after = Some(Duration::from_secs(1));
        Self { signal: Signal::Kill, scope: Scope::Main, restart_after, every: None }
    }
}

/// Kills a process and starts it again; it is undone when the process is ready again.
#[derive(Debug)]
pub struct Kill {
    process: Process,
    config: KillConfig,
    /// For the probes of readiness. One of its own, so that a fault can be undone also while somebody blocks the
    /// runtime of the run, as by dropping the fault.
    runtime: Option<Runtime>,
    stage: Stage,
    next_kill: Option<Instant>,
    kills: u32,
    spans: Vec<Span>,
}

enum Stage {
    Up,
    Down { restart_at: Option<Instant> },
    Starting(BoxFuture<'static, Result<(), system::Error>>),
}

impl fmt::Debug for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Up => "Up",
            Self::Down { .. } => "Down",
            Self::Starting(_) => "Starting",
        })
    }
}

impl Kill {
    /// Makes a fault that kills `process`.
    pub fn new(process: Process, config: KillConfig) -> Self {
        Self {
            process,
            config,
            runtime: None,
            stage: Stage::Up,
            next_kill: None,
            kills: 0,
            spans: Vec::new(),
        }
    }

    fn kill(&mut self) -> Result<(), Error> {
        let now = Instant::now();
        self.process.kill_blocking(self.config.signal, self.config.scope)?;
        self.kills += 1;
        self.spans.push(Span::since(now));
        if self.config.scope == Scope::Worker {
            end_span(&mut self.spans, now);
        } else {
            self.stage = Stage::Down { restart_at: self.config.restart_after.map(|after| now + after) };
        }
        Ok(())
    }

    fn launch(&mut self) -> Result<(), Error> {
        self.stage = Stage::Down { restart_at: Some(Instant::now() + RETRY) };
        self.process.launch()?;
        let process = self.process.clone();
        self.stage = Stage::Starting(Box::pin(async move { process.await_ready().await }));
        Ok(())
    }

    /// Waits for at most `patience` for a start under way to come to its end: up, or stopped and to be tried again.
    fn await_start(&mut self, patience: Duration) -> Result<(), Error> {
        let (Stage::Starting(start), Some(runtime)) = (&mut self.stage, &self.runtime) else { return Ok(()) };
        let result = match runtime.block_on(async { tokio::time::timeout(patience, start).await }) {
            Ok(result) => result,
            Err(_) => return Ok(()),
        };
        if result.is_ok() {
            end_span(&mut self.spans, Instant::now());
            self.stage = Stage::Up;
        } else {
            self.stage = Stage::Down { restart_at: Some(Instant::now() + RETRY) };
            self.process.stop_blocking()?;
        }
        Ok(result?)
    }
}

impl Injector for Kill {
    fn kind(&self) -> &'static str {
        "signal"
    }

    fn target(&self) -> &str {
        self.process.name()
    }

    fn prepare(&mut self) -> Result<Undo, Error> {
        self.process.members(self.config.scope)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        self.runtime = Some(runtime.map_err(Error::Runtime)?);
        Ok(Undo::Restart { process: self.process.name().to_owned() })
    }

    fn inject(&mut self) -> Result<(), Error> {
        self.next_kill = self.config.every.map(|every| Instant::now() + every);
        self.kill()
    }

    fn uphold(&mut self) -> Result<Duration, Error> {
        let now = Instant::now();
        let kill_is_due = self.next_kill.is_some_and(|at| at <= now);
        if let (true, Some(at), Some(every)) = (kill_is_due, self.next_kill, self.config.every) {
            self.next_kill = Some(at + every);
        }
        match &mut self.stage {
            Stage::Up if kill_is_due => self.kill()?,
            Stage::Down { restart_at: Some(at) } if *at <= now => self.launch()?,
            Stage::Starting(_) => self.await_start(LOOK)?,
            Stage::Up | Stage::Down { .. } => {}
        }
        let next = match &self.stage {
            Stage::Up => self.next_kill,
            Stage::Down { restart_at } => *restart_at,
            Stage::Starting(_) => Some(now),
        };
        let again = next.map(|at| at.saturating_duration_since(Instant::now()));
        Ok(again.unwrap_or(Duration::from_secs(1)).min(Duration::from_millis(200)))
    }

    fn observe(&self) -> Observation {
        let down = self.spans.iter().map(Span::duration).sum();
        Observation { dose: Dose::Kills { kills: self.kills, down }, spans: self.spans.clone() }
    }

    fn undo(&mut self) -> Result<(), Error> {
        if let Stage::Down { .. } = self.stage {
            match self.launch() {
                // Nothing is to run any more, so nothing is to be started.
                Err(Error::System(system::Error::Closed { .. })) => return Ok(()),
                result => result?,
            }
        }
        // Readiness has its own bound.
        self.await_start(Duration::MAX)
    }

    fn verify(&mut self) -> Result<String, Error> {
        if self.process.is_closed() {
            return Ok("the system is being stopped, it is not started again".to_owned());
        }
        match (&self.stage, self.process.identity()) {
            (Stage::Up, Some(identity)) => Ok(format!("it runs ({identity}) and is ready")),
            _ => Err(self.process.not_running().into()),
        }
    }
}
