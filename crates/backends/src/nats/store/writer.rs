//! The task that appends: what this process appends takes turns, and each append stands on all that was appended before.

use std::sync::Arc;

use async_nats::Client;
use bytes::Bytes;
use steadfast_base::{Backoff, Rng, Seed};
use steadfast_core::store::{
    Appended, Batch, Condition, Deleted, Durability, Error, Expected, Outcome, Position, Revision,
};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::access::Access;
use super::bell::Bell;
use super::error::Failure;
use super::known::Known;
use super::message::Message;

/// What is to be done.
pub(super) enum Job {
    Append {
        append: Append,
        until: Instant,
        answer: oneshot::Sender<Result<Appended, Error>>,
    },
    Delete {
        stream: Arc<str>,
        expected: Option<Expected>,
        until: Instant,
        answer: oneshot::Sender<Result<Deleted, Error>>,
    },
}

pub(super) struct Append {
    pub(super) batch: Batch,
    pub(super) condition: Condition,
    /// Up to which message nothing was found that the condition forbids; none if something was.
    pub(super) clear_to: Option<u64>,
}

pub(super) struct Writer {
    pub(super) access: Arc<Access>,
    pub(super) known: Known,
    pub(super) bell: Arc<Bell>,
    pub(super) achieved: Durability,
    rng: Rng,
}

/// A message that is to be stored under a subject.
pub(super) type Outgoing = (String, Message);

/// Why something cannot be stored now.
pub(super) enum Unfit {
    /// What is known says no; what is not known yet may say something else.
    Conflict(Error),
    Failed(Error),
}

impl From<Error> for Unfit {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// How far storing one thing has come.
pub(super) struct Attempts {
    pub(super) doing: &'static str,
    pub(super) until: Instant,
    /// Behind which message something was sent that may still be stored.
    doubt: Option<u64>,
    /// Something was sent whose answer never came.
    pub(super) unanswered: bool,
    /// All that was appended when it began is known.
    pub(super) fresh: bool,
    failures: u32,
    /// Why it did not succeed the last time; none if others were sooner.
    reason: Option<Failure>,
}

impl Attempts {
    /// Begins, unless waiting for the turn has taken all the time there is.
    pub(super) fn new(doing: &'static str, until: Instant) -> Result<Self, Error> {
        if Instant::now() >= until {
            return Err(Error::Overloaded);
        }
        Ok(Self { doing, until, doubt: None, unanswered: false, fresh: false, failures: 0, reason: None })
    }

    fn outcome(&self) -> Outcome {
        if self.doubt.is_some() { Outcome::Unknown } else { Outcome::NotAppended }
    }

    /// Makes of an error what it means for what may have been sent.
    pub(super) fn failed(&self, error: Error) -> Error {
        self.failed_with(self.outcome(), error)
    }

    fn failed_with(&self, outcome: Outcome, error: Error) -> Error {
        match (outcome, error) {
            (Outcome::Unknown, Error::Io { doing, source, .. }) => {
                Error::Io { doing, source, outcome: Outcome::Unknown }
            }
            (Outcome::Unknown, error) => {
                Error::io(self.doing, std::io::Error::other(error.to_string()), Outcome::Unknown)
            }
            (Outcome::NotAppended, error) => error,
        }
    }
}

impl Writer {
    pub(super) fn new(access: Arc<Access>, known: Known, bell: Arc<Bell>, achieved: Durability) -> Self {
        Self { access, known, bell, achieved, rng: Seed::random().rng() }
    }

    /// Does what comes until nobody can send any more.
    pub(super) async fn run(mut self, mut jobs: mpsc::Receiver<Job>) {
        while let Some(job) = jobs.recv().await {
            match job {
                // Nobody waits for it, and nothing of it was sent.
                Job::Append { answer, .. } if answer.is_closed() => {}
                Job::Delete { answer, .. } if answer.is_closed() => {}
                Job::Append { append, until, answer } => drop(answer.send(self.append(append, until).await)),
                Job::Delete { stream, expected, until, answer } => {
                    drop(answer.send(self.delete(&stream, expected, until).await));
                }
            }
        }
    }

    async fn append(&mut self, append: Append, until: Instant) -> Result<Appended, Error> {
        let Append { batch, condition, mut clear_to } = append;
        let mut attempts = Attempts::new("appending to NATS", until)?;
        loop {
            match self.known.ids.find(&batch) {
                Ok(None) => {}
                // What was known of a server that has lost it is not true any more.
                Ok(Some(_)) | Err(_) if !attempts.fresh => {
                    let refreshed = self.refresh(&mut attempts).await;
                    refreshed.map_err(|error| attempts.failed_with(Outcome::Unknown, error))?;
                    continue;
                }
                Err(invalid) => return Err(invalid),
                Ok(Some((position, revision))) => {
                    // What this call has sent itself is no repetition to the caller.
                    let duplicate = !attempts.unanswered;
                    let revision = Revision(revision);
                    return Ok(Appended { position, revision, achieved: self.achieved, duplicate });
                }
            }
            let messages = match self.check(&condition, &mut clear_to, until).await {
                Ok(()) => self.lay_out(&batch, until).await.map_err(Unfit::Failed),
                Err(unfit) => Err(unfit),
            };
            if self.attempt(&mut attempts, messages).await? {
                let revision = self.known.ids.find(&batch)?.map(|(_, revision)| Revision(revision));
                let (position, revision) = (self.known.head, revision.expect("it was appended now"));
                return Ok(Appended { position, revision, achieved: self.achieved, duplicate: false });
            }
        }
    }

    /// Tries once to store `messages`, which were laid out for what is known; says whether they are. Otherwise more is
    /// known, or some time has passed.
    ///
    /// # Errors
    /// What trying again does not help against, or when the time is over.
    pub(super) async fn attempt(
        &mut self,
        attempts: &mut Attempts,
        messages: Result<Vec<Outgoing>, Unfit>,
    ) -> Result<bool, Error> {
        let stored = match messages {
            Ok(messages) => self.store(attempts.until, messages).await,
            Err(Unfit::Conflict(conflict)) if attempts.fresh && attempts.doubt.is_none() => {
                return Err(conflict);
            }
            Err(Unfit::Conflict(_)) => Ok(false),
            Err(Unfit::Failed(error)) => return Err(attempts.failed(error)),
        };
        match stored {
            Ok(true) => {
                self.bell.ring();
                return Ok(true);
            }
            // Others were sooner.
            Ok(false) => attempts.reason = None,
            Err(failure) => {
                if !failure.passes() {
                    let outcome = attempts.outcome();
                    return Err(attempts.failed(failure.into_error(attempts.doing, outcome)));
                }
                if matches!(failure, Failure::Away(_)) {
                    attempts.doubt = Some(self.known.end);
                    attempts.unanswered = true;
                }
                tracing::debug!(?failure, doing = attempts.doing, "NATS has not stored it, trying again");
                attempts.reason = Some(failure);
            }
        }
        if Instant::now() >= attempts.until {
            let outcome = attempts.outcome();
            return Err(match attempts.reason.take() {
                Some(failure) => attempts.failed(failure.into_error(attempts.doing, outcome)),
                None => attempts.failed(Error::Overloaded),
            });
        }
        if self.refresh(attempts).await.map_err(|error| attempts.failed(error))? {
            attempts.failures = 0;
        } else if attempts.reason.is_some() || attempts.failures > 0 {
            tokio::time::sleep(Backoff::default().delay(attempts.failures, &mut self.rng)).await;
            attempts.failures += 1;
        } else {
            attempts.failures += 1;
        }
        Ok(false)
    }

    /// Gets to know all that was appended until now; says whether that was anything new.
    async fn refresh(&mut self, attempts: &mut Attempts) -> Result<bool, Error> {
        let new = self.known.catch_up(&self.access, attempts.until).await?;
        attempts.fresh = true;
        // Behind a message of somebody else, what was sent for its place can no longer be stored.
        attempts.doubt = attempts.doubt.filter(|end| self.known.end <= *end);
        Ok(new)
    }

    /// Stores `messages` behind what is known; says whether that was the end of the log.
    async fn store(&mut self, until: Instant, messages: Vec<Outgoing>) -> Result<bool, Failure> {
        let client: Client = self.access.client(until).await?;
        let payloads: Vec<(String, Bytes)> =
            messages.iter().map(|(subject, message)| (subject.clone(), message.encode().into())).collect();
        self.access.check_size(&client, &payloads).map_err(Failure::Final)?;
        match self.access.publish(&client, self.known.end, &payloads).await {
            Ok(_) => {}
            Err(Failure::Refused(refusal)) if refusal.is_late() => return Ok(false),
            Err(failure) => return Err(failure),
        }
        for ((_, message), (_, payload)) in messages.into_iter().zip(&payloads) {
            self.known.apply(self.known.end + 1, payload, message);
        }
        Ok(true)
    }

    async fn check(
        &mut self,
        condition: &Condition,
        clear_to: &mut Option<u64>,
        until: Instant,
    ) -> Result<(), Unfit> {
        match condition {
            Condition::Any => Ok(()),
            Condition::Streams(conditions) => {
                for condition in conditions {
                    self.check_stream(&condition.stream, condition.expected, until).await?;
                }
                Ok(())
            }
            Condition::NoneMatching { filter, after } => {
                let conflict = Err(Unfit::Conflict(Error::Conflict { stream: Arc::from(""), actual: None }));
                let Some(clear) = *clear_to else { return conflict };
                let end = self.known.end;
                if clear < end {
                    // Only what is new since the last look.
                    let after = (*after).max(Position::from_parts(clear, u64::MAX));
                    if self.access.any(filter, after, until).await? {
                        *clear_to = None;
                        return conflict;
                    }
                    *clear_to = Some(end);
                }
                Ok(())
            }
            _ => Err(Unfit::Failed(Error::Unsupported { what: "this kind of condition".to_owned() })),
        }
    }

    pub(super) async fn check_stream(
        &mut self,
        name: &Arc<str>,
        expected: Expected,
        until: Instant,
    ) -> Result<(), Unfit> {
        let actual = self.stream(name, until).await?.revision().map(Revision);
        let holds = match expected {
            Expected::NoStream => actual.is_none(),
            Expected::Exists => actual.is_some(),
            Expected::Revision(revision) => actual == Some(revision),
        };
        let conflict = || Unfit::Conflict(Error::Conflict { stream: Arc::clone(name), actual });
        if holds { Ok(()) } else { Err(conflict()) }
    }
}
