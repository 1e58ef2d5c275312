//! How much memory a handler takes that waits.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use steadfast_core::bus::{Bus, Delivery};
use steadfast_core::delivery::{Handling, Order};
use tokio::task::JoinSet;

use super::Payload;
use crate::Row;
use crate::memory::resident;

const HANDLERS: usize = 100_000;
/// How many bytes each may take.
const WANTED: f64 = 2048.0;

pub(super) async fn bytes() -> anyhow::Result<Vec<Row>> {
    let at_work = measure(at_work()).await?;
    let idle = measure(idle()).await?;
    Ok(vec![
        row("bus, 100,000 handlers that wait", at_work, Some(1.0)),
        row("bus, 100,000 topics with a subscription each", idle, None),
    ])
}

fn row(name: &str, bytes: f64, ratio_wanted: Option<f64>) -> Row {
    Row {
        name: name.to_owned(),
        ours: bytes,
        peer: WANTED,
        peer_name: "what each may take".to_owned(),
        ratio: WANTED / bytes,
        ratio_wanted,
        unit: "bytes each".to_owned(),
    }
}

/// How many bytes of memory each handler has added, as the kernel counts them.
async fn measure<T>(make: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<f64> {
    let before = resident()?;
    let made = make.await?;
    let after = resident()?;
    drop(made);
    Ok((after - before) / HANDLERS as f64)
}

/// One subscription, all of whose handlers are at work at the same time.
async fn at_work() -> anyhow::Result<(Bus, JoinSet<()>)> {
    let bus = Bus::new();
    let topic = bus.topic::<Payload>("bench")?;
    let handling =
        Handling { order: Order::None, concurrency: HANDLERS, waiting_max: HANDLERS, ..Handling::default() };
    let subscription = topic.subscribe("bench", 1024)?.handling(handling);
    let begun = Arc::new(AtomicUsize::new(0));
    let mut tasks = JoinSet::new();
    let counted = Arc::clone(&begun);
    tasks.spawn(async move {
        let handler = |delivery: Delivery<Payload>| {
            counted.fetch_add(1, Ordering::Relaxed);
            async move {
                std::future::pending::<()>().await;
                drop(delivery);
                Ok::<_, Infallible>(())
            }
        };
        subscription.run_fn(handler).await;
    });
    for _ in 0..HANDLERS {
        topic.publish([0; 64]).await?;
    }
    all_of(&begun).await?;
    Ok((bus, tasks))
}

/// Many subscriptions, each with a task of its own that waits for a message.
async fn idle() -> anyhow::Result<(Bus, JoinSet<()>)> {
    let bus = Bus::new();
    let begun = Arc::new(AtomicUsize::new(0));
    let mut tasks = JoinSet::new();
    for number in 0..HANDLERS {
        let subscription = bus.topic::<Payload>(format!("bench-{number}"))?.subscribe("bench", 1024)?;
        let begun = Arc::clone(&begun);
        tasks.spawn(async move {
            begun.fetch_add(1, Ordering::Relaxed);
            subscription.run_fn(|_| async { Ok::<_, Infallible>(()) }).await;
        });
    }
    all_of(&begun).await?;
    Ok((bus, tasks))
}

async fn all_of(begun: &AtomicUsize) -> anyhow::Result<()> {
    let all = async {
        while begun.load(Ordering::Relaxed) < HANDLERS {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), all).await.context("the handlers have not all begun")
}
