use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::delivery::{Envelope, Inlet, Message, Settled};

/// An inlet that is fed by a test and remembers what became of each message.
#[derive(Default)]
pub(super) struct Feed {
    waiting: Mutex<std::collections::VecDeque<Envelope<u64, u64>>>,
    settled: Mutex<Vec<(u64, Settled)>>,
    ended: AtomicBool,
    bell: Notify,
}

impl Feed {
    /// Makes an inlet that holds `messages`, each its own ticket, and has ended behind them.
    pub(super) fn of(messages: impl IntoIterator<Item = Message<u64>>) -> std::sync::Arc<Self> {
        let feed = Self::default();
        messages.into_iter().for_each(|message| feed.push(message));
        feed.end();
        std::sync::Arc::new(feed)
    }

    pub(super) fn push(&self, message: impl Into<Message<u64>>) {
        let message = message.into();
        self.waiting.lock().push_back(Envelope { ticket: *message.payload(), message, attempts: 0 });
        self.bell.notify_waiters();
    }

    pub(super) fn end(&self) {
        self.ended.store(true, Ordering::SeqCst);
        self.bell.notify_waiters();
    }

    pub(super) fn settled(&self) -> Vec<(u64, Settled)> {
        self.settled.lock().clone()
    }

    pub(super) fn with(&self, fate: Settled) -> Vec<u64> {
        self.settled.lock().iter().filter(|(_, settled)| *settled == fate).map(|(id, _)| *id).collect()
    }
}

impl Inlet<u64> for Feed {
    type Ticket = u64;

    async fn draw(&self, max: usize, into: &mut Vec<Envelope<u64, u64>>) -> usize {
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

    fn settle(&self, ticket: u64, settled: Settled) {
        self.settled.lock().push((ticket, settled));
    }
}
