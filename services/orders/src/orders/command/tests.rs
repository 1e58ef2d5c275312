use std::sync::Arc;

use futures::future::join_all;
use futures::{FutureExt, TryStreamExt};
use steadfast::core::bus::Bus;
use steadfast::core::machine::Illegal;
use steadfast::core::store::{Batch, Condition, Durability, EventStore, MemoryStore, Query};

use super::{Answer, Book, Error, Orders, Settings, Started};
use crate::host::Key;
use crate::orders::domain::{Command, Details, OrderId, Refused, State};
use crate::orders::edge;
use crate::orders::log::{self, Cause, Entry, Fingerprint};
use crate::orders::process::Reason;

const FIXTURE: &[u8] = include_bytes!("../../../fixtures/orders-create.json");

fn details() -> Arc<Details> {
    Arc::new(edge::parse(FIXTURE).expect("the fixture is an order"))
}

fn cause(key: &str, request: &str) -> Cause {
    let key = Key::try_from(key.to_owned()).expect("a key");
    Cause { key, fingerprint: Fingerprint::of(request, b""), trace: None }
}

async fn orders_on(store: &Arc<dyn EventStore>) -> Orders {
    let book = Book::load(&**store, |_, _, _| {}).await.expect("the log is whole");
    let topic = Bus::new().topic("orders").expect("the bus is open");
    let settings = Settings { durability: Durability::Accepted, idempotent: true };
    Orders::new(Arc::clone(store), book, topic, settings)
}

async fn orders() -> (Arc<dyn EventStore>, Orders) {
    let store: Arc<dyn EventStore> = Arc::new(MemoryStore::new());
    let orders = orders_on(&store).await;
    (store, orders)
}

async fn created(orders: &Orders, key: &str) -> Answer {
    orders.create(details(), &cause(key, "/orders")).await.expect("it is created")
}

async fn kinds(store: &Arc<dyn EventStore>) -> Vec<String> {
    let events: Vec<_> = store.read(Query::default()).try_collect().await.expect("it can be read");
    events.iter().map(|stored| stored.event.kind().to_owned()).collect()
}

#[tokio::test]
async fn many_at_once_with_one_key_have_one_effect() {
    let (store, orders) = orders().await;
    let answers = join_all((0..16).map(|_| created(&orders, "k1"))).await;
    assert!(answers.iter().all(|answer| *answer == answers[0]));
    let ship = cause("s1", "/ship");
    let confirm = cause("c1", "/confirm");
    let begun = join_all((0..4).map(|_| orders.start_confirmation(answers[0].id, &confirm))).await;
    let now = begun.iter().filter(|begun| matches!(begun, Ok(Started::Now))).count();
    assert_eq!(now, 1, "{begun:?}");
    orders.complete_confirmation(answers[0].id).await.expect("it is confirmed");
    orders.complete_confirmation(answers[0].id).await.expect("a repetition changes nothing");
    for answer in join_all((0..4).map(|_| orders.execute(answers[0].id, &Command::Ship, &ship))).await {
        assert_eq!(answer.expect("it is shipped").state, State::Shipped);
    }
    let expected = [
        "order.created",
        "confirmation.requested",
        "order.confirmed",
        "confirmation.completed",
        "order.shipped",
    ];
    assert_eq!(kinds(&store).await, expected);
}

#[tokio::test]
async fn what_was_answered_is_answered_again_from_the_log() {
    let (store, orders) = orders().await;
    let first = created(&orders, "k1").await;
    let (cancel, confirm) = (cause("x1", "/cancel"), cause("c1", "/confirm"));
    assert_eq!(orders.start_confirmation(first.id, &confirm).await.expect("it begins"), Started::Now);
    let reason = Reason::Unavailable("payment".to_owned());
    orders.fail_confirmation(first.id, reason.clone()).await.expect("it is recorded");
    let cancelled = orders.execute(first.id, &Command::Cancel, &cancel).await.expect("it is cancelled");

    let again = orders_on(&store).await;
    assert_eq!(created(&again, "k1").await, first, "created, although it is cancelled now");
    assert_eq!(again.execute(first.id, &Command::Cancel, &cancel).await.expect("known"), cancelled);
    let known = again.start_confirmation(first.id, &confirm).await;
    assert!(matches!(&known, Err(Error::NotConfirmed(because)) if *because == reason), "{known:?}");
    let other = again.create(details(), &cause("k1", "/other")).await;
    assert!(matches!(other, Err(Error::KeyReused)), "{other:?}");
    let refused = again.execute(first.id, &Command::Ship, &cause("s1", "/ship")).await;
    assert!(matches!(refused, Err(Error::Refused(Refused::Illegal(Illegal { from: State::Cancelled, .. })))));
    assert_eq!(kinds(&store).await.len(), 4, "none of it wrote anything");
}

#[tokio::test]
async fn a_confirmation_under_way_holds_others_off_but_not_a_cancellation() {
    let (_, orders) = orders().await;
    let id = created(&orders, "k1").await.id;
    assert_eq!(
        orders.start_confirmation(id, &cause("c1", "/confirm")).await.expect("it begins"),
        Started::Now
    );
    let other = orders.start_confirmation(id, &cause("c2", "/confirm")).await;
    assert!(matches!(other, Err(Error::ConfirmationUnderWay)), "{other:?}");
    orders.execute(id, &Command::Cancel, &cause("x1", "/cancel")).await.expect("it is cancelled");
    let completed = orders.complete_confirmation(id).await;
    assert!(matches!(completed, Err(Error::Refused(_))), "what was done must be taken back: {completed:?}");
}

/// Somebody else writes, or an append was given up halfway: the log has more than the book.
#[tokio::test]
async fn the_book_catches_up_with_the_log() {
    let (store, orders) = orders().await;
    let id = OrderId::from_key("k1");
    let event = log::encode(
        id,
        &Entry::Order(crate::orders::domain::Event::Created(details())),
        &cause("k1", "/orders"),
    );
    let batch = Batch::to_stream(log::order_stream(id), [event]);
    store.append(batch, Condition::Any, Durability::Accepted).await.expect("it is appended");
    let answer = created(&orders, "k1").await;
    assert_eq!((answer.id, answer.revision.0), (id, 0));
    assert_eq!(kinds(&store).await, ["order.created"], "not created twice");
    assert!(orders.execute(id, &Command::Cancel, &cause("x1", "/cancel")).now_or_never().is_some());
}
