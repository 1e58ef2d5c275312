//! A server with a queue becomes half as fast for a while: how many calls are answered before their callers give up.

use steadfast_guard::RefuseExpiredLayer;
use steadfast_guard::deadline::RefuseExpiredPolicy;
use steadfast_guard::testing::overload::{Load, Remote};
use steadfast_lab::report::plot::Plot;
use tower::ServiceBuilder;
use tower::limit::GlobalConcurrencyLimitLayer;

use super::run::{SECOND, Way, goodput, line, offer, paused, plot as drawn, server};

const LENGTH: u32 = 50;

pub(super) fn plot() -> anyhow::Result<Plot> {
    let answered = |is_guarded: bool| {
        paused(async {
            let server = server();
            // The default of a fifth suits queues that are late now and then; here all of a queue is.
            let refuse = RefuseExpiredLayer::new(RefuseExpiredPolicy { share_max: 0.9 });
            let there = ServiceBuilder::new()
                // Where calls wait, first in, first out.
                .layer(GlobalConcurrencyLimitLayer::new(16))
                .option_layer(is_guarded.then_some(refuse))
                .service(server.clone());
            let load = Load { rate: 0.75 * server.capacity(), length: LENGTH * SECOND, ..Load::default() };
            let way = Way::new(Remote::new(there));
            offer(load, &way, || server.slow_down(1.5), || server.slow_down(1.0)).await
        })
    };
    let lines = vec![
        line("without", "whoever waits is answered, however late", goodput(&answered(false)?)),
        line("with", "the expired are refused", goodput(&answered(true)?)),
    ];
    let title = "Calls answered within their deadline of 200 ms";
    Ok(drawn(title, "per second", LENGTH, "the server is slower", lines))
}
