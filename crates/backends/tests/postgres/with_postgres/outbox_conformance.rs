//! The conformance suite of transports on an outbox table.

use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use steadfast_backends::postgres::Config;
use steadfast_backends::postgres::outbox::{Outbox, Settings};
use steadfast_core::testing::transport::{Opened, TransportFactory};
use steadfast_core::transport::Sink;

use super::proxy::Proxy;
use super::support::Database;

struct Table(Option<Proxy>);

impl TransportFactory for Table {
    fn open(&mut self) -> BoxFuture<'_, Opened> {
        async {
            let database = Database::schema("").await;
            let proxy = Proxy::start(database.server.address());
            let config = Config { port: proxy.address().port(), ..database.config.clone() };
            self.0 = Some(proxy);
            let outbox = Outbox::new(config, Settings::default()).expect("it is right");
            outbox.install().await.expect("the table is made");
            let sink = Arc::new(outbox.sink());
            Opened::new(Arc::new(Kept(outbox, database)), sink)
        }
        .boxed()
    }

    fn cut(&mut self) -> Option<BoxFuture<'_, ()>> {
        self.0.clone().map(|proxy| async move { proxy.cut() }.boxed())
    }

    fn restore(&mut self) -> BoxFuture<'_, ()> {
        self.0.as_ref().expect("it is open").restore();
        async {}.boxed()
    }

    fn unreachable(&mut self) -> Option<BoxFuture<'_, Arc<dyn Sink>>> {
        let config = Config { host: "127.0.0.1".into(), port: 1, ..Config::default() };
        let outbox = Outbox::new(config, Settings::default()).expect("it is right");
        Some(async move { Arc::new(outbox.sink()) as Arc<dyn Sink> }.boxed())
    }
}

/// Keeps the server as long as the source.
struct Kept(Outbox, #[allow(dead_code, reason = "it is kept")] Database);

impl steadfast_core::transport::Source for Kept {
    fn system(&self) -> &'static str {
        self.0.system()
    }

    fn destination(&self) -> &str {
        self.0.destination()
    }

    fn capabilities(&self) -> steadfast_core::transport::Capabilities {
        self.0.capabilities()
    }

    fn open<'a>(
        &'a self,
        subscribe: &'a steadfast_core::transport::Subscribe,
    ) -> BoxFuture<'a, Result<Box<dyn steadfast_core::transport::Receiver>, steadfast_core::transport::Error>>
    {
        self.0.open(subscribe)
    }
}

steadfast_core::transport_conformance!(Table(None));

#[test]
fn receivers_that_stand_by_come_and_go_and_nothing_is_lost() {
    crate::stand_by::receivers_that_come_and_go_lose_nothing(Table(None));
}
