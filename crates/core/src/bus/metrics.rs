use std::sync::Arc;
use std::time::Duration;

use super::hub::{Counts, get};

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

/// What became of the messages of one subscription, of one topic.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SubscriptionMetrics {
    /// The subscriber's name.
    pub subscriber: Arc<str>,
    /// How many messages wait in the queue.
    pub depth: u64,
    /// How many may wait, in each lane.
    pub capacity: usize,
    /// How many messages wait or are being handled.
    pub lag: u64,
    /// How long the message that waits longest has been waiting. It may be told too long, by no more than the time in
    /// which 64 messages came or the time between two looks of the consumer, whichever is shorter.
    pub oldest_age: Option<Duration>,
    /// How many were taken by hand or handled well.
    pub handled: u64,
    /// How many attempts were repetitions.
    pub redelivered: u64,
    /// How many were lost to a queue that was full.
    pub dropped: u64,
    /// How many could not be published because this queue was full and rejects them.
    pub rejected: u64,
    /// How many became dead letters.
    pub dead: u64,
    /// How many were parked behind a dead letter of their key.
    pub parked: u64,
}

impl From<Counts> for SubscriptionMetrics {
    fn from(counts: Counts) -> Self {
        let tally = &counts.tally;
        Self {
            subscriber: counts.subscriber,
            depth: counts.queued as u64,
            capacity: counts.capacity,
            lag: counts.unended,
            oldest_age: counts.oldest.map(|since| since.elapsed()),
            handled: get(&tally.handled),
            redelivered: get(&tally.redelivered),
            dropped: counts.dropped,
            rejected: counts.rejected,
            dead: get(&tally.dead),
            parked: get(&tally.parked),
        }
    }
}
