//! Order and accounting, whatever publishers, consumers and the bus itself do.

use std::collections::VecDeque;

use futures::FutureExt;
use proptest::prelude::*;
use steadfast_base::Deadline;

use super::topic;
use crate::bus::{Bus, Error, Message, Options, Overflow, Subscription, Topic};

/// One step of a test.
#[derive(Debug, Clone)]
enum Step {
    /// Publishes, and gives up if that has to wait.
    Publish,
    TryPublish,
    /// Publishes so many at a time, and gives up if that has to wait.
    Batch(usize),
    /// Takes so many by the subscription at this place, and gives up if that has to wait.
    Take(usize, usize),
    /// Waits for a message and gives up, perhaps after it was given one.
    Flinch(usize),
    Leave(usize),
    Join(usize, Overflow),
    Close,
}

fn overflow() -> impl Strategy<Value = Overflow> {
    prop::sample::select(vec![
        Overflow::Wait,
        Overflow::RejectNew,
        Overflow::DropOldest,
        Overflow::DropNewest,
    ])
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => Just(Step::Publish),
        3 => Just(Step::TryPublish),
        3 => (0_usize..6).prop_map(Step::Batch),
        9 => (0_usize..4, 1_usize..4).prop_map(|(at, count)| Step::Take(at, count)),
        3 => (0_usize..4).prop_map(Step::Flinch),
        1 => (0_usize..4).prop_map(Step::Leave),
        2 => (0_usize..4, overflow()).prop_map(|(capacity, overflow)| Step::Join(capacity, overflow)),
        1 => Just(Step::Close),
    ]
}

/// A subscription, what its queue should hold, and what it has lost.
struct Model {
    name: String,
    subscription: Subscription<u32>,
    capacity: usize,
    overflow: Overflow,
    queued: VecDeque<u32>,
    dropped: u64,
}

/// All subscriptions as they should be.
#[derive(Default)]
struct World {
    subscribers: Vec<Model>,
    accepted: u64,
    evicted: u64,
    handled: u64,
    abandoned: u64,
    closed: bool,
    next: u32,
}

impl World {
    /// Publishes the next number in the model; says how many took it, or why nobody did. Nobody waits for a
    /// message, so a hand-over has no room.
    fn publish(&mut self) -> Result<usize, bool> {
        if self.closed {
            return Err(true);
        }
        let full = |model: &Model| model.queued.len() >= model.capacity;
        let rejects = |model: &Model| full(model) && model.overflow == Overflow::RejectNew;
        if self.subscribers.iter().any(rejects) {
            return Err(true);
        }
        if self.subscribers.iter().any(|model| full(model) && model.overflow == Overflow::Wait) {
            return Err(false);
        }
        let mut takers = 0;
        for model in &mut self.subscribers {
            let is_full = model.queued.len() >= model.capacity;
            if is_full && (model.overflow == Overflow::DropNewest || model.capacity == 0) {
                model.dropped += 1;
                continue;
            }
            if is_full {
                model.queued.pop_front();
                model.dropped += 1;
                self.evicted += 1;
            }
            model.queued.push_back(self.next);
            self.accepted += 1;
            takers += 1;
        }
        self.next += 1;
        Ok(takers)
    }

    fn check(&self, bus: &Bus) {
        let sums = bus.sums();
        let queued: u64 = self.subscribers.iter().map(|model| model.queued.len() as u64).sum();
        assert_eq!(
            (sums.accepted, sums.evicted, sums.handled, sums.abandoned, sums.unended),
            (self.accepted, self.evicted, self.handled, self.abandoned, queued)
        );
        for model in &self.subscribers {
            let metrics = bus.metrics();
            let name = &*model.name;
            let own = metrics[0].subscriptions.iter().find(|own| &*own.subscriber == name);
            let own = own.expect("it is subscribed");
            assert_eq!((own.depth, own.dropped), (model.queued.len() as u64, model.dropped), "{name}");
        }
    }
}

impl Model {
    fn new(topic: &Topic<u32>, name: usize, capacity: usize, overflow: Overflow) -> Result<Self, Error> {
        let (name, options) = (name.to_string(), Options::new(capacity).overflow(overflow));
        let subscription = topic.subscribe_with(name.as_str(), options)?;
        Ok(Self { name, subscription, capacity, overflow, queued: VecDeque::new(), dropped: 0 })
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// The bus does what a model of a few lines says, step by step, whoever gives up, leaves or closes.
    #[test]
    fn the_bus_agrees_with_a_simple_model(steps in prop::collection::vec(step(), 1..120)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        let runtime = runtime.expect("a runtime");
        let _entered = runtime.enter();
        let bus = Bus::new();
        let topic = topic(&bus);
        let mut world = World::default();
        let mut names = 0;
        for step in steps {
            match step {
                Step::Publish | Step::TryPublish => {
                    let number = world.next;
                    let expected = world.publish();
                    let published = match step {
                        Step::Publish => topic.publish(number).now_or_never(),
                        _ => Some(topic.try_publish(number)),
                    };
                    match expected {
                        Ok(takers) => assert_eq!(published, Some(Ok(takers))),
                        Err(true) => assert!(matches!(published, Some(Err(_))), "{published:?}"),
                        // Only waiting tells the two apart.
                        Err(false) => assert!(!matches!(published, Some(Ok(_))), "{published:?}"),
                    }
                }
                Step::Batch(size) => {
                    let first = world.next;
                    let mut batch: VecDeque<_> = (0..size as u32).map(|at| Message::new(first + at)).collect();
                    let all = topic.publish_batch(&mut batch).now_or_never();
                    let published = (0..size).take_while(|_| world.publish().is_ok()).count();
                    assert_eq!(batch.len(), size - published);
                    assert_eq!(all == Some(Ok(size)), published == size, "{all:?}");
                }
                Step::Take(at, count) => {
                    let Some(model) = world.subscribers.get_mut(at) else { continue };
                    for _ in 0..count {
                        let taken = model.subscription.next().now_or_never().flatten();
                        assert_eq!(taken.map(|delivery| *delivery.payload()), model.queued.front().copied());
                        world.handled += u64::from(model.queued.pop_front().is_some());
                    }
                }
                Step::Flinch(at) => {
                    let Some(at) = world.subscribers.get(at).filter(|m| m.queued.is_empty()).map(|_| at) else {
                        continue;
                    };
                    // What is published while it waits, and given up, is still there afterwards.
                    let (number, closed) = (world.next, world.closed);
                    let mut competitor = world.subscribers[at].subscription.competitor();
                    let mut next = Box::pin(competitor.next());
                    let polled = next.as_mut().now_or_never();
                    assert_eq!(matches!(polled, Some(None)), closed);
                    let capacity = std::mem::replace(&mut world.subscribers[at].capacity, 1);
                    let expected = world.publish();
                    world.subscribers[at].capacity = capacity;
                    assert_eq!(topic.try_publish(number).ok(), expected.ok());
                    drop(next);
                }
                Step::Leave(at) => {
                    if at < world.subscribers.len() {
                        world.abandoned += world.subscribers.remove(at).queued.len() as u64;
                    }
                }
                Step::Join(capacity, overflow) if world.subscribers.len() < 4 => {
                    names += 1;
                    match Model::new(&topic, names, capacity, overflow) {
                        Ok(model) => world.subscribers.push(model),
                        Err(error) => assert!(world.closed && error == Error::Closed),
                    }
                }
                Step::Join(..) => {}
                Step::Close => {
                    let queued: u64 = world.subscribers.iter().map(|model| model.queued.len() as u64).sum();
                    let drained = runtime.block_on(bus.close(Deadline::within(std::time::Duration::ZERO)));
                    assert_eq!((drained.handled, drained.abandoned), (0, queued));
                    world.closed = true;
                }
            }
            world.check(&bus);
        }
    }
}
