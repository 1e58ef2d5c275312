//! Three times what a server can serve: how many calls are answered in time.

use steadfast_guard::testing::overload::{Asked, Load, Remote};
use steadfast_guard::{Shed, ShedLayer, ShedPolicy};
use steadfast_lab::report::plot::Plot;
use tokio::time::sleep;
use tower::ServiceBuilder;

use super::run::{SECOND, WRONG, Way, goodput, line, paused, plot as drawn, seed, server};

const LENGTH: u32 = 50;

pub(super) fn plot() -> anyhow::Result<Plot> {
    let capacity = server().capacity();
    let answered = |is_guarded: bool| {
        paused(async {
            let shed = ShedLayer::new(Shed::new("server", ShedPolicy::default(), seed()));
            let there = ServiceBuilder::new().option_layer(is_guarded.then_some(shed)).service(server());
            let way = Way::new(Remote::new(there));
            let (mut always, mut more) = (seed().stream("always"), seed().stream("more"));
            let usual = Load { rate: 0.8 * capacity, length: LENGTH * SECOND, ..Load::default() };
            let rush = Load { rate: 2.2 * capacity, length: (WRONG.1 - WRONG.0) * SECOND, ..Load::default() };
            let rush = async {
                sleep(WRONG.0 * SECOND).await;
                rush.offer(&way, &mut more).await
            };
            let (mut usual, rush) = tokio::join!(usual.offer(&way, &mut always), rush);
            let later = |mut call: Asked| {
                call.at += WRONG.0 * SECOND;
                call
            };
            usual.calls.extend(rush.calls.into_iter().map(later));
            usual
        })
    };
    let lines = vec![
        line("without", "without", goodput(&answered(false)?)),
        line("with", "shedding", goodput(&answered(true)?)),
    ];
    let title = "Answered within 200 ms by a server with a capacity of 800";
    let plot = drawn(title, "calls per second", LENGTH, "three times that is asked for", lines);
    Ok(Plot { bounds: vec![(0.0, f64::from(LENGTH), capacity)], ..plot })
}
