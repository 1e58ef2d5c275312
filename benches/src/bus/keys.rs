//! Many keys, handled at the same time with order within each key, and without.

use std::convert::Infallible;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use steadfast_base::Deadline;
use steadfast_core::bus::{Bus, Delivery, Message};
use steadfast_core::delivery::{Handling, Order};

use super::{MESSAGES, Payload, ROOM};

const KEYS: usize = 100_000;
/// How many handlers may be at work.
const CONCURRENCY: usize = 64;

pub(super) async fn handle(order: Order) -> Duration {
    let keys: Vec<Arc<str>> = (0..KEYS).map(|key| format!("key-{key}").into()).collect();
    let bus = Bus::new();
    let topic = bus.topic::<Payload>("bench").expect("the bus is open");
    let handling = Handling { order, concurrency: CONCURRENCY, ..Handling::default() };
    let subscription = topic.subscribe("bench", ROOM).expect("the bus is open").handling(handling);
    let start = Instant::now();
    let consumer = tokio::spawn(async move {
        let handler = |delivery: Delivery<Payload>| async move {
            // A handler that never waits would never be one of several.
            tokio::task::yield_now().await;
            black_box(&delivery);
            Ok::<_, Infallible>(())
        };
        subscription.run_fn(handler).await;
    });
    let producer = tokio::spawn(async move {
        for key in keys.iter().cycle().take(MESSAGES as usize) {
            let message = Message::new([0; 64]).partition_key(Arc::clone(key));
            let _ = topic.publish(message).await;
        }
    });
    let _ = producer.await;
    bus.close(Deadline::within(Duration::from_secs(60))).await;
    let _ = consumer.await;
    start.elapsed()
}
