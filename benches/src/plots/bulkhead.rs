//! Two callees share a pool of connections, and one hangs: how many calls of the other are served.

use std::sync::Arc;

use steadfast_guard::testing::TRANSIENT;
use steadfast_guard::testing::overload::{Load, Server};
use steadfast_guard::{Bulkhead, BulkheadLayer, BulkheadPolicy};
use steadfast_lab::report::plot::Plot;
use tokio::sync::Semaphore;
use tower::{ServiceBuilder, ServiceExt, service_fn};

use super::run::{MS, SECOND, Way, goodput, line, offer, paused, plot as drawn, seed, server};

const LENGTH: u32 = 40;
/// The connections, and how many of them reports get behind a bulkhead.
const CONNECTIONS: usize = 32;
const FOR_REPORTS: u32 = 8;

/// Calls that hold a connection from the moment they are made.
fn connected(connections: &Arc<Semaphore>, server: Server) -> Way {
    let connections = Arc::clone(connections);
    Way::new(service_fn(move |ask| {
        let (connections, server) = (Arc::clone(&connections), server.clone());
        async move {
            let _connection = connections.acquire().await.map_err(|_| TRANSIENT)?;
            server.oneshot(ask).await
        }
    }))
}

pub(super) fn plot() -> anyhow::Result<Plot> {
    let orders_served = |is_guarded: bool| {
        paused(async {
            let connections = Arc::new(Semaphore::new(CONNECTIONS));
            let orders = connected(&connections, server());
            let reports = Server::new(64, 50 * MS, seed());
            let policy = BulkheadPolicy { concurrency_max: FOR_REPORTS, ..BulkheadPolicy::default() };
            let bulkhead = BulkheadLayer::new(Bulkhead::new("reports", policy));
            let way = ServiceBuilder::new()
                .option_layer(is_guarded.then_some(bulkhead))
                .service(connected(&connections, reports.clone()));
            let (load, slow) = (
                Load { rate: 300.0, length: LENGTH * SECOND, ..Load::default() },
                Load { rate: 40.0, length: LENGTH * SECOND, patience: SECOND, ..Load::default() },
            );
            let hang = || reports.slow_down(40.0);
            let way = Way::new(way);
            let reported = offer(slow, &way, hang, || reports.slow_down(1.0));
            tokio::join!(offer(load, &orders, || (), || ()), reported).0
        })
    };
    let lines = vec![
        line("without", "without", goodput(&orders_served(false)?)),
        line("with", "reports behind a bulkhead of 8", goodput(&orders_served(true)?)),
    ];
    let title = "Orders served beside reports that share their 32 connections";
    Ok(drawn(title, "per second", LENGTH, "reports hang", lines))
}
