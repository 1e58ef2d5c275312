//! A bare channel.

use std::hint::black_box;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::{MESSAGES, Payload, ROOM};

/// Sends by `producers` tasks and receives by one.
pub(super) async fn send(producers: u64) -> Duration {
    let start = Instant::now();
    let (sender, mut receiver) = mpsc::channel::<Payload>(ROOM);
    let mut tasks = JoinSet::new();
    for _ in 0..producers {
        let sender = sender.clone();
        tasks.spawn(async move {
            for number in 0..MESSAGES / producers {
                let _ = sender.send([number as u8; 64]).await;
            }
        });
    }
    drop(sender);
    tasks.spawn(async move {
        while let Some(payload) = receiver.recv().await {
            black_box(&payload);
        }
    });
    tasks.join_all().await;
    start.elapsed()
}
