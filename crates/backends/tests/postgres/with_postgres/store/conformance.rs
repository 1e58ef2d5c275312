use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use steadfast_base::units::HumanDuration;
use steadfast_core::store::EventStore;
use steadfast_core::testing::store::{self as suite, Crash, StoreFactory};
use steadfast_servers::Postgres;

use super::Place;

/// Stores on the server that all share, which therefore cannot crash.
struct InASchema(Option<Place>);

impl StoreFactory for InASchema {
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

steadfast_core::store_conformance!(InASchema(None));
steadfast_core::store_users_conformance!(InASchema(None));

/// Stores on a server of their own, of which the latest is kept to be ended when the server crashes.
#[derive(Default)]
struct OnAServer {
    place: Option<Place>,
    latest: Option<Arc<dyn EventStore>>,
}

impl OnAServer {
    fn server(&mut self) -> &mut Postgres {
        let place = self.place.as_mut().expect("it was opened");
        Arc::get_mut(&mut place.server).expect("nobody else has it")
    }

    async fn store(&mut self) -> Arc<dyn EventStore> {
        let store: Arc<dyn EventStore> = Arc::new(self.place.as_ref().expect("it was opened").open().await);
        self.latest = Some(Arc::clone(&store));
        store
    }
}

impl StoreFactory for OnAServer {
    fn open(&mut self) -> BoxFuture<'_, Arc<dyn EventStore>> {
        Box::pin(async {
            // What no commit has waited for is written as late as the server allows, and so is lost when it dies.
            let mut place = Place::alone_with(&[("wal_writer_delay", "10s")]).await;
            // Whoever appends when the server dies is to be told soon.
            place.settings.patience = HumanDuration(Duration::from_secs(2));
            self.place = Some(place);
            self.store().await
        })
    }

    fn crash(&mut self, crash: Crash) -> Option<BoxFuture<'_, Arc<dyn EventStore>>> {
        // The loss of power is what `with_fuse` is for.
        (crash == Crash::Process).then(|| {
            tokio::task::block_in_place(|| self.server().kill());
            let crashing = async {
                // The old store must not come back when the server does.
                let old = self.latest.take().expect("it was opened");
                let _ = old.close().await;
                tokio::task::block_in_place(|| self.server().restart()).expect("it starts again");
                self.store().await
            };
            Box::pin(crashing) as BoxFuture<'_, _>
        })
    }
}

/// The cases of the suite in which the process dies. A server for each of the others would take long, for nothing.
mod when_the_server_dies {
    use super::{OnAServer, suite};

    #[test]
    fn events_seen_survive_the_death_of_the_process() {
        let mut factory = OnAServer::default();
        suite::run(suite::events_seen_survive_the_death_of_the_process(&mut factory))
            .expect("they are there");
    }

    #[test]
    fn written_batches_survive_the_death_of_the_process() {
        let mut factory = OnAServer::default();
        suite::run(suite::written_batches_survive_the_death_of_the_process(&mut factory))
            .expect("they are there");
    }
}
