use std::sync::Arc;

use futures::future::BoxFuture;
use steadfast_core::store::EventStore;
use steadfast_core::testing::store::StoreFactory;

use super::Place;

struct InAStream {
    read_ahead: usize,
    place: Option<Place>,
}

impl InAStream {
    fn new(read_ahead: usize) -> Self {
        Self { read_ahead, place: None }
    }
}

impl StoreFactory for InAStream {
    fn open(&mut self) -> BoxFuture<'_, Arc<dyn EventStore>> {
        Box::pin(async {
            if self.place.is_none() {
                let mut place = Place::shared().await;
                place.settings.read_ahead = self.read_ahead;
                self.place = Some(place);
            }
            let place = self.place.as_ref().expect("just made");
            Arc::new(place.open().await) as Arc<dyn EventStore>
        })
    }

    fn reopen(&mut self) -> Option<BoxFuture<'_, Arc<dyn EventStore>>> {
        Some(self.open())
    }
}

steadfast_core::store_conformance!(InAStream::new(256));
steadfast_core::store_users_conformance!(InAStream::new(256));

/// Asked for one message after the other, as a server before 2.11 is, and a stream with replicas.
mod one_at_a_time {
    steadfast_core::store_conformance!(super::InAStream::new(1));
}

/// With fewer messages in an answer than there are, so that each reader goes on several times.
mod three_at_a_time {
    steadfast_core::store_conformance!(super::InAStream::new(3));
}
