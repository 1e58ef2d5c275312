//! The queue and its closing under every order of steps of a few threads, by the model checker `loom`.
//!
//! `RUSTFLAGS="--cfg loom" cargo test -p steadfast-core --release --lib bus::hub::model`

use std::future::poll_fn;
use std::task::Poll;

use loom::future::block_on;
use loom::sync::Arc;
use loom::thread;

use super::{Bell, Hub, Intake, Publishing, Terms};
use crate::bus::Overflow;
use crate::bus::hub::Drawing;

struct Bus {
    hub: std::sync::Arc<Hub<u32>>,
    bell: std::sync::Arc<Bell>,
}

impl Bus {
    fn new() -> Self {
        let bell = std::sync::Arc::new(Bell::new());
        Self { hub: std::sync::Arc::new(Hub::new(std::sync::Arc::clone(&bell))), bell }
    }

    fn subscribe(&self, capacity: usize, overflow: Overflow) -> Intake<u32> {
        let terms = Terms { subscriber: "s".into(), capacity, overflow, filter: None, lanes: None };
        Intake::attach(std::sync::Arc::clone(&self.hub), terms).expect("the bus is open")
    }

    /// Publishes and says whether it was.
    fn publish(&self, number: u32) -> bool {
        block_on(Publishing::new(&self.hub, &mut Some(number))).is_ok()
    }

    /// Begins to publish and gives up if that has to wait; says whether it was published.
    fn publish_once(&self, number: u32) -> bool {
        let mut cargo = Some(number);
        let mut publishing = Publishing::new(&self.hub, &mut cargo);
        let once = poll_fn(|context| Poll::Ready(std::pin::Pin::new(&mut publishing).poll(context)));
        matches!(block_on(once), Poll::Ready(Ok(_)))
    }

    /// Closes and waits until every message has ended.
    fn close(&self) {
        self.hub.close();
        block_on(poll_fn(|context| self.bell.listen(context.waker(), || self.hub.sums().unended == 0)));
    }
}

/// Takes the next message and counts it as handled.
fn next(intake: &Intake<u32>) -> Option<u32> {
    let mut next = None;
    block_on(Drawing::new(std::slice::from_ref(intake), None, 1, |_, number| next = Some(number)));
    if next.is_some() {
        intake.end(|tally| &tally.handled);
    }
    next
}

/// Looks for a message and gives up if it has to wait.
fn next_once(intake: &Intake<u32>) -> Option<u32> {
    let mut next = None;
    let mut drawing = Drawing::new(std::slice::from_ref(intake), None, 1, |_, number| next = Some(number));
    block_on(poll_fn(|context| {
        let _ = std::pin::Pin::new(&mut drawing).poll(context);
        Poll::Ready(())
    }));
    drop(drawing);
    if next.is_some() {
        intake.end(|tally| &tally.handled);
    }
    next
}

fn all(intake: &Intake<u32>) -> Vec<u32> {
    std::iter::from_fn(|| next(intake)).collect()
}

fn model(run: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(run);
}

/// No wake-up is lost between a queue that is full and one that is empty, and closing waits for the last message.
#[test]
fn a_full_queue_is_published_to_and_closed() {
    model(|| {
        let bus = Arc::new(Bus::new());
        let intake = bus.subscribe(1, Overflow::Wait);
        let publisher = {
            let bus = Arc::clone(&bus);
            thread::spawn(move || (1..=2).all(|number| bus.publish(number)))
        };
        let consumer = thread::spawn(move || all(&intake));
        let published = publisher.join().expect("no panic");
        assert!(published);
        bus.close();
        assert_eq!(bus.hub.sums().unended, 0);
        assert_eq!(consumer.join().expect("no panic"), [1, 2]);
    });
}

/// A publisher and a closer race: what was published is handled, what was refused is not.
#[test]
fn closing_and_publishing_agree_on_what_was_published() {
    model(|| {
        let bus = Arc::new(Bus::new());
        let intake = bus.subscribe(1, Overflow::Wait);
        let publisher = {
            let bus = Arc::clone(&bus);
            thread::spawn(move || (1..=2).filter(|number| bus.publish(*number)).count())
        };
        let consumer = thread::spawn(move || all(&intake));
        bus.close();
        let accepted = bus.hub.sums().accepted;
        let published = publisher.join().expect("no panic");
        let seen = consumer.join().expect("no panic");
        assert_eq!((seen.len(), accepted), (published, published as u64));
    });
}

/// Two wait for room and one of them gives up: the other is not left asleep.
#[test]
fn a_publisher_that_gives_up_leaves_its_wake_up_to_the_next() {
    model(|| {
        let bus = Arc::new(Bus::new());
        let intake = bus.subscribe(1, Overflow::Wait);
        assert!(bus.publish(0));
        let patient = {
            let bus = Arc::clone(&bus);
            thread::spawn(move || bus.publish(1))
        };
        let hasty = {
            let bus = Arc::clone(&bus);
            thread::spawn(move || bus.publish_once(2))
        };
        assert_eq!(next(&intake), Some(0));
        let mut expected = 1;
        if hasty.join().expect("no panic") {
            expected += 1;
        }
        for _ in 0..expected {
            assert!(next(&intake).is_some());
        }
        assert!(patient.join().expect("no panic"));
        assert_eq!(bus.hub.sums().unended, 0);
    });
}

/// Two compete for messages and one of them gives up: the message reaches the other.
#[test]
fn a_consumer_that_gives_up_leaves_its_wake_up_to_the_next() {
    model(|| {
        let bus = Arc::new(Bus::new());
        let intake = Arc::new(bus.subscribe(2, Overflow::Wait));
        let hasty = {
            let intake = Arc::clone(&intake);
            thread::spawn(move || next_once(&intake))
        };
        let patient = {
            let intake = Arc::clone(&intake);
            thread::spawn(move || next(&intake))
        };
        assert!(bus.publish(1));
        if hasty.join().expect("no panic").is_some() {
            assert!(bus.publish(2));
        }
        assert!(patient.join().expect("no panic").is_some());
    });
}

/// A message is handed over to a consumer that waits, or to nobody.
#[test]
fn a_hand_over_meets_or_ends() {
    model(|| {
        let bus = Arc::new(Bus::new());
        let intake = bus.subscribe(0, Overflow::Wait);
        let publisher = {
            let bus = Arc::clone(&bus);
            thread::spawn(move || bus.publish(1))
        };
        let closer = {
            let bus = Arc::clone(&bus);
            thread::spawn(move || bus.hub.close())
        };
        let seen = all(&intake);
        closer.join().expect("no panic");
        assert_eq!(seen.len(), usize::from(publisher.join().expect("no panic")));
    });
}

/// A subscriber leaves while a publisher waits for it and another drops what it cannot keep.
#[test]
fn a_subscriber_that_leaves_holds_nobody_up_and_all_is_accounted_for() {
    model(|| {
        let bus = Arc::new(Bus::new());
        let leaves = bus.subscribe(1, Overflow::Wait);
        let stays = bus.subscribe(1, Overflow::DropOldest);
        let publisher = {
            let bus = Arc::clone(&bus);
            thread::spawn(move || (1..=2).all(|number| bus.publish(number)))
        };
        let leaver = thread::spawn(move || drop(leaves));
        assert!(publisher.join().expect("no panic"));
        leaver.join().expect("no panic");
        assert_eq!(next(&stays), Some(2));
        let sums = bus.hub.sums();
        assert_eq!((sums.evicted, sums.handled, sums.unended), (1, 1, 0));
        assert_eq!(sums.accepted, sums.evicted + sums.handled + sums.abandoned);
    });
}
