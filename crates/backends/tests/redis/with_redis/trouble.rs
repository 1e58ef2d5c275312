//! What goes wrong beside a server that dies.

use std::time::Duration;

use redis::aio::MultiplexedConnection;
use steadfast_backends::Secret;
use steadfast_backends::redis::{Config, RedisSink, RedisSource};
use steadfast_base::Deadline;
use steadfast_base::units::HumanDuration;
use steadfast_core::Event;
use steadfast_core::store::Durability;
use steadfast_core::transport::{
    Error, Link, Outcome, Received, Receiver, Settlement, Sink, Source, Subscribe,
};
use steadfast_servers::Redis;

use super::support::{config, started};

fn soon() -> Deadline {
    Deadline::within(Duration::from_secs(10))
}

fn event(number: usize) -> Event {
    Event::new("/test", "test.sent").subject("key").data("text/plain", number.to_string())
}

async fn commands(redis: &Redis) -> MultiplexedConnection {
    let client = redis::Client::open(redis.url()).expect("the address is right");
    client.get_multiplexed_async_connection().await.expect("it connects")
}

async fn ask<T: redis::FromRedisValue>(connection: &mut MultiplexedConnection, command: &str) -> T {
    let mut words = command.split(' ');
    let mut command = redis::cmd(words.next().expect("a command"));
    words.for_each(|word| {
        command.arg(word);
    });
    command.query_async(connection).await.expect("it answers")
}

/// What the server says of a command, which it names once it was called.
async fn statistic(connection: &mut MultiplexedConnection, command: &str, name: &str) -> u64 {
    let stats: String = ask(connection, "INFO commandstats").await;
    let of_command = stats
        .lines()
        .find_map(|line| line.strip_prefix("cmdstat_")?.strip_prefix(command)?.strip_prefix(':'));
    let value = of_command
        .and_then(|line| line.split(',').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('=')));
    value.map_or(0, |value| value.parse().expect("a number"))
}

/// Waits until the server has refused `least` waits for entries, and returns how many it has.
async fn refused(connection: &mut MultiplexedConnection, least: u64) -> u64 {
    let began = std::time::Instant::now();
    loop {
        let refused = statistic(connection, "xread", "rejected_calls").await;
        if refused >= least {
            return refused;
        }
        assert!(began.elapsed() < Duration::from_secs(10), "{refused} of {least} waits");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn send(config: &Config, events: &[Event]) -> Result<Durability, Error> {
    let sink = RedisSink::new(config.clone())?;
    let sent = sink.send(events, Durability::Durable, soon()).await;
    sink.close(soon()).await.expect("it closes");
    sent
}

async fn open(config: &Config, in_flight_max: usize) -> Box<dyn Receiver> {
    let source = RedisSource::new(config.clone()).expect("the configuration is right");
    source.open(&Subscribe { in_flight_max, ..Subscribe::new("g") }).await.expect("it opens")
}

async fn receive(receiver: &dyn Receiver, max: usize) -> Vec<Received> {
    let received = tokio::time::timeout(Duration::from_secs(20), receiver.receive(max)).await;
    received.expect("in time").expect("it receives")
}

fn handled(received: &[Received]) -> Vec<Settlement> {
    let settlement = |one: &Received| Settlement { token: one.token, outcome: Outcome::Handled };
    received.iter().map(settlement).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_successor_takes_over_however_much_was_left() {
    const COUNT: usize = 9_000;
    let redis = started(&[("appendfsync", "everysec")]).await;
    let config =
        Config { shards: 1, persistence: steadfast_backends::redis::Persistence::Unknown, ..config(&redis) };
    let events: Vec<Event> = (0..COUNT).map(event).collect();
    let sink = RedisSink::new(config.clone()).expect("the configuration is right");
    sink.send(&events, Durability::Accepted, soon()).await.expect("it is sent");
    for _ in 0..2 {
        let receiver = open(&config, 2 * COUNT).await;
        let mut numbers = Vec::new();
        while numbers.len() < COUNT {
            let received = receive(&*receiver, COUNT).await;
            numbers.extend(received.iter().map(|one| String::from_utf8_lossy(one.event.data()).into_owned()));
        }
        let all: Vec<String> = (0..COUNT).map(|number| number.to_string()).collect();
        assert!(numbers == all, "each once and in order");
        receiver.close(soon()).await.expect("it closes");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_that_cannot_be_put_aside_blocks_nothing_and_is_not_lost() {
    let redis = started(&[]).await;
    let mut admin = commands(&redis).await;
    let config = Config { shards: 1, ..config(&redis) };
    send(&config, &[event(0)]).await.expect("it is sent");
    let _: String = ask(&mut admin, "XADD events * note by-hand").await;
    send(&config, &[event(1), event(2)]).await.expect("it is sent");
    let keys = "~events ~events:owners* ~events:alive* ~events:shards";
    let _: String = ask(&mut admin, &format!("ACL SETUSER shop on >hunter2 +@all {keys}")).await;
    let shop = Config {
        username: Some("shop".to_owned()),
        password: Some(Secret::new("hunter2")),
        ..config.clone()
    };

    let receiver = open(&shop, 10).await;
    let mut subjects = Vec::new();
    while subjects.len() < 3 {
        let received = receive(&*receiver, 10).await;
        subjects.extend(received.iter().map(|one| String::from_utf8_lossy(one.event.data()).into_owned()));
        receiver.settle(&handled(&received)).await.expect("it is told");
    }
    assert_eq!(subjects, ["0", "1", "2"]);
    receiver.close(soon()).await.expect("it closes");
    assert_eq!(ask::<u32>(&mut admin, "XLEN events:refused").await, 0);

    let _: String = ask(&mut admin, "ACL SETUSER shop allkeys").await;
    let receiver = open(&shop, 10).await;
    for _ in 0..100 {
        if ask::<u32>(&mut admin, "XLEN events:refused").await == 1 {
            receiver.close(soon()).await.expect("it closes");
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("it was not put aside once that was allowed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_that_is_refused_is_not_repeated_at_once() {
    let redis = started(&[]).await;
    let mut admin = commands(&redis).await;
    let _: String = ask(&mut admin, "ACL SETUSER shop on >hunter2 +@all -xread allkeys").await;
    let shop = Config {
        shards: 1,
        username: Some("shop".to_owned()),
        password: Some(Secret::new("hunter2")),
        ..config(&redis)
    };
    let receiver = open(&shop, 10).await;
    let first = refused(&mut admin, 1).await;
    let (began, scripts) = (std::time::Instant::now(), statistic(&mut admin, "evalsha", "calls").await);
    let last = refused(&mut admin, first + 5).await;
    let (took, scripts) = (began.elapsed(), statistic(&mut admin, "evalsha", "calls").await - scripts);
    // 100 ms lie between any two.
    let least = Duration::from_millis(100) * (u32::try_from(last - first).expect("few") - 1);
    assert!(took >= least, "{} waits in {took:?}", last - first);
    assert!(scripts > 0, "it looks without waiting, too");

    send(&shop, &[event(0)]).await.expect("it is sent");
    assert_eq!(receive(&*receiver, 10).await.len(), 1, "events come all the same");
    receiver.close(soon()).await.expect("it closes");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_could_not_be_told_is_not_said_to_be_told() {
    let mut redis = started(&[]).await;
    let config = Config { shards: 1, ..config(&redis) };
    send(&config, &[event(0)]).await.expect("it is sent");
    let receiver = open(&config, 10).await;
    let received = receive(&*receiver, 10).await;
    tokio::task::block_in_place(|| redis.kill());
    for attempt in ["first", "second"] {
        let told = receiver.settle(&handled(&received)).await;
        assert!(matches!(told, Err(Error::Unavailable { .. })), "{attempt}: {told:?}");
    }
    tokio::task::block_in_place(|| redis.restart()).expect("it starts again");
    let telling = async {
        while receiver.settle(&handled(&received)).await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), telling).await.expect("in time");
    let mut admin = commands(&redis).await;
    let pending: (u32, redis::Value, redis::Value, redis::Value) = ask(&mut admin, "XPENDING events g").await;
    assert_eq!(pending.0, 0);
    receiver.close(soon()).await.expect("it closes");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_closed_is_disconnected() {
    let redis = started(&[]).await;
    let mut admin = commands(&redis).await;
    let sink = RedisSink::new(config(&redis)).expect("the configuration is right");
    sink.send(&[event(0)], Durability::Durable, soon()).await.expect("it is sent");
    let receiver = open(&config(&redis), 10).await;
    receive(&*receiver, 1).await;
    sink.close(soon()).await.expect("it closes");
    receiver.close(soon()).await.expect("it closes");
    for _ in 0..100 {
        let clients: String = ask(&mut admin, "CLIENT LIST").await;
        if clients.lines().count() == 1 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("connections are left behind");
}

#[tokio::test(flavor = "multi_thread")]
async fn closing_takes_no_longer_than_its_deadline_while_nobody_is_there() {
    // Port 1 of the loopback: nobody listens there.
    let config = Config { address: "127.0.0.1:1".to_owned(), ..Config::default() };
    let sink = std::sync::Arc::new(RedisSink::new(config).expect("the configuration is right"));
    let sending = tokio::spawn({
        let sink = std::sync::Arc::clone(&sink);
        async move { sink.send(&[event(0)], Durability::Accepted, soon()).await }
    });
    let is_down = |link: &Link| matches!(link, Link::Down { attempts: 3.., .. });
    let mut link = sink.link();
    let tries = tokio::time::timeout(Duration::from_secs(10), link.wait_for(is_down)).await;
    tries.expect("it tries again and again").expect("it says how it stands");
    let closing = sink.close(Deadline::within(Duration::from_millis(50)));
    let closed = tokio::time::timeout(Duration::from_millis(500), closing).await.expect("by its deadline");
    assert!(matches!(closed, Err(Error::DeadlineExceeded { .. })), "{closed:?}");
    let sent = tokio::time::timeout(Duration::from_secs(5), sending).await.expect("it ends soon");
    assert!(matches!(sent.expect("no panic"), Err(Error::Closed)));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_was_not_stored_is_not_remembered() {
    let redis = started(&[]).await;
    let mut admin = commands(&redis).await;
    let remember_ids = HumanDuration(Duration::from_secs(60));
    let config = Config { shards: 1, remember_ids, ..config(&redis) };
    let _: String = ask(&mut admin, "SET events no-stream").await;
    let once = [event(0)];
    let error = send(&config, &once).await.expect_err("it is no stream");
    assert!(matches!(error, Error::Rejected { .. }), "{error}");
    let _: u32 = ask(&mut admin, "DEL events").await;
    for _ in 0..2 {
        send(&config, &once).await.expect("it is sent");
        assert_eq!(ask::<u32>(&mut admin, "XLEN events").await, 1);
    }
    let many = Event::new("/test", "test.sent");
    let many = (0..3_000).fold(many, |event, number| event.extension(format!("x{number}"), "1"));
    let error = send(&config, &[many.build()]).await.expect_err("they are too many");
    assert!(matches!(error, Error::Rejected { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_deletes_streams_to_make_room_is_refused() {
    let redis = started(&[("maxmemory", "100mb"), ("maxmemory-policy", "allkeys-lru")]).await;
    let error = send(&config(&redis), &[event(0)]).await.expect_err("events may be deleted");
    assert!(error.to_string().contains("set `noeviction`"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_connection_is_not_counted_as_a_delivery() {
    let redis = started(&[]).await;
    let mut admin = commands(&redis).await;
    let config = Config { shards: 1, ..config(&redis) };
    send(&config, &[event(0), event(1)]).await.expect("it is sent");
    let receiver = open(&config, 10).await;
    let held = receive(&*receiver, 1).await;
    for _ in 0..3 {
        let _: u32 = ask(&mut admin, "CLIENT KILL TYPE normal SKIPME yes").await;
        let telling = async {
            while receiver.settle(&[]).await.is_err() || *receiver.link().borrow() != Link::Up {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), telling).await.expect("in time");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert_eq!(receive(&*receiver, 1).await[0].redeliveries, 0);
    drop(receiver);
    let successor = open(&config, 10).await;
    let again = receive(&*successor, 10).await;
    assert_eq!(again[0].event.id(), held[0].event.id());
    assert_eq!(again[0].redeliveries, 1, "one receiver had it before");
    successor.close(soon()).await.expect("it closes");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_died_is_waited_for_for_its_own_lease() {
    let redis = started(&[]).await;
    let mut admin = commands(&redis).await;
    let lease = HumanDuration(Duration::from_secs(30));
    let config = Config { shards: 1, lease, ..config(&redis) };
    send(&config, &[event(0)]).await.expect("it is sent");
    // A clock that is set does not matter: nothing but the beat says that it lived.
    let _: u32 = ask(&mut admin, "HSET events:owners:g 0 ghost beats 7").await;
    let began = std::time::Instant::now();
    let _: u32 = redis::cmd("HSET")
        .arg(&["events:alive:g", "ghost", "7 1000"])
        .query_async(&mut admin)
        .await
        .expect("it answers");
    let receiver = open(&config, 10).await;
    assert_eq!(receive(&*receiver, 10).await.len(), 1);
    let waited = began.elapsed();
    assert!((Duration::from_secs(1)..Duration::from_secs(5)).contains(&waited), "{waited:?}");
    receiver.close(soon()).await.expect("it closes");
}

/// Redis 7.2 and later can be asked to sync; an older one is refused.
#[tokio::test(flavor = "multi_thread")]
async fn who_asks_for_durability_waits_for_the_file_once_with_others() {
    let redis = started(&[("appendfsync", "everysec")]).await;
    let remember_ids = HumanDuration(Duration::from_secs(60));
    let persistence = steadfast_backends::redis::Persistence::WaitAof;
    let config = Config { persistence, remember_ids, ..config(&redis) };
    let info: String = ask(&mut commands(&redis).await, "INFO server").await;
    let version = info.lines().find_map(|line| line.strip_prefix("redis_version:")).expect("it has one");
    let mut numbers = version.split('.').map(|number| number.parse::<u32>().expect("a number"));
    if (numbers.next(), numbers.next()) < (Some(7), Some(2)) {
        let error = send(&config, &[event(0)]).await.expect_err("it is too old");
        assert!(matches!(error, Error::Configuration { field: "persistence", .. }), "{error}");
        return;
    }
    let sink = std::sync::Arc::new(RedisSink::new(config.clone()).expect("the configuration is right"));
    let began = std::time::Instant::now();
    let sending: Vec<_> = (0..20)
        .map(|number| {
            let sink = std::sync::Arc::clone(&sink);
            tokio::spawn(async move { sink.send(&[event(number)], Durability::Durable, soon()).await })
        })
        .collect();
    for sent in sending {
        assert_eq!(sent.await.expect("no panic").expect("it is sent"), Durability::Durable);
    }
    assert!(began.elapsed() < Duration::from_secs(5), "one after the other: {:?}", began.elapsed());

    // What another connection has written and nobody has waited for is waited for when it is sent again.
    let mut longest = Duration::ZERO;
    for _ in 0..5 {
        let once = [event(0)];
        let first = RedisSink::new(config.clone()).expect("the configuration is right");
        let again = RedisSink::new(config.clone()).expect("the configuration is right");
        again.send(&[event(1)], Durability::Durable, soon()).await.expect("it is sent");
        tokio::time::sleep(Duration::from_millis(100)).await;
        first.send(&once, Durability::Accepted, soon()).await.expect("it is sent");
        let began = std::time::Instant::now();
        again.send(&once, Durability::Durable, soon()).await.expect("it is sent");
        longest = longest.max(began.elapsed());
    }
    assert!(longest > Duration::from_millis(100), "it has not waited: {longest:?}");
}
