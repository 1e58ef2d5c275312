//! The topics of a bus.

use std::sync::Weak;

use serde_json::{Value, json};
use steadfast_core::bus::{Bus, SubscriptionMetrics, TopicMetrics};

use super::Diagnose;

/// How many topics, and how many subscriptions of one, are shown.
const SHOWN_MAX: usize = 256;

/// A bus that may be gone.
pub(super) struct Topics {
    pub(super) name: Box<str>,
    pub(super) bus: Weak<Bus>,
}

impl Diagnose for Topics {
    fn kind(&self) -> &'static str {
        "topics"
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn snapshot(&self) -> Value {
        let topics = self.bus.upgrade().map(|bus| bus.metrics()).unwrap_or_default();
        json!({"topics": topics.iter().take(SHOWN_MAX).map(topic).collect::<Vec<_>>()})
    }
}

fn topic(topic: &TopicMetrics) -> Value {
    json!({
        "topic": &*topic.topic,
        "published": topic.published,
        "subscriptions": topic.subscriptions.iter().take(SHOWN_MAX).map(subscription).collect::<Vec<_>>(),
    })
}

fn subscription(seen: &SubscriptionMetrics) -> Value {
    json!({
        "subscriber": &*seen.subscriber,
        "queued": seen.depth,
        "capacity": seen.capacity,
        "lag": seen.lag,
        "oldestAgeMs": seen.oldest_age.map(|age| age.as_millis() as u64),
        "handled": seen.handled,
        "redelivered": seen.redelivered,
        "dropped": seen.dropped,
        "rejected": seen.rejected,
        "dead": seen.dead,
        "parked": seen.parked,
    })
}
