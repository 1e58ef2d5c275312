//! Kafka as a transport, against a real node.

mod kill;
mod pool;

mod with_kafka {
    use std::sync::Arc;

    use futures::future::BoxFuture;
    use steadfast_backends::kafka::{Config, KafkaSink, KafkaSource};
    use steadfast_core::testing::transport::{Opened, TransportFactory};
    use steadfast_core::transport::Sink;

    use crate::pool::Borrowed;

    /// Opens a fresh topic of a node that no other test uses meanwhile.
    struct Fresh(Borrowed);

    impl TransportFactory for Fresh {
        fn open(&mut self) -> BoxFuture<'_, Opened> {
            Box::pin(async {
                let config = self.0.config();
                let source = KafkaSource::new(config.clone()).expect("the configuration is right");
                let sink = KafkaSink::new(config).expect("the configuration is right");
                Opened::new(Arc::new(source), Arc::new(sink))
            })
        }

        fn cut(&mut self) -> Option<BoxFuture<'_, ()>> {
            Some(Box::pin(self.0.kill()))
        }

        fn restore(&mut self) -> BoxFuture<'_, ()> {
            Box::pin(self.0.restart())
        }

        fn unreachable(&mut self) -> Option<BoxFuture<'_, Arc<dyn Sink>>> {
            Some(Box::pin(async {
                let nobody = std::net::TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr());
                let brokers = vec![nobody.expect("a port is free").to_string()];
                let config = Config { brokers, ..Config::default() };
                Arc::new(KafkaSink::new(config).expect("the configuration is right")) as Arc<dyn Sink>
            }))
        }
    }

    mod conformance {
        use super::Fresh;
        use crate::pool;

        steadfast_core::transport_conformance!(Fresh(pool::borrow()));
    }
}
