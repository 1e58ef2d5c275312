use std::time::Duration;

use futures::TryStreamExt;
use steadfast_backends::Secret;
use steadfast_backends::redis::store::{self, RedisStore};
use steadfast_backends::redis::{Config, Persistence, RedisSink, RedisSource};
use steadfast_base::Deadline;
use steadfast_base::units::HumanDuration;
use steadfast_core::Event;
use steadfast_core::store::{Batch, Condition, Durability, EventStore, Query};
use steadfast_core::transport::{Error, Outcome, Received, Receiver, Settlement, Sink, Source, Subscribe};

use super::support::{config, started};

fn soon() -> Deadline {
    Deadline::within(Duration::from_secs(10))
}

async fn receive(receiver: &dyn Receiver) -> Vec<Received> {
    let received = tokio::time::timeout(Duration::from_secs(20), receiver.receive(10)).await;
    received.expect("in time").expect("it receives")
}

async fn send(config: Config, durability: Durability) -> Result<Durability, Error> {
    let sink = RedisSink::new(config)?;
    sink.send(&[Event::new("/test", "test.sent").build()], durability, soon()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_is_used_and_never_printed() {
    let redis = started(&[("requirepass", "hunter2")]).await;
    let right = Config { password: Some(Secret::new("hunter2")), ..config(&redis) };
    assert_eq!(send(right.clone(), Durability::Durable).await.expect("it is let in"), Durability::Durable);
    for password in [None, Some(Secret::new("hunter3"))] {
        let wrong = Config { password, ..right.clone() };
        let error = send(wrong.clone(), Durability::Accepted).await.expect_err("it is not let in");
        assert!(matches!(error, Error::Denied { .. }), "{error:?}");
        assert!(!format!("{error} {error:?} {wrong:?}").contains("hunter"), "{error:?}");
        let opened =
            RedisSource::new(wrong).expect("the configuration is right").open(&Subscribe::new("g")).await;
        assert!(matches!(opened, Err(Error::Denied { .. })));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_syncs_less_than_is_configured_is_refused() {
    let redis = started(&[("appendfsync", "everysec")]).await;
    let error = send(config(&redis), Durability::Accepted).await.expect_err("it syncs too little");
    assert!(error.to_string().contains("appendfsync everysec"), "{error}");
    let honest = Config { persistence: Persistence::Unknown, ..config(&redis) };
    assert_eq!(send(honest.clone(), Durability::Accepted).await.expect("it is sent"), Durability::Accepted);
    let error = send(honest, Durability::Written).await.expect_err("too much is asked for");
    assert!(matches!(error, Error::Unsupported { .. }), "{error:?}");
    // This server is older than 7.2.
    let newer = Config { persistence: Persistence::WaitAof, ..config(&redis) };
    let error = send(newer, Durability::Durable).await;
    assert!(matches!(
        error,
        Err(Error::Configuration { field: "persistence", .. }) | Ok(Durability::Durable)
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn another_number_of_shards_is_refused() {
    let redis = started(&[]).await;
    send(config(&redis), Durability::Durable).await.expect("it is sent");
    let error = send(Config { shards: 3, ..config(&redis) }, Durability::Durable).await;
    assert!(matches!(error, Err(Error::Configuration { field: "shards", .. })), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_that_is_no_event_is_put_aside() {
    let redis = started(&[]).await;
    let config = Config { shards: 1, ..config(&redis) };
    let mut commands = redis::Client::open(redis.url())
        .expect("the address is right")
        .get_multiplexed_async_connection()
        .await
        .expect("it connects");
    let add = |stream: &str| redis::cmd("XADD").arg(stream).arg("*").arg("note").arg("by hand").to_owned();
    let _: String = add("events").query_async(&mut commands).await.expect("it is added");
    send(config.clone(), Durability::Durable).await.expect("it is sent");

    let source = RedisSource::new(config).expect("the configuration is right");
    let receiver = source.open(&Subscribe::new("g")).await.expect("it opens");
    let received = receive(&*receiver).await;
    assert_eq!(received.len(), 1, "the event only");
    let settled = Settlement { token: received[0].token, outcome: Outcome::Handled };
    receiver.settle(&[settled]).await.expect("it is told");
    receiver.close(soon()).await.expect("it closes");

    let aside: usize =
        redis::cmd("XLEN").arg("events:refused").query_async(&mut commands).await.expect("it answers");
    assert_eq!(aside, 1);
    let pending: redis::streams::StreamPendingReply =
        redis::cmd("XPENDING").arg("events").arg("g").query_async(&mut commands).await.expect("it answers");
    assert_eq!(pending.count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_every_group_has_handled_makes_room() {
    let redis = started(&[]).await;
    let config = Config { shards: 1, length_max: 10, ..config(&redis) };
    let sink = RedisSink::new(config.clone()).expect("the configuration is right");
    let source = RedisSource::new(config).expect("the configuration is right");
    let events: Vec<Event> =
        (0..25).map(|n| Event::new("/test", "test.sent").subject(n.to_string()).build()).collect();
    let slow = source.open(&Subscribe::new("slow")).await.expect("it opens");
    let quick = source.open(&Subscribe::new("quick")).await.expect("it opens");

    let hurry = Deadline::within(Duration::from_millis(300));
    let error = sink.send(&events, Durability::Durable, hurry).await.expect_err("there is no room");
    assert!(matches!(error, Error::DeadlineExceeded { .. }), "ten of them were sent: {error:?}");
    for receiver in [&quick, &slow] {
        let hurry = Deadline::within(Duration::from_millis(300));
        let error = sink.send(&events[10..], Durability::Durable, hurry).await.expect_err("there is no room");
        assert!(matches!(error, Error::Overloaded { .. }), "nothing was sent: {error:?}");
        let mut handled = 0;
        while handled < 10 {
            let received = receive(&**receiver).await;
            handled += received.len();
            let settled: Vec<Settlement> = received
                .iter()
                .map(|received| Settlement { token: received.token, outcome: Outcome::Handled })
                .collect();
            receiver.settle(&settled).await.expect("it is told");
        }
    }
    sink.send(&events[10..20], Durability::Durable, soon()).await.expect("now there is room");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_was_deleted_is_made_again() {
    let redis = started(&[]).await;
    let config = Config { shards: 1, ..config(&redis) };
    let source = RedisSource::new(config.clone()).expect("the configuration is right");
    let receiver = source.open(&Subscribe::new("g")).await.expect("it opens");
    let mut commands = redis::Client::open(redis.url())
        .expect("the address is right")
        .get_multiplexed_async_connection()
        .await
        .expect("it connects");
    let _: () = redis::cmd("DEL").arg("events").query_async(&mut commands).await.expect("it is deleted");
    send(config, Durability::Durable).await.expect("it is sent");
    let received = tokio::time::timeout(Duration::from_secs(10), receiver.receive(10)).await;
    assert_eq!(received.expect("in time").expect("it receives").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_trusts_the_authority_that_is_configured_and_no_other() {
    let made = crate::tls::certificates();
    let path = |path: &std::path::Path| path.to_str().expect("a text").to_owned();
    let (certificate, key) = (path(&made.certificate), path(&made.key));
    let redis = tokio::task::spawn_blocking(move || {
        steadfast_servers::Redis::start_with(&[
            ("port", "0"),
            ("tls-port", "PORT"),
            ("tls-cert-file", &certificate),
            ("tls-key-file", &key),
            ("tls-auth-clients", "no"),
        ])
    })
    .await
    .expect("it does not panic")
    .expect("the server starts");
    let tls = |authority| Some(steadfast_backends::Tls { authority, ..Default::default() });
    let right = Config { tls: tls(Some(made.authority.clone())), ..config(&redis) };
    send(right.clone(), Durability::Durable).await.expect("it is trusted");
    let strict = RedisSink::new(Config { tls: tls(None), ..right }).expect("the configuration is right");
    let hurry = Deadline::within(Duration::from_secs(1));
    let error = strict.send(&[Event::new("/test", "test.sent").build()], Durability::Durable, hurry).await;
    assert!(matches!(error, Err(Error::Unavailable { .. })), "{error:?}");

    // The store, by a URL; a server that listens to TLS only is there for nobody else.
    let url = |scheme: &str, rest: &str| {
        format!("{scheme}://{}{rest}", redis.address()).parse::<Config>().expect("a URL")
    };
    let open = |config| RedisStore::open(config, store::Settings::default());
    let trusted = format!("?authority={}", made.authority.display());
    let store = open(url("rediss", &trusted)).await.expect("it is trusted");
    let batch = Batch::to_stream("s", [Event::new("/test", "e").build()]);
    store.append(batch, Condition::Any, Durability::Durable).await.expect("appended");
    let events: Vec<_> = store.read(Query::default()).try_collect().await.expect("readable");
    assert_eq!(events.len(), 1);
    let patience = HumanDuration(Duration::from_millis(200));
    let open = |config| RedisStore::open(config, store::Settings { patience, ..store::Settings::default() });
    for wrong in [url("rediss", ""), url("redis", "")] {
        let refused = open(wrong).await.map(drop).expect_err("another authority, or none");
        assert!(refused.to_string().contains("connecting to Redis"), "{refused}");
    }
}
