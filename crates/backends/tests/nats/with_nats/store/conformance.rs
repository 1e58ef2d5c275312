use std::sync::Arc;

use futures::future::BoxFuture;
use steadfast_core::store::EventStore;
use steadfast_core::testing::store::StoreFactory;
use steadfast_servers::NatsSettings;

use super::Place;

struct InAStream(Option<Place>);

impl StoreFactory for InAStream {
    fn open(&mut self) -> BoxFuture<'_, Arc<dyn EventStore>> {
        Box::pin(async {
            if self.0.is_none() {
                self.0 = Some(Place::shared().await);
            }
            let place = self.0.as_ref().expect("just made");
            Arc::new(place.open().await) as Arc<dyn EventStore>
        })
    }

    fn reopen(&mut self) -> Option<BoxFuture<'_, Arc<dyn EventStore>>> {
        Some(self.open())
    }
}

steadfast_core::store_conformance!(InAStream(None));
