//! A callee fails: how many callers get an answer.

use steadfast_guard::FallbackLayer;
use steadfast_guard::testing::bare::Done;
use steadfast_guard::testing::overload::{Load, Remote};
use steadfast_lab::report::plot::Plot;
use tower::ServiceBuilder;

use super::run::{SECOND, Way, goodput, line, offer, paused, plot as drawn, server};

const LENGTH: u32 = 40;

pub(super) fn plot() -> anyhow::Result<Plot> {
    let answered = |is_guarded: bool| {
        paused(async {
            let server = server();
            let fallback = FallbackLayer::value(|_: &Result<_, _>| Some(Done));
            let way = ServiceBuilder::new()
                .option_layer(is_guarded.then_some(fallback))
                .service(Remote::new(server.clone()));
            let load = Load { rate: 200.0, length: LENGTH * SECOND, ..Load::default() };
            offer(load, &Way::new(way), || server.fail(0.8), || server.fail(0.0)).await
        })
    };
    let lines = vec![
        line("without", "without", goodput(&answered(false)?)),
        line("with", "with a fallback", goodput(&answered(true)?)),
    ];
    Ok(drawn("Callers that get an answer", "per second", LENGTH, "four of five calls fail", lines))
}
