//! What is done with messages that no handler sees: dead ones are kept, those behind them parked, and letters that
//! were replayed removed.

use std::sync::Arc;

use futures::future::BoxFuture;
use tokio::time::Instant;

use super::cause::Failed;
use super::item::{Item, Origin};
use super::letters::{Fate, LetterId, LetterQuery};
use super::shared::{FAR, Shared};
use super::table::{Call, Chore, End, Entry, Table};
use super::{Cause, Inlet, Order, Settled};

const UNCHOSEN: &str = "dead letters are only logged, so no key is parked: messages are handled past a dead one of \
    their key; set `Handling::dead_letters` (`LoggedDeadLetters` says that this is meant)";

/// What a chore has come to.
pub(super) enum Kept {
    Dead(LetterId),
    Parked(LetterId),
    /// A letter was handled and is removed.
    Removed,
    /// A letter could not be handled and says so.
    Amended,
}

impl<T: Clone + Send + Sync + 'static, I: Inlet<T>> Shared<T, I> {
    /// Tells the table how a call ended.
    pub(super) fn finish(
        &self,
        table: &mut Table<T, I::Ticket>,
        call: &Call,
        result: Result<(), Failed>,
        now: Instant,
    ) {
        table.returned(call);
        let Err(failed) = result else {
            for member in call.members() {
                self.handled(table, member);
            }
            return;
        };
        self.counters.failures.add(call.len() as u64);
        let attempts = table.entries[call.first].item().attempts;
        let backoff = self.handling.redelivery.backoff;
        let wait = backoff.delay(attempts.saturating_sub(1), &mut table.rng).max(failed.retry_after).min(FAR);
        tracing::debug!(destination = &*self.destination, attempts, cause = %failed.cause, "a handler failed");
        let first_failed = self.now();
        for member in call.members() {
            let entry = &mut table.entries[member];
            entry.first_failed.get_or_insert(first_failed);
            entry.cause = Some(failed.cause.clone());
            if !failed.retryable {
                entry.end = End::Dead;
            }
        }
        // The followers first, for once the head proceeds it may take its followers with it.
        for member in call.members().rev() {
            table.put_back(member, Some(now + wait));
        }
    }

    fn handled(&self, table: &mut Table<T, I::Ticket>, index: u32) {
        if table.entries[index].item().letter().is_some() {
            table.entries[index].end = End::Handled;
            table.proceed(index);
            return;
        }
        self.counters.handled.add(1);
        self.leave(table, index, Settled::Handled);
    }

    /// Settles a message and lets the next one of its key proceed.
    fn leave(&self, table: &mut Table<T, I::Ticket>, index: u32, settled: Settled) {
        // IMPORTANT: Settle before the next one proceeds, so that messages of a key are settled in their order. The
        // ticket is taken by releasing, but nobody takes the next one up while the table is locked.
        if let Some(Item { origin, .. }) = table.release(index) {
            match origin {
                Origin::Inlet(ticket) => self.inlet.settle(ticket, settled),
                // Whoever replays may have gone.
                Origin::Letter(letter) => {
                    let _ = letter.reply.send(settled == Settled::Handled);
                }
            }
        }
    }

    /// Does a chore.
    pub(super) fn keep<'a>(
        &'a self,
        entry: &Entry<T, I::Ticket>,
        index: u32,
        chore: Chore,
    ) -> BoxFuture<'a, (u32, Kept)> {
        let item = entry.item();
        match (chore, item.letter()) {
            (Chore::Bury, letter) => {
                let first_failed = entry.first_failed.unwrap_or_else(|| self.now());
                let fate = item.dead(entry.cause.clone().unwrap_or(Cause::Dropped), first_failed);
                let letter = letter.ok_or_else(|| self.letter(&item.message, fate.clone()));
                Box::pin(async move {
                    match letter {
                        Ok(id) => {
                            self.amend(id, &fate).await;
                            (index, Kept::Amended)
                        }
                        Err(letter) => (index, Kept::Dead(self.put(&letter).await)),
                    }
                })
            }
            (Chore::Park, _) => {
                let letter = self.letter(&item.message, Fate::Parked);
                Box::pin(async move { (index, Kept::Parked(self.put(&letter).await)) })
            }
            (Chore::Remove, id) => Box::pin(async move {
                if let Some(id) = id {
                    self.remove(id).await;
                }
                (index, Kept::Removed)
            }),
        }
    }

    /// Tells the table what a chore has come to.
    pub(super) fn kept(&self, table: &mut Table<T, I::Ticket>, index: u32, kept: Kept) {
        let key = table.entries[index].item().message.about().partition_key.clone();
        match (kept, key) {
            (Kept::Dead(id), key) => {
                if let Some(key) = key.filter(|_| self.handling.parks()) {
                    table.parked.kept(&key, id);
                }
                self.counters.dead.add(1);
                self.leave(table, index, Settled::Dead);
            }
            (Kept::Parked(id), key) => {
                if let Some(key) = key {
                    table.parked.unreserve(&key);
                    table.parked.kept(&key, id);
                }
                self.counters.parked.add(1);
                self.leave(table, index, Settled::Parked);
                self.parked_changed.notify_waiters();
            }
            (Kept::Removed, key) => {
                self.counters.replayed.add(1);
                if let Some(key) = key {
                    table.parked.removed(&key);
                    for held in table.parked.waiting_for_room() {
                        table.proceed(held);
                    }
                }
                self.leave(table, index, Settled::Handled);
            }
            (Kept::Amended, _) => self.leave(table, index, Settled::Dead),
        }
    }

    /// Tells the table that a chore was dropped before it was done.
    pub(super) fn unkept(&self, table: &mut Table<T, I::Ticket>, index: u32, chore: Chore) {
        if chore == Chore::Park {
            let key = table.entries[index].item().message.about().partition_key.clone();
            table.parked.unreserve(key.as_deref().unwrap_or_default());
            self.parked_changed.notify_waiters();
        }
        table.proceed(index);
    }

    /// Learns which keys have letters from before, once.
    pub(super) async fn find_parked(&self) {
        let find = || async {
            if self.handling.parks() {
                self.list_parked().await;
            } else if self.handling.order == Order::PerKey && self.handling.dead_letters.is_unchosen() {
                let (destination, subscriber) = (&*self.destination, &*self.subscriber);
                tracing::warn!(destination, subscriber, "{UNCHOSEN}");
            }
        };
        self.parked_known.get_or_init(find).await;
    }

    async fn list_parked(&self) {
        const PAGE: usize = 256;
        let mut select = LetterQuery {
            destination: Some(Arc::clone(&self.destination)),
            subscriber: Some(Arc::clone(&self.subscriber)),
            limit: PAGE,
            ..LetterQuery::default()
        };
        loop {
            let letters = self.list(&select).await;
            let mut table = self.table.lock();
            for letter in &letters {
                if let Some(key) = &letter.message.about().partition_key {
                    table.parked.kept(key, letter.id);
                }
                select.after = letter.id;
            }
            if letters.len() < PAGE {
                return;
            }
        }
    }
}
