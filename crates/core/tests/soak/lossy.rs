//! Queues that drop and queues that reject: what is lost is counted, what is not stays in order.

use std::time::Duration;

use steadfast_core::bus::{Error, Options, Overflow, SubscriptionMetrics};
use tokio::task::JoinSet;

use crate::{Count, Soak};

pub(crate) struct Lossy {
    published: Count,
    rejected: Count,
    taken: [Count; 3],
    tasks: JoinSet<()>,
}

const OVERFLOWS: [Overflow; 3] = [Overflow::DropOldest, Overflow::DropNewest, Overflow::RejectNew];

impl Lossy {
    pub(crate) fn start(soak: &Soak) -> Self {
        let topic = soak.bus.topic::<u64>("lossy").expect("a new bus");
        let [published, rejected] = std::array::from_fn(|_| Count::default());
        let taken: [Count; 3] = std::array::from_fn(|_| Count::default());
        let mut tasks = JoinSet::new();
        for (overflow, taken) in OVERFLOWS.into_iter().zip(&taken) {
            let options = Options::new(64).overflow(overflow);
            let mut subscription =
                topic.subscribe_with(format!("{overflow:?}"), options).expect("an open bus");
            let (soak, taken) = (soak.clone(), taken.clone());
            tasks.spawn(async move {
                let mut next = 0;
                while let Some(delivery) = subscription.next().await {
                    let number = *delivery.payload();
                    soak.assert(number >= next, || {
                        format!("lossy: {number} came for {next} with {overflow:?}")
                    });
                    next = number + 1;
                    taken.add(1);
                    // Now and then too slow for its queue.
                    if number.is_multiple_of(256) {
                        tokio::time::sleep(Duration::from_millis(1)).await;
                    }
                }
            });
        }
        let (stop, count, refused) = (soak.stop.clone(), published.clone(), rejected.clone());
        let soak = soak.clone();
        tasks.spawn(async move {
            let mut number = 0;
            while !stop.is_cancelled() {
                match topic.publish(number).await {
                    Ok(_) => count.add(1),
                    Err(Error::Full { .. }) => {
                        refused.add(1);
                        tokio::task::yield_now().await;
                    }
                    Err(error) => soak.assert(false, || format!("lossy: {error}")),
                }
                number += 1;
            }
            let metrics = || {
                let topic = soak.bus.metrics().into_iter().find(|topic| &*topic.topic == "lossy");
                topic.map_or_else(Vec::new, |topic| topic.subscriptions)
            };
            while metrics().iter().any(|queue| queue.lag > 0) {
                tokio::task::yield_now().await;
            }
            check(&soak, &metrics(), count.get(), refused.get());
        });
        Self { published, rejected, taken, tasks }
    }

    pub(crate) async fn end(mut self, soak: &Soak, took: Duration) {
        while self.tasks.join_next().await.is_some() {}
        let (published, rejected) = (self.published.get(), self.rejected.get());
        let taken = self.taken.each_ref().map(Count::get);
        eprintln!(
            "lossy: {published} messages, {:.0}/s, {rejected} rejected; taken {taken:?}",
            published as f64 / took.as_secs_f64()
        );
        soak.assert(taken[2] == published, || format!("lossy: {taken:?} of {published}"));
    }
}

fn check(soak: &Soak, queues: &[SubscriptionMetrics], published: u64, rejected: u64) {
    soak.assert(queues.len() == OVERFLOWS.len(), || format!("lossy: {queues:?}"));
    for queue in queues {
        let holds = queue.handled + queue.dropped == published;
        let rejects = queue.rejected == if &*queue.subscriber == "RejectNew" { rejected } else { 0 };
        soak.assert(holds && rejects, || format!("lossy: {queue:?} of {published}, {rejected} rejected"));
    }
}
