//! Events that are encrypted in one schema, and their keys in another.

use std::sync::Arc;

use futures::TryStreamExt;
use futures::future::BoxFuture;
use steadfast_core::Event;
use steadfast_core::encryption::{Aead, CachedKeys, Encrypted, Keys, Settings, StoredKeys, is_forgotten};
use steadfast_core::store::{Batch, Condition, Durability, EventStore, Query};
use steadfast_core::testing::store::StoreFactory;

use super::Place;

const CIPHER: Aead = Aead::Aes256Gcm;

#[derive(Default)]
struct InTwoSchemas(Option<(Place, Place)>);

impl InTwoSchemas {
    async fn stores(&mut self) -> (Arc<dyn EventStore>, Arc<StoredKeys>) {
        if self.0.is_none() {
            self.0 = Some((Place::shared().await, Place::shared().await));
        }
        let (events, keys) = self.0.as_ref().expect("just made");
        let keys = StoredKeys::new(Arc::new(keys.open().await), Arc::new(CIPHER)).expect("it deletes");
        (Arc::new(events.open().await), Arc::new(keys))
    }
}

impl StoreFactory for InTwoSchemas {
    fn open(&mut self) -> BoxFuture<'_, Arc<dyn EventStore>> {
        Box::pin(async {
            let (events, keys) = self.stores().await;
            let keys = Arc::new(CachedKeys::new(keys));
            Arc::new(Encrypted::new(events, keys, Arc::new(CIPHER), Settings::default()))
                as Arc<dyn EventStore>
        })
    }

    fn reopen(&mut self) -> Option<BoxFuture<'_, Arc<dyn EventStore>>> {
        Some(self.open())
    }
}

mod conformance {
    steadfast_core::store_conformance!(super::InTwoSchemas::default());
    steadfast_core::store_users_conformance!(super::InTwoSchemas::default());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_forgotten_cannot_be_read_and_the_rest_can() {
    let mut schemas = InTwoSchemas::default();
    let (events, keys) = schemas.stores().await;
    let open = || {
        let keys = Arc::clone(&keys) as Arc<dyn Keys>;
        Encrypted::new(Arc::clone(&events), keys, Arc::new(CIPHER), Settings::default())
    };
    let store = open();
    for (stream, name) in [("customer-1", "Ada Lovelace"), ("customer-2", "Grace Hopper")] {
        let event = Event::new("/customers", "customer.named").json(&name).expect("a text");
        let batch = Batch::to_stream(stream, [event]);
        store.append(batch, Condition::Any, Durability::Durable).await.expect("appended");
    }
    let kept: Vec<_> = events.read(Query::default()).try_collect().await.expect("readable");
    let holds = |part: &[u8]| {
        kept.iter().any(|stored| stored.event.data().windows(part.len()).any(|window| window == part))
    };
    assert!(!holds(b"Lovelace") && !holds(b"Hopper"), "no plaintext");

    keys.forget("customer-1").await.expect("forgotten");
    let found: Vec<_> = open().read(Query::default()).try_collect().await.expect("readable");
    let forgotten: Vec<_> = found.iter().map(|stored| is_forgotten(&stored.event)).collect();
    assert_eq!(forgotten, [true, false]);
    assert_eq!(&found[1].event.data()[..], b"\"Grace Hopper\"");
}
