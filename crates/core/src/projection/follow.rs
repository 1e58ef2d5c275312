//! Brings events to one view.

use std::sync::Arc;

use steadfast_base::Rng;

use super::batch::{Batches, Events};
use super::metrics::Counters;
use super::{ApplyError, Error, Poison, Settings, View, ViewError};
use crate::delivery::{Cause, Fate, Letter, LetterId, Message};
use crate::store::{EventStore, Position, Query, StoredEvent};

/// What all that is done for a projection shares.
pub(super) struct Work {
    pub(super) store: Arc<dyn EventStore>,
    pub(super) name: Arc<str>,
    pub(super) settings: Settings,
    pub(super) counters: Arc<Counters>,
}

/// How a run of events has ended.
struct Drained {
    applied: u64,
    /// The view was ahead of where it began for a while.
    moved: bool,
    /// Where the view stands, if it has gone back.
    back: Option<Position>,
}

impl Work {
    /// Applies what is stored and what is to come, until the store is closed.
    pub(super) async fn follow(&self, view: &impl View) -> Result<(), Error> {
        let (mut rng, mut rewinds) = (self.settings.seed.rng(), 0);
        loop {
            let position = self.position(view, &mut rng).await?;
            let events = self.store.subscribe(self.settings.filter.clone(), position);
            let drained = self.drain(view, position, events, &mut rng).await?;
            if !self.rewind(&drained, &mut rewinds, &mut rng).await? {
                return Ok(());
            }
        }
    }

    /// Applies what is stored until there is less than a batch of it left.
    pub(super) async fn catch_up(&self, view: &impl View) -> Result<(), Error> {
        let (mut rng, mut rewinds) = (self.settings.seed.rng(), 0);
        loop {
            let position = self.position(view, &mut rng).await?;
            let from = (position > Position::START).then_some(position);
            let query = Query { filter: self.settings.filter.clone(), from, ..Query::default() };
            let drained = self.drain(view, position, self.store.read(query), &mut rng).await?;
            if !self.rewind(&drained, &mut rewinds, &mut rng).await?
                && drained.applied < self.batch_max() as u64
            {
                return Ok(());
            }
        }
    }

    /// Says whether the view has gone back, and events are to be brought from where it stands now.
    async fn rewind(&self, drained: &Drained, rewinds: &mut u32, rng: &mut Rng) -> Result<bool, Error> {
        let Some(back) = drained.back else { return Ok(false) };
        self.counters.rewound();
        let projection = &*self.name;
        tracing::warn!(projection, position = %back, "a view has gone back, and gets the events since then again");
        if drained.moved {
            *rewinds = 0;
        } else {
            self.wait(&ViewError::transient(format!("it has gone back to {back}")), rewinds, rng).await?;
        }
        Ok(true)
    }

    pub(super) async fn position(&self, view: &impl View, rng: &mut Rng) -> Result<Position, Error> {
        let mut attempts = 0;
        loop {
            match view.position().await {
                Ok(position) => return Ok(position),
                Err(error) => self.wait(&error, &mut attempts, rng).await?,
            }
        }
    }

    fn batch_max(&self) -> usize {
        self.settings.batch_max.max(1)
    }

    /// Applies events that follow `after` in batches of those that are there.
    async fn drain(
        &self,
        view: &impl View,
        mut after: Position,
        events: Events<'_>,
        rng: &mut Rng,
    ) -> Result<Drained, Error> {
        let mut batches = Batches::new(events, self.batch_max(), self.settings.batch_bytes_max);
        let (mut applied, begin) = (0, after);
        while let Some((batch, failed)) = batches.next().await {
            let events = batch.len() as u64;
            if let Some(back) = self.apply(view, &mut after, batch, rng).await? {
                return Ok(Drained { applied, moved: after > begin, back: Some(back) });
            }
            applied += events;
            if let Some(error) = failed {
                return Err(error.into());
            }
        }
        Ok(Drained { applied, moved: after > begin, back: None })
    }

    /// Applies a batch that follows `after` whole, but for what the policy lets pass; returns where the view stands if it
    /// has gone back.
    async fn apply(
        &self,
        view: &impl View,
        after: &mut Position,
        mut batch: Vec<StoredEvent>,
        rng: &mut Rng,
    ) -> Result<Option<Position>, Error> {
        // Of the first event that cannot be applied, and of the view's place.
        let (mut attempts, mut place_attempts) = (0, 0);
        while let Some(last) = batch.last() {
            let applying = tokio::time::timeout(self.settings.apply_timeout, view.apply(*after, &batch));
            let late = || Err(ViewError::transient("applying events took too long").into());
            let failure = match applying.await.unwrap_or_else(|_| late()) {
                Ok(()) => {
                    self.counters.applied(batch.len());
                    *after = last.position;
                    return Ok(None);
                }
                Err(failure) => failure,
            };
            self.counters.failed();
            match failure {
                ApplyError::WentBack { to } => return Ok(Some(to)),
                ApplyError::View(error) => self.wait(&error, &mut place_attempts, rng).await?,
                ApplyError::Event { index, reason, retryable } => {
                    place_attempts = 0;
                    if retryable && attempts + 1 < self.settings.attempts_max.max(1) {
                        self.wait(&ViewError::transient(&reason), &mut attempts, rng).await?;
                    } else {
                        // First what stands before it, by itself: it may have been undone together with this one.
                        let poisoned = index.min(batch.len() - 1);
                        let known = self.position(view, rng).await?;
                        if known < *after {
                            return Ok(Some(known));
                        }
                        *after = known;
                        if batch[..poisoned].last().is_some_and(|before| before.position > known) {
                            let rest = batch.split_off(poisoned);
                            if let Some(back) = Box::pin(self.apply(view, after, batch, rng)).await? {
                                return Ok(Some(back));
                            }
                            batch = rest;
                            attempts = 0;
                            continue;
                        }
                        let event = &batch[poisoned];
                        if let Some(back) = self.pass(view, *after, event, &reason, attempts + 1, rng).await?
                        {
                            return Ok(Some(back));
                        }
                    }
                }
            }
            // Whatever the view has noted is done.
            let known = self.position(view, rng).await?;
            if known < *after {
                return Ok(Some(known));
            }
            *after = known;
            let before = batch.len();
            batch.retain(|event| event.position > known);
            if batch.len() < before {
                self.counters.applied(before - batch.len());
                (attempts, place_attempts) = (0, 0);
            }
        }
        Ok(None)
    }

    /// Passes an event that cannot be applied, if the policy is so; returns where the view stands if it has gone back.
    async fn pass(
        &self,
        view: &impl View,
        after: Position,
        event: &StoredEvent,
        reason: &str,
        attempts: u32,
        rng: &mut Rng,
    ) -> Result<Option<Position>, Error> {
        match &self.settings.poison {
            Poison::Stop => {
                return Err(Error::Poisoned {
                    projection: Arc::clone(&self.name),
                    position: event.position,
                    stream: Arc::clone(&event.stream),
                    reason: reason.to_owned(),
                });
            }
            Poison::Skip => {}
            Poison::DeadLetter(letters) => {
                let cause = Cause::Failed { reason: reason.to_owned() };
                let letter = Letter {
                    id: LetterId::default(),
                    destination: Arc::clone(&event.stream),
                    subscriber: Arc::clone(&self.name),
                    message: Message::of_event(event.event.clone()),
                    fate: Fate::Dead { cause, attempts, first_failed: self.settings.clock.now() },
                };
                letters.put(&letter).await?;
            }
        }
        tracing::warn!(
            projection = &*self.name,
            position = %event.position,
            stream = &*event.stream,
            reason,
            "an event cannot be applied and is passed"
        );
        let mut tries = 0;
        loop {
            match view.skip(after, event, reason).await {
                Ok(()) => break,
                Err(ApplyError::WentBack { to }) => return Ok(Some(to)),
                Err(ApplyError::View(error)) => self.wait(&error, &mut tries, rng).await?,
                Err(other) => self.wait(&ViewError::permanent(other), &mut tries, rng).await?,
            }
        }
        self.counters.skipped();
        Ok(None)
    }

    /// Waits before the next attempt, or gives up.
    async fn wait(&self, error: &ViewError, attempts: &mut u32, rng: &mut Rng) -> Result<(), Error> {
        *attempts += 1;
        if !error.retryable || *attempts >= self.settings.attempts_max.max(1) {
            return Err(Error::View { projection: Arc::clone(&self.name), source: error.clone() });
        }
        tracing::debug!(projection = &*self.name, %error, attempts, "a view failed, trying again");
        tokio::time::sleep(self.settings.backoff.delay(*attempts - 1, rng)).await;
        Ok(())
    }
}
