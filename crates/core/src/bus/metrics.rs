use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tokio::sync::Notify;

/// What a topic has carried.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TopicMetrics {
    /// The topic's name.
    pub topic: Arc<str>,
    /// How many messages were published.
    pub published: u64,
    /// Those who are subscribed now.
    pub subscriptions: Vec<SubscriptionMetrics>,
}

/// What became of the messages of one subscription.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SubscriptionMetrics {
    /// The subscriber's name.
    pub subscriber: Arc<str>,
    /// How many messages wait or are being handled.
    pub depth: u64,
    /// How many may wait, besides the one being handled.
    pub capacity: usize,
    /// How many were taken by hand or handled well.
    pub delivered: u64,
    /// How many attempts were repetitions.
    pub redelivered: u64,
    /// How many became dead letters.
    pub dead: u64,
}

/// The same counts for one subscription, or for all of a bus together.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) accepted: AtomicU64,
    pub(super) delivered: AtomicU64,
    pub(super) redelivered: AtomicU64,
    pub(super) dead: AtomicU64,
    pub(super) abandoned: AtomicU64,
}

impl Counters {
    pub(super) fn depth(&self) -> u64 {
        // What has ended is read before what has begun, so that the difference is never negative.
        let ended = get(&self.delivered) + get(&self.dead) + get(&self.abandoned);
        get(&self.accepted).saturating_sub(ended)
    }
}

pub(super) fn get(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Acquire)
}

/// Where a subscription counts: for itself and for its bus.
#[derive(Debug)]
pub(super) struct Ledger {
    pub(super) own: Counters,
    pub(super) bus: Arc<Totals>,
    /// The subscription has been dropped: a publisher that already has room for it must not send.
    pub(super) gone: AtomicBool,
}

/// The counts of a bus, and a bell that rings when a message has ended.
#[derive(Debug, Default)]
pub(super) struct Totals {
    pub(super) counters: Counters,
    pub(super) ended: Notify,
}

impl Ledger {
    pub(super) fn accept(&self) {
        self.add(|counters| &counters.accepted, 1);
    }

    pub(super) fn redeliver(&self) {
        self.add(|counters| &counters.redelivered, 1);
    }

    pub(super) fn deliver(&self) {
        self.end(|counters| &counters.delivered, 1);
    }

    pub(super) fn bury(&self) {
        self.end(|counters| &counters.dead, 1);
    }

    pub(super) fn abandon(&self, messages: u64) {
        self.end(|counters| &counters.abandoned, messages);
    }

    fn end(&self, which: fn(&Counters) -> &AtomicU64, messages: u64) {
        self.add(which, messages);
        self.bus.ended.notify_waiters();
    }

    fn add(&self, which: fn(&Counters) -> &AtomicU64, messages: u64) {
        which(&self.own).fetch_add(messages, Ordering::AcqRel);
        which(&self.bus.counters).fetch_add(messages, Ordering::AcqRel);
    }
}
