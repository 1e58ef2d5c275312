use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::feed::Feed;
use super::{PATIENCE, handling};
use crate::delivery::{Delivery, Dispatcher, Handling, Message, Order, Settled};

/// Four runs on two threads: each message is handled once, those of a key in order, whoever handles them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn runs_on_several_threads_share_the_work_in_order() {
    const MESSAGES: u64 = 20_000;
    for order in [Order::Total, Order::PerKey, Order::None] {
        let feed = Arc::new(Feed::default());
        let handling = Handling { concurrency: 8, ..handling(order) };
        let dispatcher = Dispatcher::new(Arc::clone(&feed), "numbers", "test", handling);
        let seen: Arc<Mutex<HashMap<u64, Vec<u64>>>> = Arc::default();
        let runs: Vec<_> = (0..4)
            .map(|_| {
                let (dispatcher, seen) = (dispatcher.clone(), Arc::clone(&seen));
                tokio::spawn(async move {
                    let handler = |delivery: Delivery<u64>| {
                        let seen = Arc::clone(&seen);
                        async move {
                            let number = *delivery.payload();
                            if number.is_multiple_of(5) {
                                tokio::task::yield_now().await;
                            }
                            seen.lock().entry(number % 97).or_default().push(number);
                            Ok::<_, Infallible>(())
                        }
                    };
                    dispatcher.run_fn(handler).await;
                })
            })
            .collect();
        for number in 0..MESSAGES {
            feed.push(Message::new(number).partition_key((number % 97).to_string()));
            if number.is_multiple_of(64) {
                tokio::task::yield_now().await;
            }
        }
        feed.end();
        for run in runs {
            tokio::time::timeout(PATIENCE.min(Duration::from_secs(30)), run)
                .await
                .expect("every message comes to an end")
                .expect("no run panics");
        }
        let seen = seen.lock();
        assert_eq!(seen.values().map(Vec::len).sum::<usize>() as u64, MESSAGES, "{order:?}");
        assert_eq!(feed.with(Settled::Handled).len() as u64, MESSAGES);
        if order != Order::None {
            assert!(seen.values().all(|numbers| numbers.is_sorted()), "{order:?}");
        }
        assert_eq!(dispatcher.metrics().in_hand, 0);
    }
}
