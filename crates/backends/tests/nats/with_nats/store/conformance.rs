use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use steadfast_backends::nats::SyncInterval;
use steadfast_base::units::HumanDuration;
use steadfast_core::store::EventStore;
use steadfast_core::testing::store::{self as suite, Crash, StoreFactory};
use steadfast_servers::{Nats, NatsSettings};

use super::Place;

/// Stores on the server that all share, which therefore cannot crash.
pub(super) struct InAStream {
    read_ahead: usize,
    place: Option<Place>,
}

impl InAStream {
    pub(super) fn new(read_ahead: usize) -> Self {
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

/// Stores on a server of their own, of which the latest is kept to be ended when the server crashes.
struct OnAServer {
    sync: SyncInterval,
    place: Option<Place>,
    latest: Option<Arc<dyn EventStore>>,
}

impl OnAServer {
    fn that_syncs(sync: SyncInterval) -> Self {
        Self { sync, place: None, latest: None }
    }

    fn server(&mut self) -> &mut Nats {
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
            let sync_always = self.sync == SyncInterval::Always;
            let mut place = Place::alone(NatsSettings { sync_always, ..NatsSettings::default() }).await;
            place.config.sync = self.sync;
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

/// The cases of the suite in which the process dies.
mod when_the_server_dies {
    use super::{OnAServer, SyncInterval, suite};

    #[test]
    fn events_seen_survive_the_death_of_the_process() {
        for sync in [SyncInterval::Always, SyncInterval::Lazy] {
            let mut factory = OnAServer::that_syncs(sync);
            let survived = suite::run(suite::events_seen_survive_the_death_of_the_process(&mut factory));
            survived.unwrap_or_else(|problem| panic!("{sync:?}: {problem}"));
        }
    }

    #[test]
    fn written_batches_survive_the_death_of_the_process() {
        for sync in [SyncInterval::Always, SyncInterval::Lazy] {
            let mut factory = OnAServer::that_syncs(sync);
            let survived = suite::run(suite::written_batches_survive_the_death_of_the_process(&mut factory));
            survived.unwrap_or_else(|problem| panic!("{sync:?}: {problem}"));
        }
    }
}
