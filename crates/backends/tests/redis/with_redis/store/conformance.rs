use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use steadfast_base::units::HumanDuration;
use steadfast_core::store::EventStore;
use steadfast_core::testing::store::{Crash, StoreFactory};
use steadfast_servers::RedisProgram;

use super::super::support::ServerSettings;
use super::Place;

/// Stores on one server, of which the latest is kept to be ended when the server crashes.
pub(crate) struct OnAServer {
    program: RedisProgram,
    settings: ServerSettings,
    place: Option<Place>,
    latest: Option<Arc<dyn EventStore>>,
}

impl OnAServer {
    pub(super) fn with(settings: ServerSettings) -> Self {
        Self::on(RedisProgram::Redis, settings)
    }

    pub(crate) fn on(program: RedisProgram, settings: ServerSettings) -> Self {
        Self { program, settings, place: None, latest: None }
    }

    async fn store(&mut self) -> Arc<dyn EventStore> {
        let place = self.place.as_ref().expect("it was opened");
        let store: Arc<dyn EventStore> = Arc::new(place.open().await);
        self.latest = Some(Arc::clone(&store));
        store
    }
}

impl StoreFactory for OnAServer {
    fn open(&mut self) -> BoxFuture<'_, Arc<dyn EventStore>> {
        Box::pin(async {
            let mut place = Place::on(self.program, self.settings).await;
            // Whoever appends when the server dies is to be told soon.
            place.settings.patience = HumanDuration(Duration::from_secs(2));
            self.place = Some(place);
            self.store().await
        })
    }

    fn reopen(&mut self) -> Option<BoxFuture<'_, Arc<dyn EventStore>>> {
        Some(Box::pin(self.store()))
    }

    fn crash(&mut self, crash: Crash) -> Option<BoxFuture<'_, Arc<dyn EventStore>>> {
        // The loss of power cannot be simulated.
        (crash == Crash::Process).then(|| {
            let server = &mut self.place.as_mut().expect("it was opened").server;
            tokio::task::block_in_place(|| server.kill());
            let crashing = async {
                let server = &mut self.place.as_mut().expect("it was opened").server;
                // The old store must not come back when the server does.
                let old = self.latest.take().expect("it was opened");
                let _ = old.close().await;
                tokio::task::block_in_place(|| server.restart()).expect("it starts again");
                self.store().await
            };
            Box::pin(crashing) as BoxFuture<'_, _>
        })
    }
}

mod that_syncs {
    steadfast_core::store_conformance!(super::OnAServer::with(&[]));
    steadfast_core::store_users_conformance!(super::OnAServer::with(&[]));
}

mod that_keeps_nothing {
    steadfast_core::store_conformance!(super::OnAServer::with(&[("appendonly", "no")]));
}
