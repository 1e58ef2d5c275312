use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::delivery::{Envelope, Inlet, Message, Settled};

/// An inlet that is fed by a test and remembers what became of each message. The ticket of a message is its number
/// in the order in which they came.
pub(super) struct Feed<T = u64> {
    waiting: Mutex<VecDeque<Envelope<T, usize>>>,
    came: Mutex<Vec<T>>,
    settled: Mutex<Vec<(usize, Settled)>>,
    ended: AtomicBool,
    bell: Notify,
}

impl<T> Default for Feed<T> {
    fn default() -> Self {
        Self {
            waiting: Mutex::default(),
            came: Mutex::default(),
            settled: Mutex::default(),
            ended: AtomicBool::new(false),
            bell: Notify::new(),
        }
    }
}

impl<T: Clone> Feed<T> {
    /// Makes an inlet that holds `messages` and has ended behind them.
    pub(super) fn of(messages: impl IntoIterator<Item = Message<T>>) -> Arc<Self> {
        let feed = Self::default();
        messages.into_iter().for_each(|message| feed.push(message));
        feed.end();
        Arc::new(feed)
    }

    pub(super) fn push(&self, message: impl Into<Message<T>>) {
        let message = message.into();
        let ticket = {
            let mut came = self.came.lock();
            came.push(message.payload().clone());
            came.len() - 1
        };
        self.waiting.lock().push_back(Envelope { message, ticket, attempts: 0 });
        self.bell.notify_waiters();
    }

    pub(super) fn end(&self) {
        self.ended.store(true, Ordering::SeqCst);
        self.bell.notify_waiters();
    }

    /// Returns what became of each message, in the order of settling.
    pub(super) fn settled(&self) -> Vec<(T, Settled)> {
        let came = self.came.lock();
        self.settled.lock().iter().map(|(ticket, settled)| (came[*ticket].clone(), *settled)).collect()
    }

    /// Returns those that this became of, in the order of settling.
    pub(super) fn with(&self, fate: Settled) -> Vec<T> {
        let settled = self.settled().into_iter();
        settled.filter(|(_, settled)| *settled == fate).map(|(payload, _)| payload).collect()
    }

    /// Returns what became of the messages, in the order in which they came.
    pub(super) fn fates(&self) -> Vec<Settled> {
        let mut settled = self.settled.lock().clone();
        settled.sort_by_key(|(ticket, _)| *ticket);
        settled.into_iter().map(|(_, settled)| settled).collect()
    }
}

impl<T: Clone + Send + Sync + 'static> Inlet<T> for Feed<T> {
    type Ticket = usize;

    async fn draw(&self, max: usize, into: &mut Vec<Envelope<T, usize>>) -> usize {
        loop {
            let bell = self.bell.notified();
            tokio::pin!(bell);
            bell.as_mut().enable();
            {
                let mut waiting = self.waiting.lock();
                if !waiting.is_empty() {
                    let count = max.min(waiting.len());
                    into.extend(waiting.drain(..count));
                    return count;
                }
                if self.ended.load(Ordering::SeqCst) {
                    return 0;
                }
            }
            bell.await;
        }
    }

    fn settle(&self, ticket: usize, settled: Settled) {
        self.settled.lock().push((ticket, settled));
    }
}
