//! A callee hangs: how long its callers wait.

use steadfast_guard::testing::overload::{Load, Remote};
use steadfast_guard::{Breaker, BreakerLayer, BreakerPolicy, DeadlineLayer};
use steadfast_lab::report::plot::Plot;
use tower::ServiceBuilder;

use super::run::{MS, SECOND, Way, line, offer, paused, per_second, plot as drawn, server};

const LENGTH: u32 = 40;

pub(super) fn plot() -> anyhow::Result<Plot> {
    let waits = |is_guarded: bool| {
        let seen = paused(async {
            let server = server();
            let breaker = BreakerLayer::new(Breaker::new("callee", BreakerPolicy::default()));
            let way = ServiceBuilder::new()
                .layer(DeadlineLayer::new(5 * MS, SECOND))
                .option_layer(is_guarded.then_some(breaker))
                .service(Remote::new(server.clone()));
            let load = Load { rate: 200.0, length: LENGTH * SECOND, patience: SECOND, ..Load::default() };
            offer(load, &Way::new(way), || server.slow_down(500.0), || server.slow_down(1.0)).await
        })?;
        anyhow::Ok(per_second(&seen, |part| {
            let sum: f64 = part.calls.iter().map(|call| call.waited.as_secs_f64() * 1000.0).sum();
            Some(sum / part.calls.len() as f64)
        }))
    };
    let lines =
        vec![line("without", "deadline alone", waits(false)?), line("with", "with a breaker", waits(true)?)];
    Ok(drawn("How long callers wait on average", "ms", LENGTH, "the callee hangs", lines))
}
