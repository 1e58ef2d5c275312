//! Answers, connections, servers and messages that are lost.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use steadfast_backends::nats::Config;
use steadfast_backends::nats::store::NatsStore;
use steadfast_base::units::HumanDuration;
use steadfast_core::store::{
    Batch, Condition, Durability, Error, EventStore, Expected, Filter, NewEvent, Outcome, Position, Query,
};
use steadfast_servers::{Nats, NatsSettings};

use super::proxy::Proxy;
use super::{Place, append, event, read};

fn durable() -> NatsSettings {
    NatsSettings { sync_always: true, ..NatsSettings::default() }
}

fn with_server(place: &mut Place, work: impl FnOnce(&mut Nats)) {
    tokio::task::block_in_place(|| work(Arc::get_mut(&mut place.server).expect("nobody else has it")));
}

/// What was stored although its answer was lost is found, and not stored twice; whoever appended hears of one append.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_append_whose_answer_was_lost_stands_once() {
    let place = Place::shared().await;
    let proxy = Proxy::start(place.server.address());
    let config = Config { address: proxy.address.to_string(), ..place.config.clone() };
    let store = NatsStore::open(config, place.settings.clone()).await.expect("opened");
    for round in 0..10_u64 {
        let mut batch = Batch::to_stream("s", [event("1"), event("2")]);
        if round % 2 == 1 {
            batch.events.insert(1, NewEvent { stream: "t".into(), event: event("between") });
        }
        let expected = match round {
            0 => Expected::NoStream,
            _ => Expected::Revision(steadfast_core::store::Revision(2 * round - 1)),
        };
        // It is known by heart, so that nothing is asked before it is sent.
        proxy.lose_the_next_answer();
        let appended =
            store.append(batch.clone(), Condition::stream("s", expected), Durability::Durable).await;
        let appended = appended.unwrap_or_else(|error| panic!("round {round}: {error}"));
        assert!(proxy.has_lost_it(), "round {round}");
        assert_eq!((appended.duplicate, appended.revision.0), (false, 2 * round + 1), "round {round}");
        let again = append(&store, batch).await;
        assert_eq!((again.duplicate, again.position), (true, appended.position), "round {round}");
    }
    assert_eq!(read(&store, Query::default()).await.len(), 25);
    append(&store, Batch::to_stream("gone", [event("e")])).await;
    proxy.lose_the_next_answer();
    let deleted = store.delete("gone", Some(Expected::Exists), Durability::Durable).await;
    assert_eq!(deleted.map(|deleted| deleted.events).ok(), Some(1));
    assert!(proxy.has_lost_it());
}

/// The same for appends that were sent together.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn appends_that_were_sent_together_stand_once_though_answers_were_lost() {
    let place = Place::shared().await;
    let proxy = Proxy::start(place.server.address());
    let config = Config { address: proxy.address.to_string(), ..place.config.clone() };
    let store = NatsStore::open(config, place.settings.clone()).await.expect("opened");
    append(&store, Batch::to_stream("s", [event("first")])).await;
    for round in 0..5_u64 {
        let appends = (0..40).map(|number| {
            let mut batch = Batch::to_stream("s", [event("1"), event("2")]);
            if number % 4 == 0 {
                batch.events.push(NewEvent { stream: "t".into(), event: event("3") });
            }
            append(&store, batch)
        });
        proxy.lose_the_next_answer();
        let appended = futures::future::join_all(appends).await;
        assert!(proxy.has_lost_it() && appended.iter().all(|one| !one.duplicate), "round {round}");
        let places: std::collections::HashSet<_> = appended.iter().map(|one| one.position).collect();
        assert_eq!(places.len(), 40, "round {round}");
    }
    for (stream, events) in [("s", 401), ("t", 50)] {
        let revisions: Vec<_> =
            read(&store, Query::stream(stream)).await.iter().map(|stored| stored.revision.0).collect();
        assert_eq!(revisions, (0..events).collect::<Vec<_>>());
    }
}

/// A server that stays away is waited for as long as the settings say, and nothing is promised.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_stays_away_is_told_of_in_time() {
    let mut place = Place::alone(durable()).await;
    // The stream is made.
    drop(place.open().await);
    place.settings.patience = HumanDuration(Duration::from_secs(1));
    let store = place.open().await;
    let append_one =
        || store.append(Batch::to_stream("s", [event("e")]), Condition::Any, Durability::Durable);
    append_one().await.expect("appended");
    with_server(&mut place, Nats::kill);
    // The first may have been sent into the void; once the loss is noticed, nothing is sent.
    let first = append_one().await.expect_err("nobody is there");
    assert!(matches!(first, Error::Io { .. }), "{first:?}");
    let next = append_one().await.expect_err("nobody is there");
    assert!(matches!(next, Error::Io { outcome: Outcome::NotAppended, .. }), "{next:?}");
    let unread = store.read(Query::default()).next().await;
    assert!(matches!(unread, Some(Err(Error::Io { .. }))), "{unread:?}");
    with_server(&mut place, |server| server.restart().expect("it starts again"));
    let back = async {
        while append_one().await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), back).await.expect("it is back");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subscription_goes_on_after_the_server_was_killed() {
    let mut place = Place::alone(durable()).await;
    let store = Arc::new(place.open().await);
    let appender = {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            for number in 0..60 {
                let streams = [format!("s{}", number % 2), "all".to_owned()];
                let events = streams.map(|stream| NewEvent { stream: stream.into(), event: event("e") });
                append(&store, Batch { events: events.into() }).await;
            }
        })
    };
    let mut subscriptions: Vec<_> =
        [Filter::all(), Filter::stream("all")].map(|filter| store.subscribe(filter, Position::START)).into();
    let (mut seen, mut kills) = ([Vec::new(), Vec::new()], 0);
    for (subscription, seen, count) in
        subscriptions.iter_mut().zip(&mut seen).zip([120, 60]).map(|((a, b), c)| (a, b, c))
    {
        while seen.len() < count {
            let next = tokio::time::timeout(Duration::from_secs(60), subscription.next()).await;
            seen.push(next.expect("in time").expect("no end").expect("readable"));
            if kills < 3 && seen.len() == 10 * (kills + 1) {
                kills += 1;
                with_server(&mut place, |server| {
                    server.kill();
                    server.restart().expect("it starts again");
                });
            }
        }
    }
    appender.await.expect("no panic");
    let all = read(&store, Query::default()).await;
    assert_eq!(seen[0], all);
    assert_eq!(seen[1], read(&store, Query::stream("all")).await);
    assert_eq!((kills, all.len()), (3, 120));
}

/// A server that has lost what it had acknowledged, or got an old copy of its files, is noticed: what is appended then
/// stands on what is there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_has_lost_messages_is_read_anew() {
    let place = Place::shared().await;
    let store = place.open().await;
    let lost = Batch::to_stream("s", [event("lost")]);
    append(&store, Batch::to_stream("s", [event("1")])).await;
    append(&store, lost.clone()).await;
    let context = place.jetstream().await;
    for others in [0, 1, 2, 3] {
        let mut made = context.get_stream(&place.settings.stream).await.expect("it is there");
        let config = made.info().await.expect("it answers").config.clone();
        context.delete_stream(&place.settings.stream).await.expect("deleted");
        context.create_stream(config).await.expect("made");
        if others > 0 {
            let other = place.open().await;
            for _ in 0..others {
                append(&other, Batch::to_stream("t", [event("other")])).await;
            }
        }
        let appended = append(&store, lost.clone()).await;
        assert_eq!((appended.duplicate, appended.revision.0), (false, 0), "{others}");
        assert_eq!(read(&store, Query::default()).await.len(), others + 1);
        append(&store, Batch::to_stream("s", [event("more")])).await;
    }
}
