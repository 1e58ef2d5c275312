use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use futures::future::{BoxFuture, join_all};
use futures::{StreamExt, TryStreamExt};
use serde::{Deserialize, Serialize};

use super::{
    Aead, CachedKeys, Cipher, Encrypted, Forgetful, Forgotten, Found, Key, KeyId, Keys, KeysError,
    MasterKeys, Settings, StoredKeys, is_forgotten,
};
use crate::projection::{MemoryView, Projector};
use crate::repository::{Cause, JsonEvents, Repository, Snapshotting};
use crate::snapshot::{JsonSnapshots, SnapshotPolicy, Snapshots, StoredSnapshots};
use crate::store::{
    Batch, Checkpoint, Condition, Durability, Error, EventStore, Filter, MemoryStore, Position, Query,
    StoredEvent,
};
use crate::testing::store::StoreFactory;
use crate::{Aggregate, Event, projection, repository};

const CIPHER: Aead = Aead::ChaCha20Poly1305;

fn keys_in(place: &Arc<MemoryStore>) -> Arc<StoredKeys> {
    let keys = StoredKeys::new(Arc::clone(place) as Arc<dyn EventStore>, Arc::new(CIPHER));
    Arc::new(keys.expect("a store that deletes"))
}

fn keys() -> Arc<StoredKeys> {
    keys_in(&Arc::default())
}

fn encrypted(inner: &Arc<MemoryStore>, keys: &Arc<StoredKeys>, settings: Settings) -> Arc<Encrypted> {
    let keys = Arc::clone(keys) as Arc<dyn Keys>;
    Arc::new(Encrypted::new(Arc::clone(inner) as Arc<dyn EventStore>, keys, Arc::new(CIPHER), settings))
}

fn event(text: &str) -> Event {
    Event::new("/tests", "said").subject("s").data("text/plain", text.to_owned())
}

async fn append(store: &dyn EventStore, stream: &str, event: Event) {
    let batch = Batch::to_stream(stream, [event]);
    store.append(batch, Condition::Any, Durability::Accepted).await.expect("appended");
}

async fn read(store: &dyn EventStore, stream: &str) -> Vec<Event> {
    let read: Vec<_> = store.read(Query::stream(stream)).try_collect().await.expect("readable");
    read.into_iter().map(|stored| stored.event).collect()
}

async fn error_of(store: &dyn EventStore) -> Error {
    let mut read = store.read(Query::default());
    let error = loop {
        match read.next().await {
            Some(Ok(_)) => {}
            Some(Err(error)) => break error,
            None => panic!("everything was read"),
        }
    };
    assert!(read.next().await.is_none(), "the stream ends after its first error");
    error
}

struct OverMemory;

impl StoreFactory for OverMemory {
    fn open(&mut self) -> BoxFuture<'_, Arc<dyn EventStore>> {
        Box::pin(async {
            let inner = Arc::new(MemoryStore::new());
            let keys = Arc::new(CachedKeys::new(keys()));
            let store = Encrypted::new(inner, keys, Arc::new(CIPHER), Settings::default());
            Arc::new(store) as Arc<dyn EventStore>
        })
    }
}

mod conformance {
    crate::store_conformance!(super::OverMemory);
}

#[tokio::test]
async fn the_data_are_hidden_and_come_back_and_the_rest_stays_readable() {
    let (inner, keys) = (Arc::new(MemoryStore::new()), keys());
    let store = encrypted(&inner, &keys, Settings::default());
    let sent = event("Ada").edit().extension("commandid", "k").data_schema("urn:schema").build();
    append(&*store, "a", sent.clone()).await;
    append(&*store, "a", Event::new("/tests", "empty").build()).await;

    assert_eq!(read(&*store, "a").await[0], sent);
    let raw = read(&*inner, "a").await;
    let stands = |name: &str| raw[0].extensions().get(name).map(String::as_str);
    assert_eq!(
        (raw[0].id(), raw[0].kind(), raw[0].subject(), raw[0].time(), raw[0].data_schema()),
        (sent.id(), "said", Some("s"), sent.time(), Some("urn:schema"))
    );
    assert_eq!(raw[0].content_type(), Some("application/octet-stream"));
    assert_eq!((stands("encalgorithm"), stands("encdatatype")), (Some("C20P"), Some("text/plain")));
    assert_eq!((stands("commandid"), stands("encowner")), (Some("k"), None));
    let key = keys.current("a").await.expect("reachable");
    assert_eq!(stands("enckeyid"), Some(key.id().as_str()));
    assert!(!raw[0].data().windows(3).any(|part| part == b"Ada"), "{raw:?}");
    assert!(raw[1].extensions().is_empty(), "there was nothing to encrypt: {raw:?}");
    assert!(!format!("{key:?}").contains(&format!("{:?}", key.secret())), "{key:?}");
}

#[tokio::test]
async fn what_was_forgotten_is_marked_replaced_or_an_error_and_other_streams_are_as_before() {
    let (inner, keys) = (Arc::new(MemoryStore::new()), keys());
    let with = |forgotten| encrypted(&inner, &keys, Settings { forgotten, ..Settings::default() });
    let store = with(Forgotten::Mark);
    let (gone, kept) = (event("Ada"), event("Grace"));
    append(&*store, "a", gone.clone()).await;
    append(&*store, "b", kept.clone()).await;
    keys.forget("a").await.expect("forgotten");
    keys.forget("a").await.expect("forgotten again");

    let marked = read(&*store, "a").await.remove(0);
    assert!(is_forgotten(&marked) && marked.data().is_empty(), "{marked:?}");
    assert_eq!(
        (marked.id(), marked.subject(), marked.content_type()),
        (gone.id(), Some("s"), Some("text/plain"))
    );
    assert_eq!(read(&*store, "b").await, std::slice::from_ref(&kept));
    let followed: Vec<_> =
        store.subscribe(Filter::all(), Position::START).take(2).try_collect().await.expect("readable");
    assert_eq!(followed.iter().map(|stored| is_forgotten(&stored.event)).collect::<Vec<_>>(), [true, false]);

    let replace = |stored: &StoredEvent| stored.event.clone().edit().data("text/plain", "somebody");
    let replaced = read(&*with(Forgotten::Replace(Arc::new(replace))), "a").await.remove(0);
    assert!(is_forgotten(&replaced) && replaced.data() == "somebody", "{replaced:?}");
    let error = error_of(&*with(Forgotten::Fail)).await;
    assert!(
        matches!(&error, Error::Unsupported { what } if what.contains("event 0 of stream `a`")),
        "{error}"
    );

    // The stream goes on with a key of its own.
    append(&*store, "a", kept.edit().id(crate::EventId::generate()).build()).await;
    let events = read(&*store, "a").await;
    assert_eq!((is_forgotten(&events[0]), &events[1].data()[..]), (true, &b"Grace"[..]));
}

#[tokio::test]
async fn a_key_that_is_missing_without_having_been_forgotten_is_an_error() {
    let inner = Arc::new(MemoryStore::new());
    append(&*encrypted(&inner, &keys(), Settings::default()), "a", event("Ada")).await;
    let error = error_of(&*encrypted(&inner, &keys(), Settings::default())).await;
    assert!(
        matches!(&error, Error::Damaged { problem, .. } if problem.contains("not in this store")),
        "{error}"
    );
}

/// What a thief with access to the store may try.
#[tokio::test]
async fn a_ciphertext_opens_nowhere_but_where_it_was_put() {
    let (inner, keys) = (Arc::new(MemoryStore::new()), keys());
    let store = encrypted(&inner, &keys, Settings::default());
    append(&*store, "a", event("Ada")).await;
    append(&*store, "a", event("Grace")).await;
    append(&*store, "b", event("Alan")).await;
    let raw: Vec<_> = inner.read(Query::default()).try_collect().await.expect("readable");
    let [ada, grace, alan] = raw.try_into().expect("three events");
    let of = |stored: &StoredEvent| stored.event.clone().edit();
    let data = |stored: &StoredEvent| stored.event.data().clone();
    let cut = |stored: &StoredEvent| stored.event.data().slice(..20);
    let forged = [
        ("other data of the same key", "a", of(&ada).bytes(data(&grace))),
        ("data of another key", "a", of(&ada).bytes(data(&alan))),
        ("another stream", "c", of(&ada).extension("encowner", "a").build()),
        ("another id", "a", of(&ada).id(crate::EventId::from_u128(7)).build()),
        ("another subject", "a", of(&ada).subject("t").build()),
        ("another type of data", "a", of(&ada).extension("encdatatype", "text/html").build()),
        ("another schema", "a", of(&ada).data_schema("urn:other").build()),
        ("fewer bytes", "a", of(&ada).bytes(cut(&ada))),
    ];
    for (what, stream, event) in forged {
        let other = Arc::new(MemoryStore::new());
        append(&*other, stream, event).await;
        let error = error_of(&*encrypted(&other, &keys, Settings::default())).await;
        assert!(matches!(error, Error::Damaged { .. }), "{what}: {error}");
    }
    let other = Arc::new(MemoryStore::new());
    append(&*other, "a", ada.event).await;
    assert_eq!(
        read(&*encrypted(&other, &keys, Settings::default()), "a").await.len(),
        1,
        "unchanged, it opens"
    );
}

#[tokio::test]
async fn keys_and_ciphers_rotate_and_what_was_there_before_opens() {
    let (inner, keys) = (Arc::new(MemoryStore::new()), keys());
    append(&*inner, "a", event("before it was encrypted")).await;
    append(&*encrypted(&inner, &keys, Settings::default()), "a", event("with the first")).await;
    let second = keys.rotate("a").await.expect("made");
    let newer = Encrypted::new(inner.clone(), keys.clone(), Arc::new(Aead::Aes256Gcm), Settings::default());
    append(&newer, "a", event("with the second")).await;

    let error = error_of(&newer).await;
    assert!(matches!(&error, Error::Unsupported { what } if what.contains("`C20P`")), "{error}");
    let newer = newer.also_opens(Arc::new(CIPHER));
    let texts: Vec<_> = read(&newer, "a").await.into_iter().map(|event| event.data().clone()).collect();
    assert_eq!(texts, ["before it was encrypted", "with the first", "with the second"]);
    let raw = read(&*inner, "a").await;
    let used: Vec<_> = raw.iter().map(|event| event.extensions().get("enckeyid").cloned()).collect();
    assert_eq!((&used[0], used[2].as_deref()), (&None, Some(second.as_str())));
    assert_ne!(used[1], used[2]);
    keys.forget("a").await.expect("forgotten");
    let forgotten: Vec<_> = read(&newer, "a").await.iter().map(is_forgotten).collect();
    assert_eq!(forgotten, [false, true, true], "all keys of an owner are forgotten");
}

#[tokio::test]
async fn attributes_of_encryption_are_nobody_elses() {
    let store = encrypted(&Arc::default(), &keys(), Settings::default());
    for name in ["encalgorithm", "enckeyid", "encowner", "encdatatype", "encforgotten"] {
        let batch = Batch::to_stream("a", [event("x").edit().extension(name, "x").build()]);
        let refused = store.append(batch, Condition::Any, Durability::Accepted).await;
        assert!(matches!(refused, Err(Error::Invalid { .. })), "{name}: {refused:?}");
    }
    for owner in ["", "steadfast-forgotten-keys"] {
        assert!(matches!(keys().current(owner).await, Err(KeysError::Owner { .. })), "{owner}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_are_made_once_and_rotating_and_forgetting_at_once_loses_none() {
    let place = Arc::new(MemoryStore::new());
    let keys: Vec<_> = (0..4).map(|_| keys_in(&place)).collect();
    let made = join_all(keys.iter().map(|keys| keys.current("a"))).await;
    let made: HashSet<KeyId> = made.into_iter().map(|key| key.expect("made").id().clone()).collect();
    assert_eq!(made.len(), 1, "{made:?}");

    let all = keys.iter().enumerate().map(|(number, keys)| {
        let keys = Arc::clone(keys);
        tokio::spawn(async move {
            let mut seen = HashSet::new();
            for round in 0..50 {
                match (round + number) % 3 {
                    0 => keys.forget("a").await.expect("forgotten"),
                    1 => drop(seen.insert(keys.rotate("a").await.expect("made"))),
                    _ => drop(seen.insert(keys.current("a").await.expect("made").id().clone())),
                }
                tokio::task::yield_now().await;
            }
            seen
        })
    });
    for seen in join_all(all).await {
        for id in seen.expect("no panic") {
            keys[0].find("a", &id).await.expect("here or forgotten, never missing");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_forgotten_leaves_the_cache_at_once_here_and_in_time_elsewhere() {
    let stored = keys();
    let cached = || CachedKeys::new(Arc::clone(&stored) as Arc<dyn Keys>).keys_for(Duration::from_secs(10));
    let (here, there) = (cached(), cached());
    let key = here.current("a").await.expect("made");
    there.find("a", key.id()).await.expect("here");
    here.forget("a").await.expect("forgotten");
    let is_gone = async |keys: &CachedKeys| {
        matches!(keys.find("a", key.id()).await.expect("reachable"), Found::Forgotten)
    };
    assert!(is_gone(&here).await, "at once");
    assert_ne!(here.current("a").await.expect("made").id(), key.id());
    tokio::time::advance(Duration::from_millis(9_999)).await;
    assert!(!is_gone(&there).await, "it is held for ten seconds");
    tokio::time::advance(Duration::from_millis(1)).await;
    assert!(is_gone(&there).await, "and no longer");
}

/// Keys that answer when they are told to.
struct Slow {
    inner: Arc<StoredKeys>,
    found: tokio::sync::Notify,
    go_on: tokio::sync::Notify,
}

impl Keys for Slow {
    fn current<'a>(&'a self, owner: &'a str) -> BoxFuture<'a, Result<Key, KeysError>> {
        self.inner.current(owner)
    }

    fn find<'a>(&'a self, owner: &'a str, id: &'a KeyId) -> BoxFuture<'a, Result<Found, KeysError>> {
        Box::pin(async move {
            let found = self.inner.find(owner, id).await;
            self.found.notify_one();
            self.go_on.notified().await;
            found
        })
    }

    fn rotate<'a>(&'a self, owner: &'a str) -> BoxFuture<'a, Result<KeyId, KeysError>> {
        self.inner.rotate(owner)
    }

    fn forget<'a>(&'a self, owner: &'a str) -> BoxFuture<'a, Result<(), KeysError>> {
        self.inner.forget(owner)
    }
}

#[tokio::test]
async fn a_key_that_was_asked_for_before_it_was_forgotten_is_not_held_afterwards() {
    let slow = Slow { inner: keys(), found: tokio::sync::Notify::new(), go_on: tokio::sync::Notify::new() };
    let slow = Arc::new(slow);
    let id = slow.current("a").await.expect("made").id().clone();
    let cached = CachedKeys::new(Arc::clone(&slow) as Arc<dyn Keys>);
    let forgetting = async {
        slow.found.notified().await;
        cached.forget("a").await.expect("forgotten");
        slow.go_on.notify_one();
    };
    let (found, ()) = tokio::join!(cached.find("a", &id), forgetting);
    assert!(matches!(found, Ok(Found::Key(_))), "it was asked for in time");
    slow.go_on.notify_one();
    let found = cached.find("a", &id).await;
    assert!(matches!(found, Ok(Found::Forgotten)), "{found:?}");
}

#[tokio::test]
async fn wrapped_keys_are_worth_nothing_without_the_master_key() {
    let master = |id: &str, byte| Key::new(KeyId::new(id), [byte; Key::BYTES]);
    let place = Arc::new(MemoryStore::new());
    let wrapped = |keys: MasterKeys| {
        let place = Arc::clone(&place) as Arc<dyn EventStore>;
        let wrapped = Encrypted::new(place, Arc::new(keys), Arc::new(CIPHER), Settings::default());
        StoredKeys::new(Arc::new(wrapped), Arc::new(CIPHER)).expect("it deletes")
    };
    let key = wrapped(MasterKeys::new(master("1", 1))).current("a").await.expect("made");
    let raw = read(&*place, "a").await.remove(0);
    assert!(!raw.data().windows(Key::BYTES).any(|part| part == key.secret()), "{raw:?}");
    let newer = wrapped(MasterKeys::new(master("2", 2)).also_opens(master("1", 1)));
    assert_eq!(newer.current("a").await.expect("opened").secret(), key.secret());
    for other in [MasterKeys::new(master("1", 9)), MasterKeys::new(master("2", 2))] {
        let refused = wrapped(other).current("a").await;
        assert!(matches!(refused, Err(KeysError::Store(Error::Damaged { .. }))), "{refused:?}");
    }
    let given = MasterKeys::new(master("1", 1));
    assert!(matches!(given.forget("a").await, Err(KeysError::Unsupported { .. })));
    assert!(matches!(given.rotate("a").await, Err(KeysError::Unsupported { .. })));
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Customer {
    names: Vec<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
enum Change {
    Named(String),
    Forgotten,
}

impl Aggregate for Customer {
    type Command = String;
    type Event = Change;
    type Error = std::convert::Infallible;

    fn decide(&self, name: &String) -> Result<Vec<Change>, Self::Error> {
        Ok(vec![Change::Named(name.clone())])
    }

    fn evolve(&mut self, change: &Change) {
        self.names.push(match change {
            Change::Named(name) => name.clone(),
            Change::Forgotten => "?".to_owned(),
        });
    }
}

type Customers =
    Repository<Customer, Forgetful<JsonEvents<fn(&Change) -> &'static str>, fn(&Event) -> Change>>;

fn customers(store: &Arc<Encrypted>) -> Customers {
    let store = Arc::clone(store) as Arc<dyn EventStore>;
    let json = JsonEvents::new("/customers", (|_| "customer.named") as fn(&Change) -> &'static str);
    let codec = Forgetful::new(json, (|_| Change::Forgotten) as fn(&Event) -> Change);
    let snapshots = Snapshotting {
        codec: Arc::new(JsonSnapshots::new(1)),
        place: Arc::new(StoredSnapshots::new(Arc::clone(&store))),
        policy: SnapshotPolicy::every_events(2),
    };
    let settings = repository::Settings {
        durability: Durability::Accepted,
        snapshots: Some(snapshots),
        ..repository::Settings::default()
    };
    Repository::new(store, "customer-", codec, settings)
}

#[tokio::test]
async fn a_repository_lives_with_it_and_its_snapshots_are_forgotten_too() {
    let (inner, keys) = (Arc::new(MemoryStore::new()), keys());
    let store = encrypted(&inner, &keys, Settings::default());
    let here = customers(&store);
    for name in ["Ada", "Ada L.", "Lovelace"] {
        here.execute("1", &name.to_owned(), &Cause::unknown()).await.expect("carried out");
    }
    let names = async |customers: &Customers| {
        customers.look("1", |customer, _| customer.names.join(",")).await.expect("loaded")
    };
    let there = customers(&store);
    assert_eq!(names(&there).await, "Ada,Ada L.,Lovelace");
    assert_eq!(there.metrics().replayed, 1, "the rest comes from the snapshot, which opens");

    keys.forget("customer-1").await.expect("forgotten");
    let snapshots = StoredSnapshots::new(Arc::clone(&store) as Arc<dyn EventStore>);
    assert_eq!(snapshots.load("customer-1").await.expect("readable"), None);
    assert_eq!(names(&here).await, "Ada,Ada L.,Lovelace", "in memory, until it is evicted");
    here.evict("1").await.expect("evicted");
    assert_eq!(names(&here).await, "?,?,?");
    let named = here.execute("1", &"nobody".to_owned(), &Cause::unknown()).await.expect("carried out");
    assert_eq!(named.revision.map(|revision| revision.0), Some(3));
    assert_eq!(names(&customers(&store)).await, "?,?,?,nobody");
}

#[tokio::test]
async fn a_projection_lives_with_it() {
    let (inner, keys) = (Arc::new(MemoryStore::new()), keys());
    let store = encrypted(&inner, &keys, Settings::default());
    for (stream, name) in [("a", "Ada"), ("b", "Grace"), ("a", "Ada L."), ("b", "Hopper")] {
        append(&*store, stream, event(name)).await;
    }
    let view = || {
        Arc::new(MemoryView::new(String::new(), |all: &mut String, stored: &StoredEvent| {
            match is_forgotten(&stored.event) {
                true => all.push('?'),
                false => all.push_str(std::str::from_utf8(stored.event.data())?),
            }
            all.push(',');
            Ok::<_, std::str::Utf8Error>(())
        }))
    };
    let settings = projection::Settings::default();
    let projector = Projector::new("names", Arc::clone(&store) as Arc<dyn EventStore>, view(), settings);
    projector.catch_up().await.expect("applied");
    keys.forget("a").await.expect("forgotten");
    append(&*store, "b", event("C.")).await;
    projector.catch_up().await.expect("applied");
    assert_eq!(projector.view().look(String::clone), "Ada,Grace,Ada L.,Hopper,C.,", "what was seen was seen");
    projector.rebuild(view()).await.expect("rebuilt");
    assert_eq!(projector.view().look(String::clone), "?,Grace,?,Hopper,C.,");
}

#[tokio::test]
async fn checkpoints_stay_readable_and_an_owner_may_have_many_streams() {
    let (inner, keys) = (Arc::new(MemoryStore::new()), keys());
    let store = encrypted(&inner, &keys, Settings::default());
    let mut checkpoint = Checkpoint::load(&*store, "mail").await.expect("readable");
    checkpoint.save(&*store, Position::from_parts(7, 0), Durability::Accepted).await.expect("saved");
    let raw = Checkpoint::load(&*inner, "mail").await.expect("readable without a key");
    assert_eq!(raw.position(), Position::from_parts(7, 0));

    let owner = |stream: &str, _: &Event| stream.split_once('/').map(|(owner, _)| owner.into());
    let store = encrypted(&inner, &keys, Settings { owner: Arc::new(owner), ..Settings::default() });
    for stream in ["ada/orders", "ada/invoices", "grace/orders", "public"] {
        append(&*store, stream, event("x")).await;
    }
    keys.forget("ada").await.expect("forgotten");
    // Whoever reads need not know who owns what.
    let store = encrypted(&inner, &keys, Settings::default());
    let mut forgotten = Vec::new();
    for stream in ["ada/orders", "ada/invoices", "grace/orders", "public"] {
        forgotten.push(is_forgotten(&read(&*store, stream).await[0]));
    }
    assert_eq!(forgotten, [true, true, false, false]);
    assert_eq!(read(&*inner, "public").await[0].data(), "x");
}

#[test]
fn a_secret_is_made_anew_each_time() {
    let secrets: HashSet<_> = (0..100).map(|_| CIPHER.secret().expect("randomness")).collect();
    assert_eq!(secrets.len(), 100);
}
