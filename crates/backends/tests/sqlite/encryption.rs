//! Events that are encrypted in SQLite, and their keys in another database of SQLite.

use std::path::Path;
use std::sync::Arc;

use futures::TryStreamExt;
use futures::future::BoxFuture;
use steadfast_backends::sqlite::store::{Config, SqliteStore};
use steadfast_core::Event;
use steadfast_core::encryption::{
    Aead, CachedKeys, Encrypted, Found, Keys, Settings, StoredKeys, is_forgotten,
};
use steadfast_core::store::{Batch, Condition, Durability, EventStore, Query};
use steadfast_core::testing::store::StoreFactory;

const CIPHER: Aead = Aead::Aes256Gcm;

/// Opens the database `name` in `folder`; it blocks.
fn open(folder: &Path, name: &str) -> Arc<dyn EventStore> {
    let config = Config::at(folder.join(name));
    // On a thread of its own, for the suite calls this from within a runtime.
    let opening = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(SqliteStore::open(config)).expect("opened")
    });
    Arc::new(opening.join().expect("no panic"))
}

fn keys(folder: &Path) -> Arc<StoredKeys> {
    Arc::new(StoredKeys::new(open(folder, "keys.db"), Arc::new(CIPHER)).expect("it deletes"))
}

fn encrypted(inner: Arc<dyn EventStore>, keys: Arc<dyn Keys>) -> Encrypted {
    Encrypted::new(inner, keys, Arc::new(CIPHER), Settings::default())
}

struct InAFile(tempfile::TempDir);

impl StoreFactory for InAFile {
    fn open(&mut self) -> BoxFuture<'_, Arc<dyn EventStore>> {
        let keys = CachedKeys::new(keys(self.0.path()));
        let store = encrypted(open(self.0.path(), "events.db"), Arc::new(keys));
        Box::pin(async { Arc::new(store) as Arc<dyn EventStore> })
    }

    fn reopen(&mut self) -> Option<BoxFuture<'_, Arc<dyn EventStore>>> {
        Some(self.open())
    }
}

mod conformance {
    steadfast_core::store_conformance!(super::InAFile(tempfile::tempdir().expect("a folder")));
    steadfast_core::store_users_conformance!(super::InAFile(tempfile::tempdir().expect("a folder")));
}

/// Says in which files of `folder` the bytes `part` stand.
fn holding(folder: &Path, part: &[u8]) -> Vec<String> {
    let files = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    let holding = files.filter(|path| {
        let bytes = std::fs::read(path).expect("read");
        bytes.windows(part.len()).any(|window| window == part)
    });
    holding.map(|path| path.file_name().expect("a file").to_string_lossy().into_owned()).collect()
}

async fn forget_and_look(close_first: bool) {
    let folder = tempfile::tempdir().expect("a folder");
    let (inner, keys) = (open(folder.path(), "events.db"), keys(folder.path()));
    let store = encrypted(Arc::clone(&inner), Arc::clone(&keys) as Arc<dyn Keys>);
    for (stream, name) in [("customer-1", "Ada Lovelace"), ("customer-2", "Grace Hopper")] {
        let event = Event::new("/customers", "customer.named").json(&name).expect("a text");
        let batch = Batch::to_stream(stream, [event]);
        store.append(batch, Condition::Any, Durability::Durable).await.expect("appended");
    }
    let secret = *keys.current("customer-1").await.expect("made").secret();
    assert!(!holding(folder.path(), &secret).is_empty(), "the key is somewhere");
    assert!(!holding(folder.path(), b"customer-1").is_empty(), "the name of the stream is somewhere");
    for name in [b"Lovelace", &b"Hopper"[..]] {
        assert_eq!(holding(folder.path(), name), [""; 0], "no plaintext");
    }
    if close_first {
        inner.close().await.expect("closed");
        assert_eq!(holding(folder.path(), b"Lovelace"), [""; 0]);
    }

    keys.forget("customer-1").await.expect("forgotten");
    assert_eq!(holding(folder.path(), &secret), [""; 0], "nor in the log of what was written");
    let inner = open(folder.path(), "events.db");
    let keys = self::keys(folder.path());
    let raw: Vec<_> = inner.read(Query::default()).try_collect().await.expect("readable");
    let store = encrypted(inner, Arc::clone(&keys) as Arc<dyn Keys>);
    let events: Vec<_> = store.read(Query::default()).try_collect().await.expect("readable");
    assert_eq!(events.iter().map(|stored| is_forgotten(&stored.event)).collect::<Vec<_>>(), [true, false]);
    assert_eq!(events[1].event.data(), "\"Grace Hopper\"");
    // No key that is left opens it.
    let id =
        steadfast_core::encryption::KeyId::new(&**raw[0].event.extensions().get("enckeyid").expect("there"));
    let found = keys.find("customer-1", &id).await.expect("reachable");
    assert!(matches!(found, Found::Forgotten), "{found:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_plaintext_is_in_the_files_and_no_key_after_forgetting() {
    forget_and_look(false).await;
    forget_and_look(true).await;
}

/// Who reads at the moment of deleting keeps the write-ahead log; afterwards it is emptied all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_holds_up_wiping_only_while_it_reads() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(folder.path(), "events.db");
    let event = Event::new("/customers", "customer.named").data("text/plain", "Ada Lovelace");
    store
        .append(Batch::to_stream("a", [event]), Condition::Any, Durability::Durable)
        .await
        .expect("appended");
    let reader = steadfast_backends::sqlite::rusqlite::Connection::open(folder.path().join("events.db"));
    let reader = reader.expect("opened");
    reader.execute_batch("BEGIN; SELECT * FROM steadfast_events").expect("it reads");
    store.delete("a", None, Durability::Durable).await.expect("deleted");
    assert!(!holding(folder.path(), b"Lovelace").is_empty(), "the reader still has it");
    reader.execute_batch("COMMIT").expect("it has read");
    let waiting = async {
        while !holding(folder.path(), b"Lovelace").is_empty() {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(30), waiting).await.expect("wiped soon");
}
