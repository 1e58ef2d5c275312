//! The bus, from `publish` to the handler.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::hint::black_box;
use std::time::{Duration, Instant};

use steadfast_base::Deadline;
use steadfast_core::bus::{Bus, Message, Topic};
use tokio::task::JoinSet;

use super::{MESSAGES, Payload, ROOM};

/// Publishes one at a time by `producers` tasks and handles by one.
pub(super) async fn publish(producers: u64) -> Duration {
    carry(producers, |topic| async move {
        for number in 0..MESSAGES / producers {
            let _ = topic.publish([number as u8; 64]).await;
        }
    })
    .await
}

/// Publishes `size` at a time.
pub(super) async fn publish_batches(producers: u64, size: u64) -> Duration {
    carry(producers, |topic| async move {
        let mut batch = VecDeque::new();
        for _ in 0..MESSAGES / producers / size {
            batch.extend((0..size).map(|number| Message::new([number as u8; 64])));
            let _ = topic.publish_batch(&mut batch).await;
        }
    })
    .await
}

async fn carry<F>(producers: u64, produce: impl Fn(Topic<Payload>) -> F) -> Duration
where
    F: Future<Output = ()> + Send + 'static,
{
    let start = Instant::now();
    let bus = Bus::new();
    let topic = bus.topic::<Payload>("bench").expect("the bus is open");
    let subscription = topic.subscribe("bench", ROOM).expect("the bus is open");
    let consumer = tokio::spawn(async move {
        let handler = |delivery| async move {
            black_box(&delivery);
            Ok::<_, Infallible>(())
        };
        subscription.run_fn(handler).await;
    });
    let mut tasks = JoinSet::new();
    for _ in 0..producers {
        tasks.spawn(produce(topic.clone()));
    }
    tasks.join_all().await;
    bus.close(Deadline::within(Duration::from_secs(60))).await;
    let _ = consumer.await;
    start.elapsed()
}
