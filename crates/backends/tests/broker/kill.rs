//! The same question to every broker: killed with SIGKILL in mid-stream and started again, is anything lost, or out
//! of order?

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use steadfast_base::{Classify, Deadline};
use steadfast_core::inbox::{Effect, Inbox, InboxOptions, Once};
use steadfast_core::store::{EventStore, MemoryStore};
use steadfast_core::transport::{Outcome, Receiver, Settlement, Sink, Source, Subscribe};
use steadfast_core::{Event, EventId};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

const KEYS: u32 = 100;
const PER_KEY: u32 = 100;
const BATCH: usize = 50;
const RECEIVERS: usize = 2;
/// After how many events one receiver dies with what it holds.
const DIES_AFTER: u32 = 1_000;
/// After how many events the server is killed.
const KILL_AFTER: u32 = 3_000;
const WITHIN: Duration = Duration::from_secs(60);

/// What has been received, event by event, as a group of receivers saw it.
#[derive(Default)]
struct Seen {
    /// Per key the number that comes next.
    next: HashMap<String, u32>,
    distinct: u32,
    duplicates: u32,
    wrong: Vec<String>,
    /// Per key the numbers that had an effect, behind the inbox.
    effects: HashMap<String, Vec<u32>>,
}

fn number(event: &Event) -> u32 {
    std::str::from_utf8(event.data()).expect("a text").parse().expect("a number")
}

impl Seen {
    fn record(&mut self, event: &Event) {
        let key = event.partition_key().unwrap_or_default().to_owned();
        let number = number(event);
        let next = self.next.entry(key.clone()).or_default();
        match number.cmp(next) {
            std::cmp::Ordering::Equal => {
                *next += 1;
                self.distinct += 1;
            }
            std::cmp::Ordering::Less => self.duplicates += 1,
            std::cmp::Ordering::Greater => self.wrong.push(format!("{key}: {number} before {next}")),
        }
    }
}

/// Sends 10,000 keyed events through `sink` while two receivers of one group receive them from `source`. In between
/// one receiver dies with events that it has received and not settled, half of them handled, and `kill` kills the
/// server, starts it again and returns it. Panics if an event is lost, comes before one that precedes it, or takes
/// effect twice behind an inbox.
pub(crate) async fn nothing_is_lost<S: Send + 'static>(
    sink: Arc<dyn Sink>,
    source: Arc<dyn Source>,
    kill: impl FnOnce() -> S + Send + 'static,
) {
    let total = KEYS * PER_KEY;
    let (seen, at) = (Arc::new(Mutex::new(Seen::default())), Arc::new(Notify::new()));
    let stop = CancellationToken::new();
    let store: Arc<dyn EventStore> = Arc::new(MemoryStore::new());
    let inbox =
        Arc::new(Inbox::new(store, InboxOptions::new("kill")).expect("the store takes several streams"));
    let mut receiving = Vec::new();
    for member in 0..RECEIVERS {
        let member = Member {
            source: Arc::clone(&source),
            receiver: source.open(&Subscribe::new("kill")).await.expect("it opens"),
            dies_after: (member == 0).then_some(DIES_AFTER),
            inbox: Arc::clone(&inbox),
            seen: Arc::clone(&seen),
            at: Arc::clone(&at),
        };
        receiving.push(tokio::spawn(member.receive(stop.clone())));
    }
    let retries = Arc::new(AtomicU32::new(0));
    let sending = tokio::spawn(send(Arc::clone(&sink), Arc::clone(&retries)));

    reach(&seen, &at, KILL_AFTER).await;
    let killed = Instant::now();
    let _server = tokio::task::spawn_blocking(kill).await.expect("the server starts again");
    let down = killed.elapsed();
    tokio::time::timeout(WITHIN, sending)
        .await
        .expect("all is sent in time")
        .expect("sending does not panic");
    reach(&seen, &at, total).await;
    stop.cancel();
    let mut received = Vec::new();
    for task in receiving {
        received.push(task.await.expect("receiving does not panic"));
    }
    sink.close(Deadline::within(Duration::from_secs(5))).await.expect("it closes");

    let seen = seen.lock();
    eprintln!(
        "{total} events, server down for {down:?}; {} batches sent again, {} duplicates received; shares {received:?}",
        retries.load(Ordering::SeqCst),
        seen.duplicates
    );
    assert!(seen.wrong.is_empty(), "out of order: {:?}", seen.wrong);
    assert!(seen.duplicates > 0, "what the receiver that died had not settled came again");
    assert_eq!(seen.effects.len(), KEYS as usize, "every key had effects");
    let every: Vec<u32> = (0..PER_KEY).collect();
    for (key, effects) in &seen.effects {
        assert_eq!(effects, &every, "effects of {key}");
    }
    assert!(received.iter().all(|received| *received > 0), "one receiver got nothing: {received:?}");
}

async fn send(sink: Arc<dyn Sink>, retries: Arc<AtomicU32>) {
    let events: Vec<Event> = (0..PER_KEY)
        .flat_map(|number| (0..KEYS).map(move |key| (key, number)))
        .map(|(key, number)| {
            Event::new("/test", "test.sent")
                .id(EventId::generate())
                .subject(format!("key-{key}"))
                .data("text/plain", number.to_string())
        })
        .collect();
    let durability = sink.capabilities().durability_max;
    for batch in events.chunks(BATCH) {
        loop {
            match sink.send(batch, durability, Deadline::within(Duration::from_secs(10))).await {
                Ok(achieved) => {
                    assert!(achieved >= durability);
                    break;
                }
                Err(error) if error.classify().is_retryable() => {
                    retries.fetch_add(1, Ordering::SeqCst);
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
                Err(error) => panic!("{error}"),
            }
        }
    }
}

/// A member of the group.
struct Member {
    source: Arc<dyn Source>,
    receiver: Box<dyn Receiver>,
    /// After how many events it dies and another one comes in its place.
    dies_after: Option<u32>,
    inbox: Arc<Inbox>,
    seen: Arc<Mutex<Seen>>,
    at: Arc<Notify>,
}

impl Member {
    /// Opens a receiver in the place of the one that died, also while the server is away.
    async fn open_again(&self) -> Box<dyn Receiver> {
        let began = Instant::now();
        loop {
            match self.source.open(&Subscribe::new("kill")).await {
                Err(error) if error.classify().is_retryable() && began.elapsed() < WITHIN => {}
                opened => return opened.expect("it opens"),
            }
        }
    }

    /// Receives until `stop`, and returns how many events came.
    async fn receive(mut self, stop: CancellationToken) -> u32 {
        let mut count = 0;
        while let Some(received) = stop.run_until_cancelled(self.receiver.receive(64)).await {
            let received = received.expect("a lost connection is no error");
            count += u32::try_from(received.len()).expect("few");
            // It dies with some that it has handled and not settled, and some that it has not handled: the latter are
            // lost if anything was acknowledged before.
            let dies = self.dies_after.is_some_and(|dies_after| count >= dies_after && received.len() > 1);
            let handled = if dies { received.len() / 2 } else { received.len() };
            for received in &received[..handled] {
                self.handle(&received.event).await;
            }
            self.at.notify_waiters();
            if dies {
                // What is told too early would have been told by now.
                tokio::time::sleep(Duration::from_millis(100)).await;
                self.dies_after = None;
                self.receiver = self.open_again().await;
                continue;
            }
            let handled = Outcome::Handled;
            let settlements: Vec<Settlement> = received
                .iter()
                .map(|received| Settlement { token: received.token, outcome: handled })
                .collect();
            // Where the server could not be told, the events come again.
            let _ = self.receiver.settle(&settlements).await;
        }
        self.receiver.close(Deadline::within(Duration::from_secs(5))).await.expect("it closes");
        count
    }

    async fn handle(&self, event: &Event) {
        self.seen.lock().record(event);
        let key = event.partition_key().unwrap_or_default();
        let effect = || async {
            let noted = Event::new("/test", "test.noted").bytes(event.data().clone());
            Ok::<_, Infallible>(Effect::to_stream(key, [noted]))
        };
        if let Once::Applied(_) = self.inbox.once(event, effect).await.expect("the store takes it") {
            self.seen.lock().effects.entry(key.to_owned()).or_default().push(number(event));
        }
    }
}

async fn reach(seen: &Mutex<Seen>, at: &Notify, wanted: u32) {
    let reached = async {
        loop {
            let more = at.notified();
            tokio::pin!(more);
            more.as_mut().enable();
            if seen.lock().distinct >= wanted {
                return;
            }
            more.await;
        }
    };
    let reached = tokio::time::timeout(WITHIN, reached).await;
    let seen = seen.lock();
    assert!(reached.is_ok(), "only {} of {wanted} events came: {:?}", seen.distinct, seen.wrong);
}
