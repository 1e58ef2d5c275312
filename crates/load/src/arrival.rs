//! What one arrival does: its steps in order, each with its attempts.

use std::sync::Arc;
use std::time::Duration;

use steadfast_base::{Rng, Seed};
use uuid::Uuid;

use crate::compile::Scope;
use crate::connection::{Answer, Connection, Lost};
use crate::worker::Worker;
use crate::{Arrival, Captured, Command, CommandResult};

/// An arrival under way; when it is dropped, the worker is told that it has gone.
struct Underway {
    worker: Arc<Worker>,
    sequence: u64,
    intended: Duration,
    rng: Rng,
    captured: Captured,
    /// Whether the recorder was told of this arrival.
    told: bool,
}

/// A command under way; when it is dropped without a result, the recorder is told that it was abandoned.
struct Pending {
    worker: Arc<Worker>,
    command: Option<Command>,
}

/// Runs the arrival numbered `sequence`.
pub(crate) async fn run(worker: Arc<Worker>, sequence: u64, intended: Duration) {
    // Each arrival has randomness of its own, so that what it draws does not depend on how others went.
    let rng = Seed::new(worker.run.seed.value() ^ sequence.wrapping_mul(0x9e37_79b9_7f4a_7c15)).rng();
    let mut arrival =
        Underway { worker, sequence, intended, rng, captured: Captured::default(), told: false };
    let run = arrival.worker.run.clone();
    let mut from = intended;
    for (index, step) in run.scenario.steps.iter().enumerate() {
        let wanted = step.weight >= 1.0 || arrival.rng.chance(step.weight);
        if wanted && step.can_run(&arrival.captured) {
            if index > 0 && run.is_stopping() {
                break;
            }
            from = arrival.command(index, from).await;
        }
    }
    // An arrival whose steps were all left out by their weights had nothing to dispatch and was on time.
    if !arrival.told {
        arrival.tell(Some(run.elapsed()));
    }
}

impl Underway {
    /// Runs step `step`, intended for `intended`, with its repetitions; returns when it ended.
    async fn command(&mut self, step: usize, intended: Duration) -> Duration {
        let run = self.worker.run.clone();
        let mut pending = Pending {
            command: Some(Command {
                step,
                sequence: self.sequence,
                id: Uuid::now_v7(),
                captured: self.captured.clone(),
                intended,
                dispatched: Duration::ZERO,
                finished: Duration::ZERO,
                attempts: 0,
                result: CommandResult::Abandoned,
                maybe_applied: false,
            }),
            worker: self.worker.clone(),
        };
        let command = pending.command.as_mut().expect("it was set above and is taken at the end");
        let compiled = &run.scenario.steps[step];
        for repetition in 0.. {
            let attempt = tokio::time::timeout(compiled.timeout, self.attempt(command)).await;
            let answer = match attempt {
                Ok(answer) => answer,
                Err(_) if command.attempts > repetition => Err(CommandResult::TimedOut),
                // In all that time no connection became free: nothing was sent.
                Err(_) => Err(CommandResult::Unsent),
            };
            let retry_after = answer.as_ref().ok().and_then(|answer| answer.retry_after);
            command.result = match answer {
                Ok(answer) if compiled.success.contains(answer.status) => {
                    self.capture(step, &answer);
                    CommandResult::Succeeded { status: answer.status }
                }
                Ok(Answer { status, .. }) if status < 500 => CommandResult::Refused { status },
                Ok(Answer { status, .. }) => CommandResult::Failed { status },
                Err(result) => result,
            };
            let wait = run.retry.wait(repetition, command.result, retry_after, &mut self.rng);
            let Some(wait) = wait.filter(|_| !run.is_stopping()) else { break };
            command.maybe_applied |= command.result.is_unknown();
            tokio::time::sleep(wait).await;
            if run.is_stopping() {
                break;
            }
        }
        command.captured = self.captured.clone();
        let result = command.result;
        if !self.told {
            self.tell((result != CommandResult::Unsent).then_some(command.dispatched));
        }
        pending.end(result)
    }

    /// Makes one attempt. Dropped at its timeout, it takes its connection with it.
    async fn attempt(&mut self, command: &mut Command) -> Result<Answer, CommandResult> {
        let worker = self.worker.clone();
        let run = &worker.run;
        let permit = worker.permits.acquire().await.map_err(|_| CommandResult::Abandoned)?;
        if command.attempts == 0 {
            command.dispatched = run.elapsed();
        }
        command.attempts += 1;
        let routes = worker.routes();
        let scope = Scope {
            id: command.id,
            sequence: command.sequence,
            captured: &self.captured,
            targets: &routes.targets,
        };
        let compiled = &run.scenario.steps[command.step];
        // A target that is gone is a server that is gone.
        let missing = routes.targets.iter().any(Option::is_none);
        let nowhere = if missing { CommandResult::ConnectFailed } else { CommandResult::Unsent };
        let address = routes.address(&run.scenario, command.step, scope).ok_or(nowhere)?;
        let header = address.host.header.clone();
        let mut request = compiled.request(address.uri, header, scope).ok_or(nowhere)?;
        let keep = |status| !compiled.captures.is_empty() && compiled.success.contains(status);
        loop {
            let (mut connection, fresh) = match address.host.take().await {
                Some(connection) => (connection, false),
                None => match Connection::open(&address.host.address).await {
                    Ok(connection) => (Box::new(connection), true),
                    Err(error) if is_ours(&error) => return Err(CommandResult::Unsent),
                    Err(_) => return Err(CommandResult::ConnectFailed),
                },
            };
            if !self.told {
                self.tell(Some(command.dispatched));
            }
            match connection.exchange(request, keep).await {
                Ok(answer) => {
                    address.host.give_back(connection).await;
                    drop(permit);
                    return Ok(answer);
                }
                // The server closed an idle connection at the very moment that it was taken: not its failure, and
                // nothing was sent.
                Err(Lost::Unwritten(back)) if !fresh => request = *back,
                Err(Lost::Unwritten(_) | Lost::Reset) => return Err(CommandResult::ConnectionLost),
                Err(Lost::Garbled) => return Err(CommandResult::Garbled),
            }
        }
    }

    fn capture(&mut self, step: usize, answer: &Answer) {
        let run = &self.worker.run;
        for (slot, path) in &run.scenario.steps[step].captures {
            match path.find(&answer.body) {
                Some(value) => self.captured.set(&run.scenario.captured, *slot, value),
                None => run.counters.uncaptured(),
            }
        }
    }

    fn tell(&mut self, dispatched: Option<Duration>) {
        self.told = true;
        self.worker.run.tell(Arrival { sequence: self.sequence, intended: self.intended, dispatched });
    }
}

impl Drop for Underway {
    fn drop(&mut self) {
        if !self.told {
            self.tell(None);
        }
        self.worker.left();
    }
}

impl Pending {
    fn end(&mut self, result: CommandResult) -> Duration {
        let run = &self.worker.run;
        let finished = run.elapsed();
        if let Some(mut command) = self.command.take() {
            if command.attempts == 0 {
                command.dispatched = finished;
            }
            command.finished = finished;
            command.result = result;
            run.recorder.command(command);
        }
        finished
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        match &self.command {
            None => {}
            // It was still waiting for a connection: nobody can have heard of it.
            Some(command) if command.attempts == 0 => drop(self.end(CommandResult::Unsent)),
            Some(_) => {
                self.worker.run.counters.abandoned();
                self.end(CommandResult::Abandoned);
            }
        }
    }
}

/// Says whether a connection failed for want of something on this side: file descriptors, ports, memory.
fn is_ours(error: &std::io::Error) -> bool {
    const EMFILE: i32 = 24;
    const ENFILE: i32 = 23;
    matches!(error.raw_os_error(), Some(EMFILE | ENFILE))
        || matches!(error.kind(), std::io::ErrorKind::AddrNotAvailable | std::io::ErrorKind::OutOfMemory)
}
