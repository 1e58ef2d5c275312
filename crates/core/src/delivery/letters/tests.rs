use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures::future::BoxFuture;
use futures::stream::BoxStream;
use parking_lot::Mutex;
use steadfast_base::TraceContext;

use super::{DeadLetters, Error, Fate, Letter, LetterId, LetterQuery, MemoryDeadLetters, StoredDeadLetters};
use crate::Event;
use crate::delivery::{Cause, Message};
use crate::store::{
    self, Appended, Batch, Capabilities, Condition, Durability, EventStore, Filter, MemoryStore, Outcome,
    Position, Query, Revision, StoredEvent,
};

fn letter(number: u64, key: &str, fate: Fate) -> Letter<Event> {
    let event = Event::new("/orders", format!("kind-{number}"))
        .subject(key)
        .extension("tenant", "a")
        .data("application/json", format!("{{ \"number\": {number}.0 }}"));
    let trace = TraceContext::new(7, 9, true).expect("neither is zero");
    let message = Message::of_event(event).trace(trace).operation("handle");
    Letter { id: LetterId::default(), destination: "orders".into(), subscriber: "mail".into(), message, fate }
}

fn dead(attempts: u32) -> Fate {
    let first_failed = SystemTime::UNIX_EPOCH + Duration::from_millis(1_234_567_890_123);
    Fate::Dead { cause: Cause::Failed { reason: "no mail".to_owned() }, attempts, first_failed }
}

/// Says what a letter is, so that letters can be compared.
fn text(letter: &Letter<Event>) -> String {
    format!("{letter:?}")
}

async fn list(letters: &dyn DeadLetters<Event>, select: LetterQuery) -> Vec<Letter<Event>> {
    letters.list(&select).await.expect("it answers")
}

/// What every place for letters promises.
async fn check(letters: &dyn DeadLetters<Event>) {
    let mut ids = Vec::new();
    for number in 0..6 {
        let key = if number % 2 == 0 { "even" } else { "odd" };
        let fate = if number < 2 { dead(3) } else { Fate::Parked };
        ids.push(letters.put(&letter(number, key, fate)).await.expect("there is room"));
    }
    assert!(ids.is_sorted_by(|a, b| a < b) && ids[0] > LetterId::default());
    let all = list(letters, LetterQuery::default()).await;
    assert_eq!(all.iter().map(|letter| letter.id).collect::<Vec<_>>(), ids);
    let kinds = |letters: &[Letter<Event>]| -> Vec<String> {
        letters.iter().map(|letter| letter.message.payload().kind().to_owned()).collect()
    };
    let odd = LetterQuery { partition_key: Some("odd".into()), ..LetterQuery::default() };
    assert_eq!(kinds(&list(letters, odd.clone()).await), ["kind-1", "kind-3", "kind-5"]);
    let second = LetterQuery { after: ids[1], limit: 1, ..odd };
    assert_eq!(kinds(&list(letters, second).await), ["kind-3"]);
    let other = LetterQuery { subscriber: Some("other".into()), ..LetterQuery::default() };
    assert!(list(letters, other).await.is_empty());

    // The same message again is the same letter, but another one for another subscriber.
    assert_eq!(letters.put(&all[2]).await.expect("it is there"), ids[2]);
    let full = Letter { subscriber: "other".into(), ..all[2].clone() };
    let id = letters.put(&full).await.expect("there is room");
    assert!(id > ids[5]);
    let full = letters.put(&letter(9, "odd", Fate::Parked)).await;
    assert!(matches!(full, Err(Error::Full { capacity: 7 })), "{full:?}");

    letters.amend(ids[2], &dead(5)).await.expect("it answers");
    letters.amend(LetterId(999), &dead(5)).await.expect("a letter that is not there is left alone");
    let taken = letters.take(ids[0]).await.expect("it answers").expect("it is there");
    assert_eq!(text(&taken), text(&all[0]));
    assert!(letters.take(ids[0]).await.expect("it answers").is_none());
    let left = list(letters, LetterQuery { limit: 2, ..LetterQuery::default() }).await;
    assert_eq!(kinds(&left), ["kind-1", "kind-2"]);
    assert_eq!(left[1].fate, dead(5));
    letters.put(&letter(9, "odd", Fate::Parked)).await.expect("there is room again");
}

#[tokio::test]
async fn letters_are_kept_in_memory() {
    check(&MemoryDeadLetters::new(7)).await;
}

#[tokio::test]
async fn letters_are_kept_in_a_store_and_read_back_as_they_were() {
    let store: Arc<dyn EventStore> = Arc::new(MemoryStore::new());
    let open = || StoredDeadLetters::open(Arc::clone(&store), "test", 7, Durability::Accepted);
    let letters = open().await.expect("an empty store is read");
    check(&letters).await;
    let again = open().await.expect("the store is read");
    let (before, after) =
        (list(&letters, LetterQuery::default()).await, list(&again, LetterQuery::default()).await);
    assert_eq!(before.len(), 7);
    assert_eq!(before.iter().map(text).collect::<Vec<_>>(), after.iter().map(text).collect::<Vec<_>>());
    // A new letter stands behind all others, also those that were taken.
    again.take(before[6].id).await.expect("it answers");
    let id = again.put(&letter(10, "odd", Fate::Parked)).await.expect("there is room");
    assert!(id > before[6].id);
}

#[tokio::test]
async fn every_cause_survives_the_store() {
    let reason = "why".to_owned();
    let causes = [
        Cause::Failed { reason: reason.clone() },
        Cause::Panicked { reason: reason.clone() },
        Cause::TimedOut,
        Cause::Dropped,
        Cause::Lost,
        Cause::NotUpcast { reason },
        Cause::ParkingFull,
    ];
    let store: Arc<dyn EventStore> = Arc::new(MemoryStore::new());
    let open = || StoredDeadLetters::open(Arc::clone(&store), "test", 7, Durability::Accepted);
    let letters = open().await.expect("an empty store is read");
    for (number, cause) in causes.iter().enumerate() {
        let fate = Fate::Dead { cause: cause.clone(), attempts: 1, first_failed: SystemTime::UNIX_EPOCH };
        letters.put(&letter(number as u64, "a", fate)).await.expect("there is room");
    }
    let kept = list(&open().await.expect("the store is read"), LetterQuery::default()).await;
    let kept: Vec<_> = kept
        .into_iter()
        .filter_map(|letter| match letter.fate {
            Fate::Dead { cause, .. } => Some(cause),
            Fate::Parked => None,
        })
        .collect();
    assert_eq!(kept, causes);
}

/// A store whose first append is made, and said to have failed.
struct Forgetful {
    inner: MemoryStore,
    failures: Mutex<u32>,
}

impl EventStore for Forgetful {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    fn append(
        &self,
        batch: Batch,
        condition: Condition,
        durability: Durability,
    ) -> BoxFuture<'_, Result<Appended, store::Error>> {
        Box::pin(async move {
            // Others get their turn between asking and appending, as with a store on a medium.
            tokio::task::yield_now().await;
            let appended = self.inner.append(batch, condition, durability).await;
            let mut failures = self.failures.lock();
            if *failures == 0 {
                return appended;
            }
            *failures -= 1;
            Err(store::Error::io("appending", std::io::Error::other("the answer is lost"), Outcome::Unknown))
        })
    }

    fn read(&self, query: Query) -> BoxStream<'_, Result<StoredEvent, store::Error>> {
        self.inner.read(query)
    }

    fn subscribe(&self, filter: Filter, after: Position) -> BoxStream<'_, Result<StoredEvent, store::Error>> {
        self.inner.subscribe(filter, after)
    }

    fn head(&self) -> BoxFuture<'_, Result<Position, store::Error>> {
        self.inner.head()
    }

    fn revision<'a>(&'a self, stream: &'a str) -> BoxFuture<'a, Result<Option<Revision>, store::Error>> {
        self.inner.revision(stream)
    }

    fn close(&self) -> BoxFuture<'_, Result<(), store::Error>> {
        self.inner.close()
    }
}

#[tokio::test]
async fn a_letter_whose_append_was_said_to_fail_is_kept_once() {
    let store: Arc<dyn EventStore> =
        Arc::new(Forgetful { inner: MemoryStore::new(), failures: Mutex::new(1) });
    let open = || StoredDeadLetters::open(Arc::clone(&store), "test", 7, Durability::Accepted);
    let letters = open().await.expect("an empty store is read");
    let letter = letter(1, "a", Fate::Parked);
    assert!(letters.put(&letter).await.is_err());
    letters.put(&letter).await.expect("the second append is recognised");
    assert_eq!(list(&letters, LetterQuery::default()).await.len(), 1);
    assert_eq!(list(&open().await.expect("the store is read"), LetterQuery::default()).await.len(), 1);
}

#[tokio::test]
async fn one_event_that_dies_at_two_subscribers_at_once_makes_two_letters() {
    let store: Arc<dyn EventStore> =
        Arc::new(Forgetful { inner: MemoryStore::new(), failures: Mutex::new(0) });
    let open = || StoredDeadLetters::open(Arc::clone(&store), "test", 7, Durability::Accepted);
    let letters = open().await.expect("an empty store is read");
    let mail = letter(1, "a", dead(1));
    let stock = Letter { subscriber: "stock".into(), ..mail.clone() };
    let (first, second) = tokio::join!(letters.put(&mail), letters.put(&stock));
    assert_ne!(first.expect("there is room"), second.expect("there is room"));
    for letters in [&letters, &open().await.expect("the store is read")] {
        let kept = list(letters, LetterQuery::default()).await;
        let mut subscribers: Vec<_> = kept.iter().map(|letter| &*letter.subscriber).collect();
        subscribers.sort_unstable();
        assert_eq!(subscribers, ["mail", "stock"]);
    }
}

/// A letter of which it is not known whether it was removed is not taken for one that is kept.
#[tokio::test]
async fn what_is_put_while_its_letter_leaves_is_kept() {
    for (is_dropped, failures) in [(true, 0), (false, 1)] {
        let store = Arc::new(Forgetful { inner: MemoryStore::new(), failures: Mutex::new(0) });
        let open = || StoredDeadLetters::open(Arc::clone(&store) as _, "test", 7, Durability::Accepted);
        let letters = open().await.expect("an empty store is read");
        let letter = letter(1, "a", dead(1));
        let id = letters.put(&letter).await.expect("there is room");
        *store.failures.lock() = failures;
        if is_dropped {
            let mut taking = DeadLetters::take(&letters, id);
            assert!(futures::poll!(taking.as_mut()).is_pending());
        } else {
            assert!(letters.take(id).await.is_err());
        }
        assert!(list(&letters, LetterQuery::default()).await.is_empty());
        letters.put(&letter).await.expect("there is room");
        for letters in [&letters, &open().await.expect("the store is read")] {
            assert_eq!(list(letters, LetterQuery::default()).await.len(), 1, "{is_dropped}");
        }
    }
}
