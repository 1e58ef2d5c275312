//! One process, from its first record to its last.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures::{FutureExt, TryStreamExt};
use steadfast_base::{Deadline, TraceContext};
use tokio::sync::watch;

use super::driver::Shared;
use super::handle::Status;
use super::progress::{Progress, Record, Task, Undo};
use super::{Call, Error, Port, ProcessManager, StepError};
use crate::store::{self, Batch, Condition, Expected, Query, Revision};
use crate::{Event, EventBuilder};

/// Drives the process `id` to its end and tells `status`.
pub(super) async fn run<P: ProcessManager, T: Port<P>>(
    shared: &Shared<P, T>,
    id: &Arc<str>,
    input: Option<P::Input>,
    status: watch::Sender<Status<P>>,
) {
    let stream = Arc::from(format!("{}-{id}", shared.name));
    let run = Run { shared, id, stream, status: &status };
    if let Err(error) = run.drive(input).await {
        if !matches!(error, Error::Closed) {
            tracing::error!(process = &*run.stream, %error, "a process is not driven on");
        }
        status.send_replace(Status::Failed(error));
    }
}

struct Run<'a, P: ProcessManager, T> {
    shared: &'a Shared<P, T>,
    id: &'a Arc<str>,
    stream: Arc<str>,
    status: &'a watch::Sender<Status<P>>,
}

/// Where a process stands, as far as its driver knows.
struct Stand<P: ProcessManager> {
    progress: Progress<P>,
    revision: Option<Revision>,
    hold: Hold,
}

/// Who else may be at the step that comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hold {
    /// Somebody, for the newest record is not this driver's. It attempts nothing before it has recorded that it goes on.
    Loose,
    /// Whoever was there before it went on, and may have attempted the step.
    Shared,
    /// Nobody: it has recorded what led to the step itself. Should somebody go on with it, its next record is not taken.
    Sole,
}

impl<P: ProcessManager, T: Port<P>> Run<'_, P, T> {
    async fn drive(&self, input: Option<P::Input>) -> Result<(), Error> {
        let mut stand = self.load().await?;
        if let (None, Some(input)) = (stand.revision, input) {
            self.record(&mut stand, Record::Started { input: Arc::new(input) }).await?;
        }
        loop {
            let Some(task) = stand.progress.react(&self.shared.manager) else { return Err(Error::Closed) };
            if !matches!(task, Task::Rest(_)) {
                self.status.send_if_modified(|status| {
                    let starting = matches!(status, Status::Starting);
                    if starting {
                        *status = Status::Running;
                    }
                    starting
                });
            }
            let record = match task {
                Task::Rest(ended) => {
                    self.status.send_replace(Status::Ended(ended));
                    return Ok(());
                }
                Task::Record(record) => record,
                Task::Execute { .. } if stand.hold == Hold::Loose => Record::Resumed,
                Task::Execute { number, step } => self.execute(&stand, number, step).await?,
                Task::Undo(undo) => self.undo(&stand.progress, undo).await?,
            };
            self.record(&mut stand, record).await?;
        }
    }

    /// Does a step until its outcome is known, or it is given up.
    async fn execute(&self, stand: &Stand<P>, number: usize, step: P::Step) -> Result<Record<P>, Error> {
        let mut may_be_sent = stand.hold != Hold::Sole;
        let attempts_max = self.shared.policy.attempts_max.map_or(u32::MAX, |max| max.max(1));
        for attempt in 1.. {
            self.shared.life.proceed().await?;
            let call = self.call(&stand.progress, number, step.clone(), None, attempt);
            match in_time(call.deadline(), self.shared.port.execute(call)).await {
                Ok(output) => return Ok(Record::Done { step, output }),
                Err(cause @ StepError::Refused { .. }) => return Ok(Record::Failed { cause, unknown: None }),
                Err(cause) => {
                    may_be_sent |= !matches!(cause, StepError::NotSent { .. });
                    if attempt == attempts_max {
                        return Ok(given_up(step, cause, may_be_sent));
                    }
                    self.wait(attempt, &step, &cause).await?;
                }
            }
        }
        unreachable!("the last attempt returns")
    }

    /// Undoes a step, however often it takes.
    async fn undo(&self, progress: &Progress<P>, undo: Undo<P>) -> Result<Record<P>, Error> {
        let mut attempt = 1;
        loop {
            self.shared.life.proceed().await?;
            let Undo { number, step, output } = undo.clone();
            let call = self.call(progress, number, step, output, attempt);
            match in_time(call.deadline(), self.shared.port.undo(call)).await {
                Ok(()) => return Ok(Record::Undone),
                Err(cause) => self.wait(attempt, &undo.step, &cause).await?,
            }
            attempt = attempt.saturating_add(1);
        }
    }

    fn call(
        &self,
        progress: &Progress<P>,
        number: usize,
        step: P::Step,
        output: Option<P::Output>,
        attempt: u32,
    ) -> Call<P> {
        let input = Arc::clone(progress.input().expect("a process that acts has begun"));
        let key = Arc::from(format!("{}/{number}", self.stream));
        let deadline = Deadline::within(self.shared.policy.attempt_timeout);
        let trace = self.shared.manager.trace(&input);
        Call { input, step, output, name: Arc::clone(&self.shared.name), key, attempt, deadline, trace }
    }

    async fn wait(&self, attempt: u32, step: &P::Step, cause: &StepError) -> Result<(), Error> {
        tracing::debug!(process = &*self.stream, ?step, attempt, %cause, "a step is repeated");
        let wait = self.shared.policy.backoff.delay(attempt - 1, &mut self.shared.rng.lock());
        tokio::select! {
            () = tokio::time::sleep(wait) => Ok(()),
            () = self.shared.life.ended() => Err(Error::Closed),
        }
    }

    async fn load(&self) -> Result<Stand<P>, Error> {
        let mut progress = Progress::new();
        let mut revision = None;
        let mut events = self.shared.store.read(Query::stream(Arc::clone(&self.stream)));
        while let Some(stored) = events.try_next().await? {
            let record = serde_json::from_slice(stored.event.data()).map_err(|error| Error::Undecodable {
                stream: Arc::clone(&self.stream),
                problem: error.to_string(),
            })?;
            progress.evolve(record);
            revision = Some(stored.revision);
        }
        Ok(Stand { progress, revision, hold: Hold::Loose })
    }

    /// Records what happened and, in the same batch, what follows from it without any further step. If somebody else has
    /// come to something meanwhile, takes up what they have.
    async fn record(&self, stand: &mut Stand<P>, record: Record<P>) -> Result<(), Error> {
        let Stand { progress, revision, hold } = stand;
        let (number, is_lasting) = (progress.done(), record.is_lasting());
        let hold_after = if matches!(record, Record::Resumed) { Hold::Shared } else { Hold::Sole };
        let input = match &record {
            Record::Started { input } => Some(input),
            _ => progress.input(),
        };
        let trace = input.and_then(|input| self.shared.manager.trace(input));
        let mut events = vec![self.event(&record, trace)?];
        progress.evolve(record);
        while let Some(Task::Record(end)) = progress.react(&self.shared.manager) {
            events.push(self.event(&end, trace)?);
            progress.evolve(end);
        }
        let batch = Batch::to_stream(Arc::clone(&self.stream), events);
        loop {
            let expected = revision.map_or(Expected::NoStream, Expected::Revision);
            let condition = Condition::stream(Arc::clone(&self.stream), expected);
            match self.append(&batch, &condition).await {
                Ok(appended) => {
                    (*revision, *hold) = (Some(appended.revision), hold_after);
                    return Ok(());
                }
                Err(store::Error::Conflict { .. }) => {
                    let found = self.load().await?;
                    // Others have gone on with it and recorded nothing of the step. Were it done again for that, two
                    // drivers could do it without end.
                    if !(is_lasting && found.progress.is_at(number)) {
                        *stand = found;
                        return Ok(());
                    }
                    *revision = found.revision;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    async fn append(&self, batch: &Batch, condition: &Condition) -> Result<store::Appended, store::Error> {
        let policy = &self.shared.policy;
        let mut repetition = 0;
        loop {
            let outcome = self.shared.store.append(batch.clone(), condition.clone(), policy.durability).await;
            let Err(store::Error::Overloaded) = outcome else { return outcome };
            let wait = policy.backoff.delay(repetition, &mut self.shared.rng.lock());
            tokio::time::sleep(wait).await;
            repetition = repetition.saturating_add(1);
        }
    }

    fn event(&self, record: &Record<P>, trace: Option<TraceContext>) -> Result<Event, Error> {
        let name = &self.shared.name;
        let event = Event::new(format!("/processes/{name}"), format!("{name}.{}", record.kind()))
            .subject(Arc::clone(self.id));
        let event = trace.into_iter().fold(event, EventBuilder::trace);
        event.json(record).map_err(|error| Error::Undecodable {
            stream: Arc::clone(&self.stream),
            problem: error.to_string(),
        })
    }
}

/// Makes the record of a step that is given up, of which an attempt may have been sent.
fn given_up<P: ProcessManager>(step: P::Step, cause: StepError, may_be_sent: bool) -> Record<P> {
    match cause {
        StepError::NotSent { reason } if may_be_sent => {
            Record::Failed { cause: StepError::Unknown { reason }, unknown: Some(step) }
        }
        cause @ StepError::NotSent { .. } => Record::Failed { cause, unknown: None },
        cause => Record::Failed { cause, unknown: Some(step) },
    }
}

/// Waits for the call until its deadline.
async fn in_time<O>(
    deadline: Deadline,
    call: impl Future<Output = Result<O, StepError>>,
) -> Result<O, StepError> {
    match tokio::time::timeout_at(deadline.instant(), AssertUnwindSafe(call).catch_unwind()).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(_)) => Err(StepError::unknown("the call panicked")),
        Err(_) => Err(StepError::unknown("no answer in time")),
    }
}
