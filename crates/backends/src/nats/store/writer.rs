//! The task that appends: all that this process appends passes through it, and each append stands on all that was
//! appended before.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use steadfast_base::{Backoff, Rng, Seed};
use steadfast_core::store::{Appended, Deleted, Durability, Error, Expected};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::access::Access;
use super::attempts::Attempts;
use super::bell::Bell;
use super::check::Unfit;
use super::error::Failure;
use super::group::{Append, Appending, MESSAGES_MAX};
use super::known::Known;
use super::message::Message;
use super::publish::Sent;

/// What is to be done.
pub(super) enum Job {
    Append { append: Append, until: Instant, answer: oneshot::Sender<Result<Appended, Error>> },
    Delete(Delete),
}

pub(super) struct Delete {
    pub(super) stream: Arc<str>,
    pub(super) expected: Option<Expected>,
    pub(super) until: Instant,
    pub(super) answer: oneshot::Sender<Result<Deleted, Error>>,
}

pub(super) struct Writer {
    pub(super) access: Arc<Access>,
    pub(super) known: Known,
    pub(super) bell: Arc<Bell>,
    pub(super) achieved: Durability,
    pub(super) rng: Rng,
}

/// A message that is to be stored under a subject.
pub(super) type Outgoing = (String, Message);

impl Writer {
    pub(super) fn new(access: Arc<Access>, known: Known, bell: Arc<Bell>, achieved: Durability) -> Self {
        Self { access, known, bell, achieved, rng: Seed::random().rng() }
    }

    /// Does what comes until nobody can send any more.
    pub(super) async fn run(mut self, mut jobs: mpsc::Receiver<Job>) {
        let mut appends = VecDeque::new();
        loop {
            let mut delete = None;
            while appends.len() < MESSAGES_MAX && delete.is_none() {
                let job = match jobs.try_recv() {
                    Ok(job) => job,
                    Err(_) if !appends.is_empty() => break,
                    Err(_) => match jobs.recv().await {
                        Some(job) => job,
                        None => return,
                    },
                };
                match job {
                    Job::Append { append, until, answer } => {
                        appends.extend(Appending::new(append, until, answer));
                    }
                    Job::Delete(job) => delete = Some(job),
                }
            }
            if !appends.is_empty() {
                self.append_together(&mut appends).await;
            }
            if let Some(Delete { stream, expected, until, answer }) = delete
                && !answer.is_closed()
            {
                drop(answer.send(self.delete(&stream, expected, until).await));
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
        let missed = match messages {
            Ok(messages) => self.store(attempts, messages).await.err(),
            Err(Unfit::Conflict(conflict)) if attempts.is_settled() => return Err(conflict),
            Err(Unfit::Conflict(_)) => {
                attempts.reason = None;
                self.look(attempts).await?;
                return Ok(false);
            }
            Err(Unfit::Failed(error)) => return Err(attempts.failed(error)),
        };
        let Some(failure) = missed else {
            self.bell.ring();
            return Ok(true);
        };
        if !failure.passes() && !failure.is_late() {
            return Err(attempts.refused(failure));
        }
        tracing::debug!(?failure, doing = attempts.doing, "NATS has not stored it, trying again");
        self.look(attempts).await?;
        Ok(false)
    }

    /// Stores `messages` behind what is known.
    async fn store(&mut self, attempts: &mut Attempts, messages: Vec<Outgoing>) -> Result<(), Failure> {
        let end = self.known.end;
        let client =
            self.access.client(attempts.until).await.inspect_err(|failure| attempts.missed(failure, end))?;
        let payloads: Vec<(String, Bytes)> =
            messages.iter().map(|(subject, message)| (subject.clone(), message.encode().into())).collect();
        self.access.check_size(&client, &payloads).map_err(Failure::Final)?;
        let Sent { stored, failure } = self.access.publish(&client, end, &payloads).await;
        let last = end + messages.len() as u64 - 1;
        for ((_, message), (_, payload)) in messages.into_iter().zip(&payloads).take(stored) {
            self.known.apply(self.known.end + 1, payload, message);
        }
        match failure {
            Some(failure) => {
                attempts.missed(&failure, last);
                Err(failure)
            }
            None => Ok(()),
        }
    }

    /// Gets to know all that was appended until now; where that is nothing new, lets some time pass.
    ///
    /// # Errors
    /// The time is over, or the server cannot be asked.
    async fn look(&mut self, attempts: &mut Attempts) -> Result<(), Error> {
        if let Some(error) = attempts.is_over() {
            return Err(error);
        }
        let new = self.known.catch_up(&self.access, attempts.until).await;
        let new = new.map_err(|error| attempts.failed(error))?;
        if !new && attempts.must_wait() {
            tokio::time::sleep(Backoff::default().delay(attempts.failures, &mut self.rng)).await;
        }
        attempts.saw(self.known.end);
        attempts.failures = if new { 0 } else { attempts.failures + 1 };
        Ok(())
    }
}
