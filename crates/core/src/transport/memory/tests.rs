//! The transport in memory passes the suite of all transports.

use std::sync::Arc;

use futures::future::BoxFuture;

use super::{Broker, Config};
use crate::testing::transport::{Opened, TransportFactory};
use crate::transport::Sink;

struct Memory(Broker);

impl TransportFactory for Memory {
    fn open(&mut self) -> BoxFuture<'_, Opened> {
        Box::pin(async { Opened::new(self.0.source("topic"), self.0.sink("topic")) })
    }

    fn cut(&mut self) -> Option<BoxFuture<'_, ()>> {
        Some(Box::pin(async { self.0.cut() }))
    }

    fn restore(&mut self) -> BoxFuture<'_, ()> {
        Box::pin(async { self.0.restore() })
    }

    fn unreachable(&mut self) -> Option<BoxFuture<'_, Arc<dyn Sink>>> {
        Some(Box::pin(async {
            let broker = Broker::new(Config::default());
            broker.cut();
            broker.sink("topic")
        }))
    }

    fn capacity(&self) -> Option<usize> {
        Some(CAPACITY)
    }
}

const CAPACITY: usize = 50;

crate::transport_conformance!(Memory(Broker::new(Config { capacity: CAPACITY, ..Config::default() })));
