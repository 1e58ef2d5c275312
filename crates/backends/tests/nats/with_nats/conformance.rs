use std::sync::Arc;

use futures::future::BoxFuture;
use steadfast_backends::nats::{Config, NatsSink, NatsSource};
use steadfast_core::testing::transport::{Opened, TransportFactory};
use steadfast_core::transport::Sink;
use steadfast_servers::Nats;

use super::support;

const SHARDS: u32 = 4;
const LENGTH_MAX: u32 = 400;

struct Factory {
    shards: u32,
    nats: Option<Nats>,
}

impl Factory {
    fn new(shards: u32) -> Self {
        Self { shards, nats: None }
    }

    fn nats(&mut self) -> &mut Nats {
        self.nats.as_mut().expect("it was opened")
    }
}

impl TransportFactory for Factory {
    fn open(&mut self) -> BoxFuture<'_, Opened> {
        Box::pin(async {
            let nats = self.nats.insert(support::started_durable().await);
            let config = Config { shards: self.shards, length_max: LENGTH_MAX, ..support::config(nats) };
            let sink = NatsSink::new(config.clone()).expect("the configuration is right");
            let source = NatsSource::new(config).expect("the configuration is right");
            Opened::new(Arc::new(source), Arc::new(sink))
        })
    }

    fn cut(&mut self) -> Option<BoxFuture<'_, ()>> {
        Some(Box::pin(async { tokio::task::block_in_place(|| self.nats().kill()) }))
    }

    fn restore(&mut self) -> BoxFuture<'_, ()> {
        Box::pin(async { tokio::task::block_in_place(|| self.nats().restart()).expect("it starts again") })
    }

    fn unreachable(&mut self) -> Option<BoxFuture<'_, Arc<dyn Sink>>> {
        Some(Box::pin(async {
            // Port 1 of the loopback: nobody listens there.
            let config = Config { address: "127.0.0.1:1".to_owned(), ..Config::default() };
            let sink: Arc<dyn Sink> = Arc::new(NatsSink::new(config).expect("the configuration is right"));
            sink
        }))
    }

    fn capacity(&self) -> Option<usize> {
        usize::try_from(LENGTH_MAX).ok()
    }
}

steadfast_core::transport_conformance!(Factory::new(SHARDS));

/// What differs with one shard: all events are in one order.
mod one_shard {
    use steadfast_core::testing::transport::{
        a_lost_connection_loses_nothing, events_of_a_dropped_receiver_come_again,
        events_of_a_key_arrive_in_order, run,
    };

    use super::Factory;

    #[test]
    fn it_keeps_the_order_of_all_events() {
        run(async {
            events_of_a_key_arrive_in_order(&mut Factory::new(1)).await?;
            events_of_a_dropped_receiver_come_again(&mut Factory::new(1)).await?;
            a_lost_connection_loses_nothing(&mut Factory::new(1)).await
        })
        .unwrap_or_else(|problem| panic!("{problem}"));
    }
}
