//! No order, two lanes, many handlers at the same time, competing consumers that come and go.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use steadfast_core::bus::{Message, Options};
use steadfast_core::delivery::{Delivery, Handling, Order};
use tokio::task::JoinSet;

use crate::trouble::{self, Trouble, come_and_go};
use crate::{Count, Soak};

pub(crate) struct Lanes {
    published: Count,
    handled: Count,
    /// The numbers of all that were handled, added up; with the count it tells a loss and a repetition apart.
    sum: Arc<AtomicU64>,
    publisher: JoinSet<()>,
    consumers: JoinSet<()>,
}

impl Lanes {
    pub(crate) fn start(soak: &Soak) -> Self {
        let topic = soak.bus.topic::<u64>("lanes").expect("a new bus");
        let options = Options::new(256)
            .lanes(2, 8, |message: &Message<u64>| usize::from(!message.payload().is_multiple_of(10)));
        let handling = Handling {
            order: Order::None,
            concurrency: 32,
            redelivery: trouble::redelivery(u32::MAX, soak.seed.derive("lanes")),
            ..Handling::default()
        };
        let subscription = topic.subscribe_with("anybody", options).expect("an open bus").handling(handling);
        let (published, handled, sum) = (Count::default(), Count::default(), Arc::new(AtomicU64::new(0)));

        let (stop, count) = (soak.stop.clone(), published.clone());
        let mut publisher = JoinSet::new();
        publisher.spawn(async move {
            while !stop.is_cancelled() {
                topic.publish(count.get()).await.expect("an open bus");
                count.add(1);
            }
        });
        let mut consumers = JoinSet::new();
        for consumer in 0..3 {
            let (soak, counted, sum) = (soak.clone(), handled.clone(), Arc::clone(&sum));
            let subscription = subscription.competitor();
            consumers.spawn(async move {
                let handler = |delivery: Delivery<u64>| {
                    let (soak, counted, sum) = (soak.clone(), counted.clone(), Arc::clone(&sum));
                    async move {
                        let number = *delivery.payload();
                        if !soak.is_calm() {
                            let attempt = u64::from(delivery.attempt());
                            Trouble::draw(soak.seed, number, attempt).passing().happen().await?;
                        }
                        sum.fetch_add(number, Ordering::Relaxed);
                        counted.add(1);
                        Ok::<_, trouble::Failure>(())
                    }
                };
                // A handle of its own each time, as a consumer that comes anew has.
                let run = || {
                    let handle = subscription.competitor();
                    async move { handle.run_fn(handler).await }
                };
                come_and_go(soak.seed.stream(&format!("lane runs {consumer}")), run).await;
            });
        }
        Self { published, handled, sum, publisher, consumers }
    }

    pub(crate) async fn end(mut self, soak: &Soak, took: Duration) {
        while self.publisher.join_next().await.is_some() {}
        while self.consumers.join_next().await.is_some() {}
        let (published, handled) = (self.published.get(), self.handled.get());
        eprintln!("lanes: {published} messages, {:.0}/s", published as f64 / took.as_secs_f64());
        soak.assert(published == handled, || format!("lanes: {handled} of {published}"));
        let numbers = u128::from(published) * u128::from(published.saturating_sub(1)) / 2;
        let sum = self.sum.load(Ordering::Relaxed);
        soak.assert(u128::from(sum) == numbers, || format!("lanes: the sum is {sum}, not {numbers}"));
    }
}
