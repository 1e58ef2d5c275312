//! What waits while something is under way is then sent together, and shares one round trip.

use std::collections::VecDeque;

use async_nats::Client;
use bytes::Bytes;
use steadfast_base::Backoff;
use steadfast_core::store::{Appended, Batch, Condition, Durability, Error, Position, Revision};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::attempts::Attempts;
use super::check::Unfit;
use super::draft::Draft;
use super::error::Failure;
use super::message::Message;
use super::publish::Sent;
use super::writer::{Outgoing, Writer};

/// How many messages are sent together, but for a batch that has more by itself. Of a server that syncs each they must
/// not take too long, for all wait for the last.
pub(super) const MESSAGES_MAX: usize = 256;
/// How many bytes are sent together, but for a batch that has more by itself.
const BYTES_MAX: usize = 4 << 20;

pub(super) struct Append {
    pub(super) batch: Batch,
    pub(super) condition: Condition,
    /// Up to which message nothing was found that the condition forbids; none if something was.
    pub(super) clear_to: Option<u64>,
}

/// An append that is tried, and who waits for it.
pub(super) struct Appending {
    append: Append,
    attempts: Attempts,
    answer: oneshot::Sender<Result<Appended, Error>>,
}

/// What comes of looking at an append.
enum Look {
    /// It can be sent, behind what is in the draft.
    Fits(Vec<Outgoing>),
    /// More must be known first.
    Again,
    Over(Result<Appended, Error>),
}

/// What is sent together.
#[derive(Default)]
struct Group {
    items: Vec<Item>,
    messages: Vec<Message>,
    payloads: Vec<(String, Bytes)>,
    bytes: usize,
}

struct Item {
    appending: Appending,
    /// Before which of the messages its own end.
    until: usize,
    /// Where its last event will stand.
    place: (Position, Revision),
}

impl Group {
    fn is_full(&self) -> bool {
        self.messages.len() >= MESSAGES_MAX || self.bytes >= BYTES_MAX
    }

    fn push(
        &mut self,
        appending: Appending,
        messages: Vec<Outgoing>,
        payloads: Vec<(String, Bytes)>,
        place: (Position, Revision),
    ) {
        self.messages.extend(messages.into_iter().map(|(_, message)| message));
        self.bytes += payloads.iter().map(|(_, payload)| payload.len()).sum::<usize>();
        self.payloads.extend(payloads);
        self.items.push(Item { appending, until: self.messages.len(), place });
    }
}

impl Appending {
    /// Begins, unless nobody waits for it any more, or its time is over.
    pub(super) fn new(
        append: Append,
        until: Instant,
        answer: oneshot::Sender<Result<Appended, Error>>,
    ) -> Option<Self> {
        if answer.is_closed() {
            return None;
        }
        match Attempts::new("appending to NATS", until) {
            Ok(attempts) => Some(Self { append, attempts, answer }),
            Err(late) => {
                drop(answer.send(Err(late)));
                None
            }
        }
    }

    fn end(self, result: Result<Appended, Error>) {
        drop(self.answer.send(result));
    }
}

impl Writer {
    /// Tries to store what is in `waiting`, together; leaves there what is to be tried again.
    pub(super) async fn append_together(&mut self, waiting: &mut VecDeque<Appending>) {
        waiting.retain(|appending| !appending.answer.is_closed());
        let Some(until) = soonest(waiting) else { return };
        let client = match self.access.client(until).await {
            Ok(client) => client,
            Err(failure) => {
                let end = self.known.end;
                waiting.iter_mut().for_each(|appending| appending.attempts.missed(&failure, end));
                if !failure.passes() {
                    return waiting.drain(..).for_each(|appending| {
                        let error = appending.attempts.refused(failure.clone());
                        appending.end(Err(error));
                    });
                }
                return self.look_again(waiting).await;
            }
        };
        let group = self.gather(&client, waiting).await;
        if group.items.is_empty() {
            return self.look_again(waiting).await;
        }
        let all = self.send(&client, group, waiting).await;
        if all {
            // It was the end of the log, so what they wait for is known; but for whether the server still has what they
            // were found to be.
            let unseen = waiting.iter_mut().filter(|appending| !appending.attempts.seen);
            unseen.for_each(|appending| appending.attempts.saw(self.known.end));
        }
        if !all || waiting.iter().any(|appending| !appending.attempts.fresh) {
            self.look_again(waiting).await;
        }
    }

    /// Takes what fits behind each other out of `waiting`.
    async fn gather(&mut self, client: &Client, waiting: &mut VecDeque<Appending>) -> Group {
        let (mut draft, mut group) = (Draft::on(&self.known), Group::default());
        for _ in 0..waiting.len() {
            let Some(mut appending) = waiting.pop_front() else { break };
            if group.is_full() {
                waiting.push_back(appending);
                continue;
            }
            match self.look_at(&mut appending, &draft).await {
                Look::Again => waiting.push_back(appending),
                Look::Over(result) => appending.end(result),
                Look::Fits(messages) => {
                    let encode =
                        |(subject, message): &Outgoing| (subject.clone(), Bytes::from(message.encode()));
                    let payloads: Vec<_> = messages.iter().map(encode).collect();
                    match self.access.check_size(client, &payloads) {
                        Err(error) => {
                            let error = appending.attempts.failed(error);
                            appending.end(Err(error));
                        }
                        Ok(()) => {
                            let place = draft.add(&messages);
                            group.push(appending, messages, payloads, place);
                        }
                    }
                }
            }
        }
        group
    }

    async fn look_at(&mut self, appending: &mut Appending, draft: &Draft) -> Look {
        let Appending { append: Append { batch, condition, clear_to }, attempts, .. } = appending;
        let until = attempts.until;
        // What is in the draft may come to nothing, so nobody is told what follows from it.
        let is_certain = draft.is_empty();
        match draft.find(&self.known, batch) {
            Ok(None) => attempts.seen = false,
            // What was known of a server that has lost it is not true any more.
            _ if !is_certain || !attempts.fresh => {
                attempts.seen = true;
                return Look::Again;
            }
            Err(invalid) => return Look::Over(Err(invalid)),
            Ok(Some((position, revision))) => {
                // What this call has sent itself is no repetition to the caller.
                let (duplicate, achieved) = (!attempts.unanswered, self.achieved);
                let revision = Revision(revision);
                return Look::Over(Ok(Appended { position, revision, achieved, duplicate }));
            }
        }
        let laid_out = match self.check(draft, condition, clear_to, until).await {
            Ok(()) => self.lay_out(draft, batch, until).await.map_err(Unfit::Failed),
            Err(unfit) => Err(unfit),
        };
        match laid_out {
            Ok(messages) => Look::Fits(messages),
            Err(Unfit::Conflict(_)) if !is_certain || !attempts.is_settled() => {
                attempts.reason = None;
                Look::Again
            }
            Err(Unfit::Conflict(conflict)) => Look::Over(Err(conflict)),
            Err(Unfit::Failed(error)) => Look::Over(Err(attempts.failed(error))),
        }
    }

    /// Sends `group`; says whether all of it stands now. What does not comes back before the others.
    async fn send(&mut self, client: &Client, group: Group, waiting: &mut VecDeque<Appending>) -> bool {
        let Group { items, messages, payloads, .. } = group;
        let end = self.known.end;
        let Sent { stored, failure } = self.access.publish(client, end, &payloads).await;
        for (message, (_, payload)) in messages.into_iter().zip(&payloads).take(stored) {
            self.known.apply(self.known.end + 1, payload, message);
        }
        let Some(failure) = failure else {
            items.into_iter().for_each(|item| item.done(self.achieved));
            self.bell.ring();
            return true;
        };
        let (done, missed): (Vec<_>, Vec<_>) = items.into_iter().partition(|item| item.until <= stored);
        if !done.is_empty() {
            self.bell.ring();
        }
        done.into_iter().for_each(|item| item.done(self.achieved));
        tracing::debug!(?failure, missed = missed.len(), "NATS has not stored it, trying again");
        // A refusal is meant for the first; behind it there is nothing on which the others could stand.
        let is_for_all = matches!(failure, Failure::Away(_) | Failure::Absent(_)) || failure.is_late();
        for (number, item) in missed.into_iter().enumerate().rev() {
            let mut appending = item.appending;
            if number == 0 || is_for_all {
                appending.attempts.missed(&failure, end + item.until as u64 - 1);
            }
            if number == 0 && !failure.passes() && !failure.is_late() {
                let error = appending.attempts.refused(failure.clone());
                appending.end(Err(error));
            } else {
                waiting.push_front(appending);
            }
        }
        false
    }

    /// Gets to know what is new, and gives up what has no time left.
    async fn look_again(&mut self, waiting: &mut VecDeque<Appending>) {
        for mut appending in std::mem::take(waiting) {
            match appending.attempts.is_over() {
                Some(error) => appending.end(Err(error)),
                None => waiting.push_back(appending),
            }
        }
        let Some(until) = soonest(waiting) else { return };
        match self.known.catch_up(&self.access, until).await {
            Ok(new) => {
                let attempts = || waiting.iter().map(|appending| &appending.attempts);
                let wait = attempts().all(Attempts::must_wait) && !new;
                let failures = attempts().map(|attempts| attempts.failures).min().unwrap_or(0);
                if wait {
                    tokio::time::sleep(Backoff::default().delay(failures, &mut self.rng)).await;
                }
                for Appending { attempts, .. } in waiting {
                    attempts.saw(self.known.end);
                    attempts.failures = if new { 0 } else { attempts.failures.saturating_add(1) };
                }
            }
            Err(error) => {
                // It was tried for as long as the first has; where that is no matter of time, it is the end for all.
                let is_for_all = !matches!(error, Error::Io { .. });
                for appending in std::mem::take(waiting) {
                    if is_for_all || appending.attempts.until <= until {
                        let error = appending.attempts.failed(error.clone());
                        appending.end(Err(error));
                    } else {
                        waiting.push_back(appending);
                    }
                }
            }
        }
    }
}

impl Item {
    fn done(self, achieved: Durability) {
        let (position, revision) = self.place;
        self.appending.end(Ok(Appended { position, revision, achieved, duplicate: false }));
    }
}

/// Returns when the time of the first of them is over.
fn soonest(waiting: &VecDeque<Appending>) -> Option<Instant> {
    waiting.iter().map(|appending| appending.attempts.until).min()
}
