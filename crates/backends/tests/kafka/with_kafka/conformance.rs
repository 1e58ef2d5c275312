use std::sync::Arc;

use futures::future::BoxFuture;
use steadfast_backends::kafka::{Config, KafkaSink, KafkaSource};
use steadfast_core::testing::transport::{Opened, TransportFactory};
use steadfast_core::transport::Sink;
use tokio::task::block_in_place;

use super::pool::{self, Borrowed};

/// Opens a fresh topic of a node that no other test uses meanwhile.
struct Factory(Borrowed);

impl TransportFactory for Factory {
    fn open(&mut self) -> BoxFuture<'_, Opened> {
        Box::pin(async {
            let config = self.0.config();
            let source = KafkaSource::new(config.clone()).expect("the configuration is right");
            let sink = KafkaSink::new(config).expect("the configuration is right");
            Opened::new(Arc::new(source), Arc::new(sink))
        })
    }

    fn cut(&mut self) -> Option<BoxFuture<'_, ()>> {
        Some(Box::pin(async { block_in_place(|| self.0.kill()) }))
    }

    fn restore(&mut self) -> BoxFuture<'_, ()> {
        Box::pin(async { block_in_place(|| self.0.restart()) })
    }

    fn unreachable(&mut self) -> Option<BoxFuture<'_, Arc<dyn Sink>>> {
        Some(Box::pin(async {
            // Port 1 of the loopback: nobody listens there.
            let config = Config { brokers: vec!["127.0.0.1:1".to_owned()], ..Config::default() };
            let sink: Arc<dyn Sink> = Arc::new(KafkaSink::new(config).expect("the configuration is right"));
            sink
        }))
    }
}

steadfast_core::transport_conformance!(Factory(pool::borrow()));
