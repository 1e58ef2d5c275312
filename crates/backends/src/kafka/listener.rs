use std::sync::Arc;
use std::time::Duration;

use krafka::consumer::{ConsumerRebalanceListener, TopicPartition};
use tokio::time::{Instant, timeout_at};

use super::receiver::Shared;

/// Hears which partitions come and go, while the driver keeps the group waiting.
pub(super) struct Listener {
    shared: Arc<Shared>,
    hand_over_within: Duration,
}

impl Listener {
    pub(super) fn new(shared: Arc<Shared>, hand_over_within: Duration) -> Self {
        Self { shared, hand_over_within }
    }
}

fn numbers(partitions: &[TopicPartition]) -> Vec<i32> {
    partitions.iter().map(|partition| partition.partition).collect()
}

impl ConsumerRebalanceListener for Listener {
    async fn on_partitions_assigned(&self, partitions: &[TopicPartition]) {
        tracing::debug!(?partitions, "partitions were assigned");
        let mut holdings = self.shared.holdings.lock();
        numbers(partitions).into_iter().for_each(|partition| holdings.assign(partition));
    }

    /// Waits until the events of the partitions are settled, so that no key is with two receivers at a time, but not
    /// for ever.
    async fn on_partitions_revoked(&self, partitions: &[TopicPartition]) {
        tracing::debug!(?partitions, "partitions are leaving");
        let (numbers, until) = (numbers(partitions), Instant::now() + self.hand_over_within);
        self.shared.holdings.lock().leave(&numbers);
        let settled = async {
            loop {
                let settled = self.shared.settled.notified();
                tokio::pin!(settled);
                settled.as_mut().enable();
                if !self.shared.holdings.lock().is_busy(&numbers) {
                    break;
                }
                settled.await;
            }
        };
        let settled = self.shared.closing().run_until_cancelled(settled);
        let in_time = timeout_at(until, settled).await.is_ok_and(|settled| settled.is_some());
        // What this fails to tell comes again at the new owner.
        let committed = timeout_at(until + self.hand_over_within, self.shared.commit()).await;
        let told = matches!(committed, Ok(Ok(())));
        if !(self.shared.is_closing() || in_time && told) {
            tracing::warn!(?partitions, in_time, "partitions left with events that will come again");
        }
        self.shared.holdings.lock().forget(&numbers);
    }

    async fn on_partitions_lost(&self, partitions: &[TopicPartition]) {
        tracing::warn!(?partitions, "partitions were lost: events in flight will come again");
        self.shared.holdings.lock().forget(&numbers(partitions));
    }
}
