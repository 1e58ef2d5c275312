//! Events that are encrypted in the log on files, with their keys elsewhere, or in another such log.

use std::path::Path;
use std::sync::Arc;

use futures::TryStreamExt;
use futures::future::BoxFuture;
use steadfast_backends::file::{Config, FileLog};
use steadfast_base::disk::RealDisk;
use steadfast_base::units::Size;
use steadfast_core::Event;
use steadfast_core::encryption::{Aead, CachedKeys, Encrypted, Keys, Settings, StoredKeys, is_forgotten};
use steadfast_core::snapshot::{Snapshot, Snapshots, StoredSnapshots};
use steadfast_core::store::{
    Batch, Condition, Durability, EventStore, MemoryStore, Position, Query, Revision,
};
use steadfast_core::testing::store::StoreFactory;

fn open(folder: &Path) -> Arc<dyn EventStore> {
    let config = Config { segment_size: Size::from_bytes(64 << 10), ..Config::default() };
    Arc::new(FileLog::open_on(Arc::new(RealDisk), folder, config).expect("opened"))
}

/// Events and their keys in a log each.
struct InTwoLogs {
    folder: tempfile::TempDir,
    /// One process holds a log: the keys stay open when the events are opened again.
    keys: Option<Arc<FileLog>>,
}

impl InTwoLogs {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a folder"), keys: None }
    }
}

impl StoreFactory for InTwoLogs {
    fn open(&mut self) -> BoxFuture<'_, Arc<dyn EventStore>> {
        let config = Config { segment_size: Size::from_bytes(1 << 20), ..Config::default() };
        let folder = self.folder.path().to_owned();
        let log = |name: &str| {
            FileLog::open_on(Arc::new(RealDisk), folder.join(name), config.clone()).expect("opened")
        };
        let cipher = Arc::new(Aead::Aes256Gcm);
        let keys = self.keys.get_or_insert_with(|| Arc::new(log("keys")));
        let keys =
            StoredKeys::new(Arc::clone(keys) as Arc<dyn EventStore>, cipher.clone()).expect("it deletes");
        let keys = Arc::new(CachedKeys::new(Arc::new(keys)));
        let store = Encrypted::new(Arc::new(log("events")), keys, cipher, Settings::default());
        Box::pin(async { Arc::new(store) as Arc<dyn EventStore> })
    }

    fn reopen(&mut self) -> Option<BoxFuture<'_, Arc<dyn EventStore>>> {
        Some(self.open())
    }
}

mod conformance {
    steadfast_core::store_conformance!(super::InTwoLogs::new());
}

fn holds(folder: &Path, part: &[u8]) -> bool {
    let files = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    let mut bytes = files.filter(|path| path.is_file()).map(|path| std::fs::read(path).expect("read"));
    bytes.any(|bytes| bytes.windows(part.len()).any(|window| window == part))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_plaintext_is_in_the_segments_and_nothing_opens_them_after_forgetting() {
    let folder = tempfile::tempdir().expect("a folder");
    let cipher = Arc::new(Aead::ChaCha20Poly1305);
    let keys = Arc::new(StoredKeys::new(Arc::new(MemoryStore::new()), cipher.clone()).expect("it deletes"));
    let over = |inner| {
        let keys = Arc::clone(&keys) as Arc<dyn Keys>;
        Arc::new(Encrypted::new(inner, keys, cipher.clone(), Settings::default())) as Arc<dyn EventStore>
    };
    let inner = open(folder.path());
    let store = over(Arc::clone(&inner));
    let named = async |name: &'static str| {
        let event = Event::new("/customers", "customer.named").data("text/plain", name);
        let batch = Batch::to_stream("customer-1", [event]);
        store.append(batch, Condition::Any, Durability::Durable).await.expect("appended");
    };
    named("Ada Lovelace").await;
    let snapshot = Snapshot {
        version: 1,
        revision: Revision(0),
        position: Position::from_parts(1, 0),
        taken: std::time::SystemTime::UNIX_EPOCH,
        commands: vec![],
        state: "Ada Lovelace".into(),
    };
    let snapshots = StoredSnapshots::new(Arc::clone(&store));
    snapshots.save("customer-1", snapshot.clone()).await.expect("saved");
    // What is behind a snapshot, which is no more than accepted, makes it readable.
    named("Lovelace").await;
    assert_eq!(snapshots.load("customer-1").await.expect("readable"), Some(snapshot));
    store.close().await.expect("closed");
    drop((snapshots, store, inner));
    assert!(holds(folder.path(), b"customer.named") && !holds(folder.path(), b"Lovelace"));

    keys.forget("customer-1").await.expect("forgotten");
    let store = over(open(folder.path()));
    let events: Vec<_> = store.read(Query::default()).try_collect().await.expect("readable");
    assert_eq!(events.len(), 3);
    assert!(events.iter().all(|stored| is_forgotten(&stored.event)), "{events:?}");
    assert_eq!(StoredSnapshots::new(store).load("customer-1").await.expect("readable"), None);
}

#[tokio::test]
async fn keys_that_are_kept_in_a_log_are_forgotten_and_erased() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = Config { segment_size: Size::from_bytes(64 << 10), ..Config::default() };
    let log = Arc::new(FileLog::open(folder.path(), config).expect("opened"));
    let cipher = Arc::new(Aead::Aes256Gcm);
    let store: Arc<dyn EventStore> = log.clone();
    let keys: Arc<dyn Keys> = Arc::new(StoredKeys::new(store, cipher.clone()).expect("it deletes"));
    let data: Arc<dyn EventStore> = Arc::new(MemoryStore::new());
    let events = Encrypted::new(Arc::clone(&data), Arc::clone(&keys), cipher, Settings::default());
    let event = Event::new("/customers", "customer.named").data("text/plain", "Ada Lovelace");
    let batch = Batch::to_stream("customer-1", [event]);
    events.append(batch, Condition::Any, Durability::Accepted).await.expect("appended");
    let stored: Vec<_> = log.read(Query::default()).try_collect().await.expect("readable");
    let key = stored[0].event.data().clone();
    assert!(holds(folder.path(), &key));
    keys.forget("customer-1").await.expect("forgotten");
    assert!(holds(folder.path(), &key), "until it is erased");
    log.erase().await.expect("erased");
    assert!(!holds(folder.path(), &key));
    let read: Vec<_> = events.read(Query::default()).try_collect().await.expect("readable");
    assert!(read.len() == 1 && is_forgotten(&read[0].event), "{read:?}");
}
