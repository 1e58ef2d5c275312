//! Two topics as one subscription, handled in batches: each topic keeps its order.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use steadfast_core::bus::{Options, Select};
use steadfast_core::delivery::{Delivery, Handling};
use tokio::task::JoinSet;
use tower::service_fn;

use crate::trouble::{self, Trouble, come_and_go};
use crate::{Count, Soak};

const TOPICS: [&str; 2] = ["urgent", "usual"];

pub(crate) struct Batches {
    published: Count,
    handled: Count,
    tasks: JoinSet<()>,
}

impl Batches {
    pub(crate) fn start(soak: &Soak) -> Self {
        let topics = TOPICS.map(|name| soak.bus.topic::<(usize, u64)>(name).expect("a new bus"));
        let handling = Handling {
            redelivery: trouble::redelivery(u32::MAX, soak.seed.derive("batches")),
            ..Handling::default()
        };
        let subscription = Select::new("archive")
            .topic(&topics[0], 0, Options::new(128))
            .topic(&topics[1], 1, Options::new(128))
            .subscribe()
            .expect("an open bus")
            .handling(handling);
        let (published, handled) = (Count::default(), Count::default());
        let mut tasks = JoinSet::new();
        for (index, topic) in topics.into_iter().enumerate() {
            let (stop, count) = (soak.stop.clone(), published.clone());
            tasks.spawn(async move {
                let mut number = 0;
                while !stop.is_cancelled() {
                    topic.publish((index, number)).await.expect("an open bus");
                    number += 1;
                    count.add(1);
                }
            });
        }
        let next = Arc::new(Mutex::new([0_u64; TOPICS.len()]));
        let (soak, counted) = (soak.clone(), handled.clone());
        tasks.spawn(async move {
            let handler = |batch: Vec<Delivery<(usize, u64)>>| {
                let (soak, next, counted) = (soak.clone(), Arc::clone(&next), counted.clone());
                async move {
                    let first = &batch[0];
                    if !soak.is_calm() {
                        let (number, attempt) = (first.payload().1, u64::from(first.attempt()));
                        Trouble::draw(soak.seed, number, attempt).passing().happen().await?;
                    }
                    for delivery in &batch {
                        let (topic, number) = *delivery.payload();
                        let next = std::mem::replace(&mut next.lock()[topic], number + 1);
                        soak.assert(number == next, || {
                            format!("batches: {number} of {topic} came for {next}")
                        });
                    }
                    counted.add(batch.len() as u64);
                    Ok::<_, trouble::Failure>(())
                }
            };
            let run = || subscription.run_batches(service_fn(handler), 32, Duration::from_micros(200));
            come_and_go(soak.seed.stream("batch runs"), run).await;
        });
        Self { published, handled, tasks }
    }

    pub(crate) async fn end(mut self, soak: &Soak, took: Duration) {
        while self.tasks.join_next().await.is_some() {}
        let (published, handled) = (self.published.get(), self.handled.get());
        eprintln!("batches: {published} messages, {:.0}/s", published as f64 / took.as_secs_f64());
        soak.assert(published == handled, || format!("batches: {handled} of {published}"));
    }
}
