use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use futures::future::BoxFuture;
use parking_lot::Mutex;
use proptest::prelude::*;
use steadfast_base::{Deadline, Seed};
use tokio_util::sync::CancellationToken;

use super::{Error, OnRejected, OutboxOptions, OutboxRelay};
use crate::Event;
use crate::store::flaky::Flaky;
use crate::store::{self, Batch, Checkpoint, Condition, Durability, EventStore, MemoryStore};
use crate::transport::{self, Capabilities, LinkState, Ordering, Sink, link};

/// What a send ends with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    Takes,
    /// The first of the events arrives and the answer is lost.
    HalfArrives,
    Unavailable,
    Overloaded,
}

/// A sink that answers as told, then takes everything except events of type `rejected`.
#[derive(Default)]
struct Scripted {
    answers: Mutex<Vec<Answer>>,
    arrived: Mutex<Vec<Event>>,
}

impl Sink for Scripted {
    fn system(&self) -> &'static str {
        "scripted"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::new(Ordering::Total, Durability::Written)
    }

    fn send<'a>(
        &'a self,
        events: &'a [Event],
        durability: Durability,
        _: Deadline,
    ) -> BoxFuture<'a, Result<Durability, transport::Error>> {
        Box::pin(async move {
            let system = "scripted";
            match self.answers.lock().pop().unwrap_or(Answer::Takes) {
                Answer::Takes if events.iter().any(|event| event.kind() == "rejected") => {
                    Err(transport::Error::Rejected { system, reason: "too large".to_owned() })
                }
                Answer::Takes => {
                    self.arrived.lock().extend_from_slice(events);
                    Ok(durability)
                }
                Answer::HalfArrives => {
                    self.arrived.lock().push(events[0].clone());
                    Err(transport::Error::DeadlineExceeded { system })
                }
                Answer::Unavailable => {
                    Err(transport::Error::Unavailable { system, reason: "gone".to_owned() })
                }
                Answer::Overloaded => {
                    let retry_after = Some(Duration::from_secs(60));
                    Err(transport::Error::Overloaded { system, retry_after })
                }
            }
        })
    }

    fn link(&self) -> LinkState {
        link().1
    }

    fn close(&self, _: Deadline) -> BoxFuture<'_, Result<(), transport::Error>> {
        Box::pin(async { Ok(()) })
    }
}

impl Scripted {
    /// Numbers of the events that arrived, each once.
    fn once(&self) -> Vec<String> {
        let mut seen = Vec::new();
        for event in &*self.arrived.lock() {
            let number = event.subject().expect("a number").to_owned();
            if !seen.contains(&number) {
                seen.push(number);
            }
        }
        seen
    }
}

async fn append(store: &dyn EventStore, kind: &str, number: usize) {
    let event = Event::new("/test", kind).subject(number.to_string()).build();
    let batch = Batch::to_stream("numbers", [event]);
    store.append(batch, Condition::Any, Durability::Accepted).await.expect("a writable store");
}

fn options() -> OutboxOptions {
    OutboxOptions { batch_max: 4, seed: Seed::new(1), ..OutboxOptions::new("test") }
}

/// Runs the outbox until `enough`, at most for a virtual day.
async fn run_until(outbox: &OutboxRelay, enough: impl Fn() -> bool) -> Result<(), Error> {
    let cancel = CancellationToken::new();
    let watch = async {
        while !enough() {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        cancel.cancel();
    };
    let both = async { tokio::join!(outbox.run(cancel.clone()), watch).0 };
    tokio::time::timeout(Duration::from_secs(86_400), both).await.expect("it does not hang")
}

#[tokio::test(start_paused = true)]
async fn a_sink_that_asks_to_wait_is_given_the_time() {
    let store: Arc<dyn EventStore> = Arc::new(MemoryStore::new());
    let sink = Arc::new(Scripted { answers: Mutex::new(vec![Answer::Overloaded]), ..Scripted::default() });
    append(&*store, "number", 0).await;
    let outbox = OutboxRelay::new(store, Arc::clone(&sink) as Arc<dyn Sink>, options());
    let begun = tokio::time::Instant::now();
    run_until(&outbox, || sink.arrived.lock().len() == 1).await.expect("the sink takes it in the end");
    assert!(begun.elapsed() >= Duration::from_secs(60));
    assert_eq!((outbox.metrics().published, outbox.metrics().retried), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_rejected_event_stops_the_outbox_or_is_skipped_alone() {
    let store: Arc<dyn EventStore> = Arc::new(MemoryStore::new());
    let sink = Arc::new(Scripted::default());
    for (number, kind) in ["number", "rejected", "number"].into_iter().enumerate() {
        append(&*store, kind, number).await;
    }
    let outbox = OutboxRelay::new(Arc::clone(&store), Arc::clone(&sink) as Arc<dyn Sink>, options());
    let ended = outbox.run(CancellationToken::new()).await;
    assert!(matches!(ended, Err(Error::Sink(transport::Error::Rejected { .. }))), "{ended:?}");
    assert!(sink.arrived.lock().is_empty());

    let skipping = OutboxOptions { on_rejected: OnRejected::Skip, ..options() };
    let outbox = OutboxRelay::new(store, Arc::clone(&sink) as Arc<dyn Sink>, skipping);
    run_until(&outbox, || sink.arrived.lock().len() == 2).await.expect("it goes on");
    assert_eq!(sink.once(), ["0", "2"]);
    assert_eq!(outbox.metrics().rejected, 1);
}

#[tokio::test(start_paused = true)]
async fn of_two_outboxes_of_one_name_one_ends() {
    let store: Arc<dyn EventStore> = Arc::new(MemoryStore::new());
    let sink = Arc::new(Scripted::default());
    let make = || OutboxRelay::new(Arc::clone(&store), Arc::clone(&sink) as Arc<dyn Sink>, options());
    let (first, second) = (make(), make());
    let cancel = CancellationToken::new();
    let (one, other, ()) = tokio::join!(first.run(cancel.clone()), second.run(cancel.clone()), async {
        for number in 0..20 {
            append(&*store, "number", number).await;
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        cancel.cancel();
    });
    let fenced = [one, other]
        .into_iter()
        .filter(|ended| matches!(ended, Err(Error::Store(store::Error::Conflict { .. }))));
    assert_eq!(fenced.count(), 1);
    assert_eq!(sink.once().len(), 20);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_fails_for_a_while_is_asked_again_and_nothing_is_sent_twice_for_that() {
    let store = Arc::new(Flaky::default());
    let sink = Arc::new(Scripted::default());
    let outbox = OutboxRelay::new(Arc::clone(&store) as _, Arc::clone(&sink) as Arc<dyn Sink>, options());
    let cancel = CancellationToken::new();
    let work = async {
        for number in 0..6 {
            append(&store.inner, "number", number).await;
            for failures in [&store.subscriptions, &store.appends, &store.answers] {
                failures.store(number as u32 % 3, Relaxed);
            }
            tokio::time::sleep(Duration::from_secs(60)).await;
            assert_eq!(sink.arrived.lock().len(), number + 1);
        }
        cancel.cancel();
    };
    let (ended, ()) = tokio::join!(outbox.run(cancel.clone()), work);
    ended.expect("none of that ends it");
    let checkpoint = Checkpoint::load(&*store, "test").await.expect("a readable store");
    assert!(checkpoint.has_moved());
    assert_eq!(sink.once().len(), 6);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// However sends end and whenever the outbox dies, all that was committed arrives, in order.
    #[test]
    fn all_that_was_committed_arrives_in_order(
        answers in prop::collection::vec(0_u8..6, 0..30),
        deaths in prop::collection::vec(0_u64..400, 0..5),
        events in 1_usize..40,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        runtime.expect("a runtime").block_on(async {
            let store: Arc<dyn EventStore> = Arc::new(MemoryStore::new());
            let answers = answers.into_iter().map(|answer| match answer {
                0 => Answer::HalfArrives,
                1 => Answer::Unavailable,
                2 => Answer::Overloaded,
                _ => Answer::Takes,
            });
            let sink = Arc::new(Scripted { answers: Mutex::new(answers.collect()), ..Scripted::default() });
            let writer = async {
                for number in 0..events {
                    append(&*store, "number", number).await;
                    tokio::time::sleep(Duration::from_millis(number as u64 % 7)).await;
                }
            };
            let publisher = async {
                for death in deaths {
                    let outbox = OutboxRelay::new(Arc::clone(&store), Arc::clone(&sink) as Arc<dyn Sink>, options());
                    let run = outbox.run(CancellationToken::new());
                    let _ = tokio::time::timeout(Duration::from_millis(death), run).await;
                }
                let outbox = OutboxRelay::new(Arc::clone(&store), Arc::clone(&sink) as Arc<dyn Sink>, options());
                run_until(&outbox, || sink.once().len() == events).await.expect("nothing is rejected");
            };
            tokio::join!(writer, publisher);
            let expected: Vec<String> = (0..events).map(|number| number.to_string()).collect();
            assert_eq!(sink.once(), expected);
        });
    }
}
