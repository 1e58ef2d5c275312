//! A server becomes five times as slow: how many calls come in when callers repeat with a budget and without one.

use std::sync::Arc;

use steadfast_base::Budget;
use steadfast_guard::testing::overload::{Load, Remote};
use steadfast_guard::{RetryLayer, RetryPolicy};
use steadfast_lab::report::plot::Plot;
use tower::Layer;

use super::run::{MS, SECOND, Way, growth, line, offer, paused, per_second, plot as drawn, seed, server};

const LENGTH: u32 = 50;

pub(super) fn plot() -> anyhow::Result<Plot> {
    let received = |budget: Budget| {
        paused(async {
            let server = server();
            let policy = RetryPolicy { attempt_timeout: Some(100 * MS), ..RetryPolicy::default() };
            let remote = Remote::new(server.clone());
            let way = Way::new(RetryLayer::new(policy, Arc::new(budget), seed()).layer(remote.clone()));
            let load = Load {
                rate: 0.6 * server.capacity(),
                length: LENGTH * SECOND,
                patience: 400 * MS,
                ..Load::default()
            };
            let offered = offer(load, &way, || server.slow_down(5.0), || server.slow_down(1.0));
            let (seen, received) = tokio::join!(offered, growth(LENGTH, || remote.received()));
            (per_second(&seen, |part| Some(part.offered())), received)
        })
    };
    let (made, with) = received(Budget::new(0.1, 0))?;
    let (_, without) = received(Budget::new(10.0, 1000))?;
    let lines = vec![
        line("offered", "calls made", made),
        line("without", "three attempts, no budget", without),
        line("with", "a budget of a tenth", with),
    ];
    Ok(drawn("Calls that come in at a server", "per second", LENGTH, "it is five times as slow", lines))
}
