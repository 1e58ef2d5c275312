//! One call in fifty takes half a second longer: how long callers wait.

use std::sync::Arc;
use std::time::Duration;

use steadfast_base::Budget;
use steadfast_guard::testing::overload::{Load, Remote, Seen, Server};
use steadfast_guard::{Hedge, HedgeLayer, HedgePolicy};
use steadfast_lab::report::plot::Plot;
use tower::ServiceBuilder;

use super::run::{MS, SECOND, Way, line, offer, paused, per_second, plot as drawn, seed};

const LENGTH: u32 = 40;

pub(super) fn plot() -> anyhow::Result<Plot> {
    let p99 = |is_guarded: bool| {
        let seen = paused(async {
            let replicas = Server::new(256, 20 * MS, seed());
            let hedge = Hedge::new("replicas", HedgePolicy::default(), Arc::new(Budget::new(0.05, 0)));
            let way = ServiceBuilder::new()
                .option_layer(is_guarded.then(|| HedgeLayer::new(hedge)))
                .service(Remote::new(replicas.clone()));
            let load = Load { rate: 500.0, length: LENGTH * SECOND, patience: SECOND, ..Load::default() };
            let stall = || replicas.stall(0.02, 500 * MS);
            offer(load, &Way::new(way), stall, || replicas.stall(0.0, Duration::ZERO)).await
        })?;
        let milliseconds = |part: &Seen| part.latency(0.99).map(|latency| latency.as_secs_f64() * 1000.0);
        anyhow::Ok(per_second(&seen, milliseconds))
    };
    let lines = vec![line("without", "without", p99(false)?), line("with", "hedged", p99(true)?)];
    let title = "Time within which 99 of 100 calls are answered";
    Ok(drawn(title, "ms", LENGTH, "one call in fifty takes 500 ms longer", lines))
}
