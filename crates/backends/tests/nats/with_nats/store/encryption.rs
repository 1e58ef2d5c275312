//! Events that are encrypted in a stream of JetStream, with their keys elsewhere.

use std::sync::Arc;

use futures::future::BoxFuture;
use steadfast_core::encryption::{Aead, CachedKeys, Encrypted, Settings, StoredKeys};
use steadfast_core::store::{EventStore, MemoryStore};
use steadfast_core::testing::store::StoreFactory;

use super::conformance::InAStream;

struct Sealed {
    events: InAStream,
    keys: Arc<MemoryStore>,
}

impl Sealed {
    fn new() -> Self {
        Self { events: InAStream::new(256), keys: Arc::new(MemoryStore::new()) }
    }
}

fn seal(events: Arc<dyn EventStore>, keys: Arc<MemoryStore>) -> Arc<dyn EventStore> {
    let cipher = Arc::new(Aead::Aes256Gcm);
    let keys = StoredKeys::new(keys, cipher.clone()).expect("it deletes");
    Arc::new(Encrypted::new(events, Arc::new(CachedKeys::new(Arc::new(keys))), cipher, Settings::default()))
}

impl StoreFactory for Sealed {
    fn open(&mut self) -> BoxFuture<'_, Arc<dyn EventStore>> {
        let keys = Arc::clone(&self.keys);
        Box::pin(async move { seal(self.events.open().await, keys) })
    }

    fn reopen(&mut self) -> Option<BoxFuture<'_, Arc<dyn EventStore>>> {
        let (keys, events) = (Arc::clone(&self.keys), self.events.reopen()?);
        Some(Box::pin(async move { seal(events.await, keys) }))
    }
}

steadfast_core::store_conformance!(Sealed::new());
