//! Overflow, hand-over, filters, lanes, several topics, competing consumers, batches, figures.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use steadfast_base::Deadline;
use tokio::time::timeout;

use super::{SOON, subscribe, take, topic};
use crate::Event;
use crate::bus::{Bus, Error, Filter, Message, Options, Overflow, Select, Subscription, Topic};

fn with(bus: &Bus, name: &str, options: Options<u32>) -> Subscription<u32> {
    topic(bus).subscribe_with(name, options).expect("the bus is open")
}

/// Takes what is there without waiting.
fn rest(subscription: &mut Subscription<u32>) -> Vec<u32> {
    let next = || subscription.next().now_or_never().flatten().map(|delivery| *delivery.payload());
    std::iter::from_fn(next).collect()
}

fn publish(topic: &Topic<u32>, numbers: impl IntoIterator<Item = u32>) -> Vec<Result<usize, Error>> {
    numbers.into_iter().map(|number| topic.publish(number).now_or_never().expect("nobody waits")).collect()
}

#[tokio::test]
async fn a_stalled_subscriber_that_drops_does_not_slow_the_others() {
    let bus = Bus::new();
    let mut oldest = with(&bus, "oldest", Options::new(2).overflow(Overflow::DropOldest));
    let mut newest = with(&bus, "newest", Options::new(2).overflow(Overflow::DropNewest));
    let mut all = subscribe(&bus, "all", 100);
    assert_eq!(publish(&topic(&bus), 0..5), [Ok(3), Ok(3), Ok(2), Ok(2), Ok(2)]);
    assert_eq!(rest(&mut all), [0, 1, 2, 3, 4]);

    let metrics = &bus.metrics()[0];
    let dropped: Vec<_> = metrics.subscriptions.iter().map(|s| (s.dropped, s.depth, s.lag)).collect();
    assert_eq!(dropped, [(3, 2, 2), (3, 2, 2), (0, 0, 0)]);
    assert_eq!((rest(&mut oldest), rest(&mut newest)), (vec![3, 4], vec![0, 1]));
    drop((oldest, newest));
    let sums = bus.sums();
    assert_eq!((sums.accepted, sums.evicted, sums.handled, sums.unended), (12, 3, 9, 0));
}

#[tokio::test]
async fn a_queue_that_rejects_tells_the_publisher_and_nobody_gets_the_message() {
    let bus = Bus::new();
    let mut before = subscribe(&bus, "before", 9);
    let mut rejecting = with(&bus, "rejecting", Options::new(1).overflow(Overflow::RejectNew));
    let full = Err(Error::Full { subscriber: "rejecting".into() });
    assert_eq!(publish(&topic(&bus), 0..3), [Ok(2), full.clone(), full.clone()]);
    assert_eq!((rest(&mut before), rest(&mut rejecting)), (vec![0], vec![0]));
    assert_eq!(publish(&topic(&bus), [3]), [Ok(2)]);

    let metrics = &bus.metrics()[0];
    assert_eq!((metrics.published, metrics.subscriptions[1].rejected), (2, 2));
    let mut batch = VecDeque::from([4, 5].map(Message::new));
    assert_eq!(topic(&bus).publish_batch(&mut batch).await, full);
    assert_eq!((batch.len(), rest(&mut before)), (2, vec![3]));
}

#[tokio::test(start_paused = true)]
async fn a_hand_over_waits_for_a_consumer() {
    let bus = Bus::new();
    let mut taker = subscribe(&bus, "taker", 0);
    let mut other = subscribe(&bus, "other", 8);
    let topic = topic(&bus);
    assert_eq!(topic.try_publish(0), Err(Error::Full { subscriber: "taker".into() }));
    let mut publish = Box::pin(topic.publish(1));
    assert!(publish.as_mut().now_or_never().is_none());
    assert!(rest(&mut other).is_empty(), "nobody has it before all have it");

    let (taken, published) =
        timeout(SOON, async { tokio::join!(take(&mut taker), publish) }).await.expect("it meets");
    assert_eq!((taken, published, rest(&mut other)), (Some(1), Ok(2), vec![1]));

    // A consumer that gave up is not waited for.
    assert!(taker.next().now_or_never().is_none());
    assert!(topic.publish(2).now_or_never().is_none());
    // One that gives up after it was given a message leaves it to the next.
    let mut next = Box::pin(taker.next());
    assert!(next.as_mut().now_or_never().is_none());
    assert_eq!(topic.publish(3).now_or_never(), Some(Ok(2)));
    drop(next);
    assert_eq!(take(&mut taker).await, Some(3));
}

#[tokio::test]
async fn what_is_filtered_out_takes_no_room() {
    let bus = Bus::new();
    let even = Options::<u32>::new(2).filter(|message| message.payload().is_multiple_of(2));
    let mut even = with(&bus, "even", even.filter(|message| *message.payload() != 4));
    assert_eq!(publish(&topic(&bus), 1..7), [0, 1, 0, 0, 0, 1].map(Ok));
    assert_eq!(rest(&mut even), [2, 6]);

    let events = bus.topic::<Arc<Event>>("events").expect("the bus is open");
    let orders = Options::new(8).events(Filter::default().kind("order.*"));
    let mut orders = events.subscribe_with("orders", orders).expect("the bus is open");
    for kind in ["payment.made", "order.created"] {
        events.publish(Arc::new(Event::new("/", kind).build())).await.expect("the bus is open");
    }
    let only = orders.next().await.expect("an event");
    assert_eq!(only.payload().kind(), "order.created");
    assert!(orders.next().now_or_never().is_none());
}

#[tokio::test]
async fn an_urgent_lane_goes_first_and_no_lane_starves_or_holds_up_another() {
    let bus = Bus::new();
    let lanes = Options::<u32>::new(8).lanes(2, 4, |message| usize::from(*message.payload() < 100));
    let mut subscription = with(&bus, "s", lanes);
    assert_eq!(publish(&topic(&bus), 0..8), vec![Ok(1); 8]);
    assert!(topic(&bus).publish(8).now_or_never().is_none(), "its lane is full");
    assert_eq!(publish(&topic(&bus), 100..107), vec![Ok(1); 7]);
    assert_eq!(rest(&mut subscription), [100, 101, 102, 0, 103, 104, 105, 1, 106, 2, 3, 4, 5, 6, 7]);
}

#[tokio::test]
async fn several_topics_are_taken_by_priority_or_in_turns() {
    let bus = Bus::new();
    let topics = ["a", "b", "c"].map(|name| bus.topic::<u32>(name).expect("the bus is open"));
    let [a, b, c] = &topics;
    let select = Select::new("s").topic(a, 1, Options::new(8)).topic(b, 0, Options::new(8)).topic(
        c,
        1,
        Options::new(8),
    );
    let mut all = select.subscribe().expect("the bus is open");
    for (topic, base) in topics.iter().zip([0, 10, 20]) {
        publish(topic, base..base + 3);
    }
    assert_eq!(rest(&mut all), [10, 11, 12, 0, 20, 1, 21, 2, 22]);

    // It waits for all of them at once.
    let mut next = Box::pin(all.next());
    assert!(next.as_mut().now_or_never().is_none());
    publish(c, [23]);
    let delivery = timeout(SOON, next).await.expect("it is woken").expect("the bus is open");
    assert_eq!((delivery.topic(), *delivery.payload()), ("c", 23));

    publish(a, [3]);
    publish(b, [13]);
    let seen = std::cell::RefCell::new(Vec::new());
    let handler = |delivery: crate::delivery::Delivery<u32>| {
        seen.borrow_mut().push((delivery.topic().to_owned(), *delivery.payload()));
        async { Ok::<_, std::convert::Infallible>(()) }
    };
    assert!(all.run_fn(handler).now_or_never().is_none());
    assert_eq!(seen.take(), [("b".to_owned(), 13), ("a".to_owned(), 3)]);

    let other = Bus::new();
    let mixed = Select::new("s").topic(a, 0, Options::new(1));
    let mixed = mixed.topic(&other.topic("d").expect("open"), 0, Options::new(1)).subscribe();
    assert_eq!(mixed.err(), Some(Error::OtherBus { topic: "d".into() }));
    assert_eq!(Select::<u32>::new("s").subscribe().err(), Some(Error::NoTopic));
    drop(bus);
    assert!(timeout(SOON, all.next()).await.expect("it ends").is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_message_goes_to_one_of_those_who_compete() {
    let bus = Bus::new();
    let first = subscribe(&bus, "s", 4);
    let mut competitors = tokio::task::JoinSet::new();
    for mut competitor in [first.competitor(), first.competitor(), first] {
        competitors.spawn(async move {
            let mut seen = Vec::new();
            while let Some(delivery) = competitor.next().await {
                seen.push(*delivery.payload());
                tokio::task::yield_now().await;
            }
            seen
        });
    }
    for number in 0..2_000 {
        topic(&bus).publish(number).await.expect("the bus is open");
    }
    let drained = bus.close(Deadline::within(SOON)).await;
    assert_eq!(drained.abandoned, 0);
    let seen = competitors.join_all().await;
    assert!(seen.iter().all(|seen| seen.is_sorted()), "each sees its own in order");
    let mut all = seen.concat();
    all.sort_unstable();
    assert_eq!(all, (0..2_000).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn a_batch_larger_than_the_room_is_published_as_there_is_room() {
    let bus = Bus::new();
    let mut subscription = subscribe(&bus, "s", 4);
    let topic = topic(&bus);
    let mut batch: VecDeque<_> = (0..10).map(Message::new).collect();
    assert!(topic.publish_batch(&mut batch).now_or_never().is_none());
    assert_eq!(batch.len(), 6, "what has been published is out of the batch, the rest is still in it");
    assert_eq!(take(&mut subscription).await, Some(0));
    let reader = tokio::spawn(async move {
        let mut seen = Vec::new();
        while let Some(delivery) = subscription.next().await {
            seen.push(*delivery.payload());
        }
        seen
    });
    assert_eq!(timeout(SOON, topic.publish_batch(&mut batch)).await, Ok(Ok(6)));
    assert_eq!(topic.publish_batch(&mut VecDeque::new()).await, Ok(0));
    bus.close(Deadline::within(SOON)).await;
    assert_eq!(reader.await.expect("no panic"), (1..10).collect::<Vec<_>>());
    assert_eq!(topic.publish_batch(&mut VecDeque::from([Message::new(1)])).await, Err(Error::Closed));
}

#[tokio::test(start_paused = true)]
async fn depth_lag_and_age_tell_how_far_behind_a_subscription_is() {
    let bus = Bus::new();
    let subscription = subscribe(&bus, "s", 4);
    let figures = |bus: &Bus| {
        let metrics = bus.metrics()[0].subscriptions[0].clone();
        (metrics.depth, metrics.lag, metrics.oldest_age)
    };
    assert_eq!(figures(&bus), (0, 0, None));
    publish(&topic(&bus), [1]);
    tokio::time::advance(Duration::from_secs(3)).await;
    publish(&topic(&bus), [2]);
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(figures(&bus), (2, 2, Some(Duration::from_secs(4))));
    let hanging = tower::service_fn(|_| std::future::pending::<Result<(), std::convert::Infallible>>());
    let mut run = Box::pin(subscription.run(hanging));
    assert!(run.as_mut().now_or_never().is_none());
    // The age is told a little too great: that of a message since which the clock was read.
    assert_eq!(figures(&bus), (1, 2, Some(Duration::from_secs(4))));
    drop(run);
    drop(subscription);
    assert_eq!(bus.sums().abandoned, 2);
}

#[tokio::test]
async fn a_wake_up_that_was_not_used_goes_to_the_next() {
    let bus = Bus::new();
    let mut slow = subscribe(&bus, "s", 1);
    let topic = topic(&bus);
    publish(&topic, [0]);
    let (mut first, mut second) = (Box::pin(topic.publish(1)), Box::pin(topic.publish(2)));
    let count = Arc::new(Count::default());
    let waker = std::task::Waker::from(Arc::clone(&count));
    let mut context = std::task::Context::from_waker(&waker);
    assert!(first.as_mut().now_or_never().is_none());
    assert!(second.as_mut().poll(&mut context).is_pending());
    assert_eq!(rest(&mut slow), [0]);
    assert_eq!(count.get(), 0, "the first one was woken");
    drop(first);
    assert_eq!(count.get(), 1);
    assert!(second.as_mut().poll(&mut context).is_ready());

    // The same among consumers.
    assert_eq!(rest(&mut slow), [2]);
    let mut other = slow.competitor();
    let (mut first, mut second) = (Box::pin(slow.next()), Box::pin(other.next()));
    assert!(first.as_mut().now_or_never().is_none());
    assert!(second.as_mut().poll(&mut context).is_pending());
    publish(&topic, [3]);
    assert_eq!(count.get(), 1);
    drop(first);
    assert_eq!(count.get(), 2);
    assert!(second.as_mut().poll(&mut context).is_ready());
}

#[derive(Default)]
struct Count(std::sync::atomic::AtomicU32);

impl Count {
    fn get(&self) -> u32 {
        self.0.load(std::sync::atomic::Ordering::SeqCst)
    }
}

impl std::task::Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
    }
}
