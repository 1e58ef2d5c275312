use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use steadfast_core::store::EventStore;
use steadfast_servers::power::PowerCutFs;
use steadfast_servers::{Error, Nats, Postgres, Redis};

use super::Place;

/// A store, and the server that it stands on.
pub(crate) trait Served: Send + Sync {
    type Server: Server;

    /// Starts a server whose files lie in `fs`.
    fn start(&self, fs: &PowerCutFs) -> Result<Self::Server, Error>;

    /// Opens the store.
    fn open<'a>(&'a self, server: &'a Self::Server) -> BoxFuture<'a, Arc<dyn EventStore>>;
}

pub(crate) trait Server: Send + Sync {
    fn kill(&mut self);
    fn restart(&mut self) -> Result<(), Error>;
}

macro_rules! server {
    ($($server:ident),*) => {
        $(impl Server for $server {
            fn kill(&mut self) {
                $server::kill(self);
            }

            fn restart(&mut self) -> Result<(), Error> {
                $server::restart(self)
            }
        })*
    };
}
server!(Nats, Postgres, Redis);

/// A server that dies with the power, and is started again on what is left.
pub(crate) struct OnServer<S: Served> {
    served: S,
    server: Option<S::Server>,
    latest: Option<Arc<dyn EventStore>>,
}

impl<S: Served> OnServer<S> {
    #[allow(dead_code, reason = "files have no server")]
    pub(crate) fn new(served: S) -> Self {
        Self { served, server: None, latest: None }
    }

    fn start(&mut self, fs: &PowerCutFs) {
        match &mut self.server {
            Some(server) => server.restart().expect("the server starts on what is left"),
            None => self.server = Some(self.served.start(fs).expect("the server starts")),
        }
    }
}

impl<S: Served> Place for OnServer<S> {
    fn open<'a>(&'a mut self, fs: &'a PowerCutFs) -> BoxFuture<'a, Arc<dyn EventStore>> {
        async {
            // What it still has under way must not reach the server when that is back, as if its process had died.
            if let Some(old) = self.latest.take() {
                let _ = old.close().await;
            }
            let begins = self.server.is_none();
            tokio::task::block_in_place(|| self.start(fs));
            let store = self.served.open(self.server.as_ref().expect("it runs")).await;
            if begins {
                // So it is events that are lost, if any, and not what they lie in.
                fs.sync_all().expect("synced");
            }
            self.latest = Some(Arc::clone(&store));
            store
        }
        .boxed()
    }

    fn kill(&mut self) {
        if let Some(server) = &mut self.server {
            server.kill();
        }
    }
}
