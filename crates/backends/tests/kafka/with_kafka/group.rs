use std::collections::HashSet;
use std::time::{Duration, Instant};

use krafka::admin::{ConsumerGroupMember, DescribeConsumerGroupsOptions, TopicPartitionAssignment};
use steadfast_backends::kafka::{Config, Create, FOREIGN_KIND, KafkaSink, KafkaSource};
use steadfast_base::Deadline;
use steadfast_base::units::HumanDuration;
use steadfast_core::store::Durability;
use steadfast_core::transport::{Outcome, Received, Receiver, Settlement, Sink, Source, Subscribe};
use steadfast_core::{Event, EventId};

use super::pool;

fn soon() -> Deadline {
    Deadline::within(Duration::from_secs(20))
}

async fn receive(receiver: &dyn Receiver, enough: usize) -> Vec<Received> {
    let mut all = Vec::new();
    while all.len() < enough {
        let received = tokio::time::timeout(Duration::from_secs(20), receiver.receive(enough - all.len()));
        all.extend(received.await.expect("in time").expect("it receives"));
    }
    all
}

async fn handle(receiver: &dyn Receiver, received: &[Received]) {
    let handled = |received: &Received| Settlement { token: received.token, outcome: Outcome::Handled };
    receiver.settle(&received.iter().map(handled).collect::<Vec<_>>()).await.expect("it is told");
}

fn events(keys: u32) -> Vec<Event> {
    (0..keys).map(|key| Event::new("/test", "test.sent").subject(format!("key-{key}")).build()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partition_moves_once_its_events_are_settled() {
    let mut node = tokio::task::spawn_blocking(pool::borrow).await.expect("a node is there");
    let config = Config { hand_over_within: HumanDuration(Duration::from_secs(30)), ..node.config() };
    let sink = KafkaSink::new(config.clone()).expect("the configuration is right");
    let source = KafkaSource::new(config).expect("the configuration is right");
    sink.send(&events(40), Durability::Written, soon()).await.expect("they are sent");

    let first = source.open(&Subscribe::new("g")).await.expect("it opens");
    let held = receive(&*first, 40).await;
    let second = source.open(&Subscribe::new("g")).await.expect("it opens");
    let early = tokio::time::timeout(Duration::from_secs(4), second.receive(10)).await;
    assert!(early.is_err(), "what the first holds came to the second: {early:?}");

    handle(&*first, &held).await;
    sink.send(&events(40), Durability::Written, soon()).await.expect("they are sent");
    // Both work now: the second gets its share, and nothing that the first has handled.
    let ids: Vec<_> = held.iter().map(|received| received.event.id()).collect();
    let mine = receive(&*second, 1).await;
    assert!(mine.iter().all(|received| !ids.contains(&received.event.id())), "handed over with its commit");
    for receiver in [first, second] {
        receiver.close(soon()).await.expect("it closes");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partition_moves_without_its_events_after_a_while() {
    let mut node = tokio::task::spawn_blocking(pool::borrow).await.expect("a node is there");
    let config = Config {
        hand_over_within: HumanDuration(Duration::from_millis(200)),
        create: Some(Create { partitions: 2, replicas: 1 }),
        ..node.config()
    };
    let sink = KafkaSink::new(config.clone()).expect("the configuration is right");
    let source = KafkaSource::new(config).expect("the configuration is right");
    sink.send(&events(40), Durability::Written, soon()).await.expect("they are sent");

    let first = source.open(&Subscribe::new("g")).await.expect("it opens");
    let held = receive(&*first, 40).await;
    let second = source.open(&Subscribe::new("g")).await.expect("it opens");
    let again = receive(&*second, 1).await;
    assert!(held.iter().any(|received| received.event.id() == again[0].event.id()));
    // The word of the first on what it has lost means nothing, and does no harm.
    handle(&*first, &held).await;
    handle(&*second, &again).await;
}

/// What comes within a moment, handled.
async fn handle_some(receiver: &dyn Receiver) -> Vec<EventId> {
    match tokio::time::timeout(Duration::from_millis(200), receiver.receive(100)).await {
        Ok(received) => {
            let received = received.expect("it receives");
            handle(receiver, &received).await;
            received.iter().map(|received| received.event.id()).collect()
        }
        Err(_) => Vec::new(),
    }
}

fn partitions(assignment: Option<&[TopicPartitionAssignment]>) -> HashSet<i32> {
    assignment.iter().copied().flatten().flat_map(|topic| &topic.partitions).copied().collect()
}

/// Waits until one member of the group has all of the topic, and knows that it has. The group as a whole may wait for
/// members of other topics, which another test has left without a word.
async fn until_alone(config: &Config) {
    let kafka = krafka::Kafka::builder(&config.brokers[0]).connect().await.expect("it connects");
    let follows = |member: &ConsumerGroupMember| {
        member.subscribed_topic_names.as_ref().is_some_and(|topics| topics.contains(&config.topic))
    };
    let began = Instant::now();
    loop {
        let options = DescribeConsumerGroupsOptions::default();
        let mut described = kafka.admin().describe_consumer_groups(["g"], options).await.expect("it answers");
        let group = described.remove("g").expect("it was asked for").expect("it is there");
        let followers: Vec<_> = group.members.iter().filter(|member| follows(member)).collect();
        if let [one] = followers[..]
            && one.member_epoch == group.group_epoch
            && partitions(one.assignment.as_deref()) == partitions(one.target_assignment.as_deref())
        {
            return;
        }
        assert!(began.elapsed() < Duration::from_secs(20), "{group:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn partitions_that_come_to_a_receiver_whose_hands_are_full_lose_nothing() {
    let mut node = tokio::task::spawn_blocking(pool::borrow).await.expect("a node is there");
    let config = node.config();
    let sink = KafkaSink::new(config.clone()).expect("the configuration is right");
    let source = KafkaSource::new(config.clone()).expect("the configuration is right");
    let full = Subscribe { in_flight_max: 4, ..Subscribe::new("g") };
    let (first, second) =
        (source.open(&full).await.expect("it opens"), source.open(&full).await.expect("it opens"));
    // Until both have partitions and nothing is left over.
    let (mut left, mut shared) = (HashSet::new(), false);
    let began = Instant::now();
    while !left.is_empty() || !shared {
        let missing = left.len();
        assert!(began.elapsed() < Duration::from_secs(60), "{missing} did not come; both got some: {shared}");
        if left.is_empty() {
            let sent = events(40);
            sink.send(&sent, Durability::Written, soon()).await.expect("they are sent");
            left.extend(sent.iter().map(Event::id));
        }
        let (one, other) = tokio::join!(handle_some(&*first), handle_some(&*second));
        shared |= !one.is_empty() && !other.is_empty();
        left.retain(|id| !one.contains(id) && !other.contains(id));
    }

    let sent = events(400);
    sink.send(&sent, Durability::Written, soon()).await.expect("they are sent");
    let mut held = receive(&*first, 4).await;
    second.close(soon()).await.expect("it closes");
    // Its partitions come here, where there is no room for their events.
    until_alone(&config).await;
    let mut left: HashSet<_> = sent.iter().map(Event::id).collect();
    while !left.is_empty() {
        for received in &held {
            left.remove(&received.event.id());
        }
        handle(&*first, &held).await;
        if left.is_empty() {
            break;
        }
        let next = tokio::time::timeout(Duration::from_secs(10), first.receive(100)).await;
        held = next.unwrap_or_else(|_| panic!("{} events did not come", left.len())).expect("it receives");
    }
    first.close(soon()).await.expect("it closes");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_is_dropped_while_it_joins_keeps_no_partition() {
    let mut node = tokio::task::spawn_blocking(pool::borrow).await.expect("a node is there");
    let config = node.config();
    let sink = KafkaSink::new(config.clone()).expect("the configuration is right");
    let source = KafkaSource::new(config).expect("the configuration is right");
    sink.send(&events(40), Durability::Written, soon()).await.expect("they are sent");
    for patience in 0..12 {
        let receiver = source.open(&Subscribe::new("g")).await.expect("it opens");
        tokio::time::sleep(Duration::from_millis(patience)).await;
        drop(receiver);
    }
    // A member that is missed only by its silence would keep its share for 45 seconds.
    let last = source.open(&Subscribe::new("g")).await.expect("it opens");
    receive(&*last, 40).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_is_no_event_becomes_one() {
    let mut node = tokio::task::spawn_blocking(pool::borrow).await.expect("a node is there");
    let config = node.config();
    let receiver = KafkaSource::new(config.clone()).expect("the configuration is right");
    let receiver = receiver.open(&Subscribe::new("g")).await.expect("it opens");
    let kafka = krafka::Kafka::builder(&config.brokers[0]).connect().await.expect("it connects");
    let producer = kafka.producer().build().await.expect("it is made");
    let record = krafka::Record::new(&config.topic, "by hand").key("k");
    let _place = producer.send(record).await.expect("it is sent");

    let received = receive(&*receiver, 1).await;
    let event = &received[0].event;
    assert_eq!((event.kind(), event.partition_key()), (FOREIGN_KIND, Some("k")));
    assert_eq!(&event.data()[..], b"by hand");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_retention_has_removed_does_not_hold_up_what_is_left() {
    let mut node = tokio::task::spawn_blocking(pool::borrow).await.expect("a node is there");
    let config = Config { create: Some(Create { partitions: 1, replicas: 1 }), ..node.config() };
    let sink = KafkaSink::new(config.clone()).expect("the configuration is right");
    let source = KafkaSource::new(config.clone()).expect("the configuration is right");
    let sent = events(20);
    sink.send(&sent, Durability::Written, soon()).await.expect("they are sent");
    let receiver = source.open(&Subscribe::new("g")).await.expect("it opens");
    let first = receive(&*receiver, 5).await;
    handle(&*receiver, &first).await;
    receiver.close(soon()).await.expect("it closes");

    let kafka = krafka::Kafka::builder(&config.brokers[0]).connect().await.expect("it connects");
    let before = [(krafka::admin::TopicPartition::new(config.topic.clone(), 0), 10)];
    let removed = kafka.admin().delete_records(before, krafka::admin::DeleteRecordsOptions::default()).await;
    assert!(removed.expect("it answers").into_values().all(|removed| removed.is_ok()));
    let receiver = source.open(&Subscribe::new("g")).await.expect("it opens");
    let left = receive(&*receiver, 10).await;
    let ids = |events: &[Event]| events.iter().map(Event::id).collect::<Vec<_>>();
    assert_eq!(left.iter().map(|received| received.event.id()).collect::<Vec<_>>(), ids(&sent[10..]));
    handle(&*receiver, &left).await;
    receiver.close(soon()).await.expect("it closes");
}
