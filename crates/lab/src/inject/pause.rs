//! Stopping processes by SIGSTOP, undone by SIGCONT.

use std::time::{Duration, Instant};

use super::dose::{Span, end_span};
use super::{Dose, Error, Injector, Observation};
use crate::system::{Identity, Process, Scope, set_stopped};
use crate::undo::Undo;

/// How often it is looked whether they are still stopped.
const LOOK: Duration = Duration::from_millis(100);

/// Stops the processes that a [`Scope`] means; others that the target starts meanwhile are not stopped.
#[derive(Debug)]
pub struct Pause {
    process: Process,
    scope: Scope,
    stopped: Vec<Identity>,
    spans: Vec<Span>,
}

impl Pause {
    /// Makes a fault that stops `scope` of `process`.
    pub fn new(process: Process, scope: Scope) -> Self {
        Self { process, scope, stopped: Vec::new(), spans: Vec::new() }
    }

    fn set(&self, stopped: bool) -> Result<(), Error> {
        set_stopped(&self.stopped, stopped)
            .map_err(|error| Error::StillThere(format!("{}: {error}", self.process.name())))
    }
}

impl Injector for Pause {
    fn kind(&self) -> &'static str {
        "signal"
    }

    fn target(&self) -> &str {
        self.process.name()
    }

    fn prepare(&mut self) -> Result<Undo, Error> {
        self.stopped = self.process.members(self.scope)?;
        Ok(Undo::Resume { processes: self.stopped.clone() })
    }

    fn inject(&mut self) -> Result<(), Error> {
        self.spans.push(Span::since(Instant::now()));
        self.set(true)
    }

    fn uphold(&mut self) -> Result<Duration, Error> {
        let all_stopped = self.stopped.iter().all(|process| process.is_held());
        match (all_stopped, self.spans.last()) {
            // Somebody else let them go on, or they died: what was delivered ends here.
            (false, Some(Span { to: None, .. })) => end_span(&mut self.spans, Instant::now()),
            (true, Some(Span { to: Some(_), .. })) => self.spans.push(Span::since(Instant::now())),
            _ => {}
        }
        Ok(LOOK)
    }

    fn observe(&self) -> Observation {
        let paused = self.spans.iter().map(Span::duration).sum();
        let dose = Dose::Paused { processes: self.stopped.len(), paused };
        Observation { dose, spans: self.spans.clone() }
    }

    fn undo(&mut self) -> Result<(), Error> {
        let undone = self.set(false);
        end_span(&mut self.spans, Instant::now());
        undone
    }

    fn verify(&mut self) -> Result<String, Error> {
        match self.stopped.iter().find(|process| process.is_stopped()) {
            Some(process) => Err(Error::StillThere(format!("{process} is stopped"))),
            None => Ok("/proc shows none of them stopped".to_owned()),
        }
    }
}
