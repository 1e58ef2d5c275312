//! Replay: letters go back to the handlers in order, each removed once it was handled.
//!
//! While a key's letters are replayed, messages of it that come are parked behind the last letter as before. When no
//! letter is left, its messages wait in hand instead; then what was just being parked is replayed too, and the key is
//! free. So nothing overtakes, and a replay does not hold up other keys however long it takes.

use std::sync::Arc;

use futures::StreamExt;
use futures::stream;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::item::{self, Item, Origin};
use super::letters::{Error, Fate, Letter, LetterQuery};
use super::shared::Shared;
use super::{Cause, Inlet, Order};

/// How many letters may be in hand at the same time, each of another key.
pub(super) const LETTERS_MAX: usize = 64;

/// Which letters to replay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Replay {
    /// All of the subscription.
    All,
    /// Those with this partition key.
    Key(Arc<str>),
}

/// What a replay has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Replayed {
    /// How many letters were handled and removed.
    pub handled: u64,
    /// How many failed again, and stay.
    pub failed: u64,
}

impl<T: Clone + Send + Sync + 'static, I: Inlet<T>> Shared<T, I> {
    pub(super) async fn replay(&self, which: Replay) -> Result<Replayed, Error> {
        let _turn = self.replaying.lock().await;
        // A replay that was dropped may have left letters in hand.
        drop(self.letters.acquire_many(LETTERS_MAX as u32).await);
        self.find_parked().await;
        let mut replayed = Replayed::default();
        if self.handling.order == Order::PerKey {
            let keys = match &which {
                Replay::Key(key) => vec![Arc::clone(key)],
                Replay::All => self.table.lock().parked.keys(),
            };
            // The keys are owned: a closure over references to them would keep the future from being spawned.
            let replays = keys.into_iter().map(|key| async move { self.replay_key(&key).await });
            let mut done = stream::iter(replays).buffer_unordered(LETTERS_MAX);
            while let Some(result) = done.next().await {
                replayed.add(result?);
            }
        }
        let key = match which {
            Replay::Key(key) => Some(key),
            Replay::All => None,
        };
        if self.handling.order != Order::PerKey || key.is_none() {
            replayed.add(self.replay_loose(key).await?);
        }
        Ok(replayed)
    }

    /// Replays letters that are in no order with others, or all under order `Total`.
    async fn replay_loose(&self, key: Option<Arc<str>>) -> Result<Replayed, Error> {
        const PAGE: usize = 256;
        let at_once = if self.handling.order == Order::Total { 1 } else { LETTERS_MAX };
        let mut replayed = Replayed::default();
        let mut select = self.select(key);
        select.limit = PAGE;
        loop {
            let mut letters = self.handling.dead_letters.list(&select).await?;
            let count = letters.len();
            select.after = letters.last().map_or(select.after, |last| last.id);
            if self.handling.order == Order::PerKey {
                letters.retain(|letter| letter.message.about().partition_key.is_none());
            }
            let mut answers =
                stream::iter(letters).map(|letter| self.offer(letter)).buffer_unordered(at_once);
            while let Some(is_handled) = answers.next().await {
                replayed.count(is_handled);
            }
            if count < PAGE {
                return Ok(replayed);
            }
        }
    }

    /// Replays the letters of one key until none is left or one fails.
    async fn replay_key(&self, key: &Arc<str>) -> Result<Replayed, Error> {
        let draining = Draining { shared: self, key };
        let mut replayed = Replayed::default();
        let mut select = self.select(Some(Arc::clone(key)));
        select.limit = 1;
        loop {
            if let Some(letter) = self.handling.dead_letters.list(&select).await?.pop() {
                // Were it handled and removed now, whoever is parking it might keep it a second time.
                if self.table.lock().parked.is_ahead(key, letter.id) {
                    draining.parked().await;
                    continue;
                }
                let is_handled = self.offer(letter).await;
                replayed.count(is_handled);
                if !is_handled {
                    return Ok(replayed);
                }
            } else if draining.is_free() {
                return Ok(replayed);
            } else {
                draining.parked().await;
            }
        }
    }

    fn select(&self, partition_key: Option<Arc<str>>) -> LetterQuery {
        LetterQuery {
            destination: Some(Arc::clone(&self.destination)),
            subscriber: Some(Arc::clone(&self.subscriber)),
            partition_key,
            ..LetterQuery::default()
        }
    }

    /// Gives a letter to the handlers and says whether it was handled.
    async fn offer(&self, letter: Letter<T>) -> bool {
        let Ok(permit) = Arc::clone(&self.letters).acquire_owned().await else { return false };
        let Letter { id, mut message, fate, .. } = letter;
        let before = match fate {
            Fate::Dead { attempts, first_failed, .. } => Some((attempts, first_failed)),
            Fate::Parked => None,
        };
        if let Some(upcast) = &self.handling.upcast {
            match upcast.upcast(message.payload) {
                Ok(payload) => message.payload = payload,
                Err(error) => {
                    let (attempts, first_failed) = before.unwrap_or_else(|| (0, self.now()));
                    let cause = Cause::NotUpcast { reason: error.reason };
                    self.amend(id, &Fate::Dead { cause, attempts, first_failed }).await;
                    return false;
                }
            }
        }
        let (reply, answer) = oneshot::channel();
        let replayed = item::Replayed { id, before, reply, _permit: permit };
        let item = Item { message, attempts: 0, origin: Origin::Letter(Box::new(replayed)) };
        if self.handling.order == Order::Total {
            self.offers.lock().push_back(item);
            self.offered.notify_one();
        } else {
            let mut table = self.table.lock();
            table.insert(item, Instant::now());
            table.wake_one();
        }
        answer.await.unwrap_or(false)
    }
}

/// A key that is being replayed. If that ends early, what waits for it is parked again.
struct Draining<'a, T: Clone + Send + Sync + 'static, I: Inlet<T>> {
    shared: &'a Shared<T, I>,
    key: &'a Arc<str>,
}

impl<T: Clone + Send + Sync + 'static, I: Inlet<T>> Draining<'_, T, I> {
    /// Frees the key if nothing was parked since its messages began to wait, or lets them wait from now on.
    fn is_free(&self) -> bool {
        let mut table = self.shared.table.lock();
        match table.parked.get_mut(self.key) {
            Some(parked) if parked.draining && !parked.parking => {
                let held = table.parked.free(self.key);
                table.unhold(held);
                // Letters that somebody took away by hand gave no room back until now.
                for held in table.parked.waiting_for_room() {
                    table.proceed(held);
                }
                table.wake_one();
                true
            }
            Some(parked) => {
                parked.draining = true;
                false
            }
            None => true,
        }
    }

    /// Waits until no message of the key is being parked.
    async fn parked(&self) {
        loop {
            let changed = self.shared.parked_changed.notified();
            tokio::pin!(changed);
            // Listen before looking, or the change could come in between.
            changed.as_mut().enable();
            if !self.shared.table.lock().parked.get_mut(self.key).is_some_and(|parked| parked.parking) {
                return;
            }
            changed.await;
        }
    }
}

impl<T: Clone + Send + Sync + 'static, I: Inlet<T>> Drop for Draining<'_, T, I> {
    fn drop(&mut self) {
        let mut table = self.shared.table.lock();
        if let Some(parked) = table.parked.get_mut(self.key)
            && std::mem::take(&mut parked.draining)
        {
            let held = parked.held.take();
            table.unhold(held);
            table.wake_one();
        }
    }
}

impl Replayed {
    fn count(&mut self, is_handled: bool) {
        if is_handled { self.handled += 1 } else { self.failed += 1 }
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.handled += other.handled;
        self.failed += other.failed;
    }
}
