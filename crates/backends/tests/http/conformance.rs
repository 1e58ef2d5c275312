//! The source and the sink against each other, in each mode, by the suite of all transports.

use std::sync::Arc;

use futures::future::BoxFuture;
use steadfast_backends::http::{Config, HttpSink, HttpSource, Mode, SinkConfig};
use steadfast_core::testing::transport::{Opened, TransportFactory};
use steadfast_core::transport::{Sink, memory};

use crate::support::Served;

const CAPACITY: usize = 500;

struct Http {
    mode: Mode,
    requests_max: u32,
    served: Option<Served>,
}

impl Http {
    fn new(mode: Mode, requests_max: u32) -> Self {
        Self { mode, requests_max, served: None }
    }
}

impl TransportFactory for Http {
    fn open(&mut self) -> BoxFuture<'_, Opened> {
        Box::pin(async {
            let queue = memory::Config { capacity: CAPACITY, ..memory::Config::default() };
            let source = HttpSource::new("posted", Config::default(), queue).expect("valid");
            let served = Served::start(source.router()).await;
            let (mode, requests_max) = (self.mode, self.requests_max);
            let config = SinkConfig { url: served.url(), mode, requests_max, ..SinkConfig::default() };
            self.served = Some(served);
            Opened::new(Arc::new(source), Arc::new(HttpSink::new(&config).expect("valid")))
        })
    }

    fn unreachable(&mut self) -> Option<BoxFuture<'_, Arc<dyn Sink>>> {
        Some(Box::pin(async {
            let nobody = std::net::TcpListener::bind("127.0.0.1:0").and_then(|port| port.local_addr());
            let url = format!("http://{}/", nobody.expect("a free port"));
            Arc::new(HttpSink::new(&SinkConfig { url, ..SinkConfig::default() }).expect("valid"))
                as Arc<dyn Sink>
        }))
    }

    fn capacity(&self) -> Option<usize> {
        Some(CAPACITY)
    }
}

mod binary {
    use super::*;
    steadfast_core::transport_conformance!(Http::new(Mode::Binary, 1));
}

mod structured {
    use super::*;
    steadfast_core::transport_conformance!(Http::new(Mode::Structured, 1));
}

mod batched {
    use super::*;
    steadfast_core::transport_conformance!(Http::new(Mode::Batched, 1));
}

mod several_requests {
    use super::*;
    steadfast_core::transport_conformance!(Http::new(Mode::Binary, 8));
}
