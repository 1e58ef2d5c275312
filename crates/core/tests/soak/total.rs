//! Order `Total`: each publisher's messages come one after the other, though some attempts fail and runs are dropped.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use steadfast_core::bus::Message;
use steadfast_core::delivery::{Delivery, Handling};
use tokio::task::JoinSet;

use crate::trouble::{self, Trouble, come_and_go};
use crate::{Count, Soak};

const PUBLISHERS: usize = 3;

#[derive(Clone)]
struct Work {
    publisher: usize,
    number: u64,
}

pub(crate) struct Total {
    published: Count,
    handled: Count,
    tasks: JoinSet<()>,
}

impl Total {
    pub(crate) fn start(soak: &Soak) -> Self {
        let topic = soak.bus.topic::<Work>("total").expect("a new bus");
        let handling = Handling {
            redelivery: trouble::redelivery(u32::MAX, soak.seed.derive("total")),
            ..Handling::default()
        };
        let subscription = topic.subscribe("ledger", 1024).expect("an open bus").handling(handling);
        let (published, handled) = (Count::default(), Count::default());
        let mut tasks = JoinSet::new();
        for publisher in 0..PUBLISHERS {
            let (topic, stop, published) = (topic.clone(), soak.stop.clone(), published.clone());
            tasks.spawn(async move {
                let mut number = 0;
                let mut batch = VecDeque::new();
                while !stop.is_cancelled() {
                    // The first publishes one by one, the others in batches.
                    if publisher == 0 {
                        topic.publish(Work { publisher, number }).await.expect("an open bus");
                    } else {
                        let numbers = number..number + 64;
                        batch.extend(numbers.map(|number| Message::new(Work { publisher, number })));
                        topic.publish_batch(&mut batch).await.expect("an open bus");
                    }
                    let size = if publisher == 0 { 1 } else { 64 };
                    number += size;
                    published.add(size);
                }
            });
        }
        let last = Arc::new(Mutex::new([0_u64; PUBLISHERS]));
        let (soak, counted) = (soak.clone(), handled.clone());
        tasks.spawn(async move {
            let handler = |delivery: Delivery<Work>| {
                let (soak, last, counted) = (soak.clone(), Arc::clone(&last), counted.clone());
                async move {
                    let Work { publisher, number } = *delivery.payload();
                    // One message in about 500 meets trouble, for under this order all others wait for it.
                    if number % 512 == 7 && !soak.is_calm() {
                        Trouble::draw(soak.seed, number, u64::from(delivery.attempt()))
                            .passing()
                            .happen()
                            .await?;
                    }
                    let next = std::mem::replace(&mut last.lock()[publisher], number + 1);
                    soak.assert(number == next, || format!("total: {number} of {publisher} came for {next}"));
                    counted.add(1);
                    Ok::<_, trouble::Failure>(())
                }
            };
            come_and_go(soak.seed.stream("total runs"), || subscription.run_fn(handler)).await;
        });
        Self { published, handled, tasks }
    }

    pub(crate) async fn end(self, soak: &Soak, took: Duration) {
        let _ = self.tasks.join_all().await;
        let (published, handled) = (self.published.get(), self.handled.get());
        eprintln!("total: {published} messages, {:.0}/s", published as f64 / took.as_secs_f64());
        soak.assert(published == handled, || format!("total: {handled} of {published}"));
    }
}
