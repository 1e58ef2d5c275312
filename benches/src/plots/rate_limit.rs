//! A caller asks for three times its quota for a while: how much is let through.

use steadfast_guard::testing::overload::{Load, Remote};
use steadfast_guard::{Quota, RateLimitLayer, RateLimiter};
use steadfast_lab::report::plot::Plot;
use tokio::time::sleep;
use tower::Layer;

use super::run::{SECOND, WRONG, Way, growth, line, paused, plot as drawn, seed, server};

const LENGTH: u32 = 40;
const QUOTA: u32 = 100;

pub(super) fn plot() -> anyhow::Result<Plot> {
    let (offered, received) = paused(async {
        let limiter = RateLimiter::new(Quota::per_second(QUOTA).with_burst(20));
        let remote = Remote::new(server());
        let way = Way::new(RateLimitLayer::new(limiter).layer(remote.clone()));
        let mut always = seed().stream("always");
        let mut more = seed().stream("more");
        let usual = Load { rate: 80.0, length: LENGTH * SECOND, ..Load::default() };
        let burst = Load { rate: 220.0, length: (WRONG.1 - WRONG.0) * SECOND, ..Load::default() };
        let burst = async {
            sleep(WRONG.0 * SECOND).await;
            burst.offer(&way, &mut more).await
        };
        let (usual, burst, received) =
            tokio::join!(usual.offer(&way, &mut always), burst, growth(LENGTH, || remote.received()));
        let offered = (0..LENGTH).map(|second| {
            let (from, to) = (second * SECOND, (second + 1) * SECOND);
            let more = second
                .checked_sub(WRONG.0)
                .map_or(0.0, |second| burst.between(second * SECOND, (second + 1) * SECOND).offered());
            (f64::from(second) + 0.5, Some(usual.between(from, to).offered() + more))
        });
        (offered.collect::<Vec<_>>(), received)
    })?;
    let lines = vec![line("offered", "asked for", offered), line("with", "let through", received)];
    let title = "A quota of 100 per second, 20 at a time";
    let plot = drawn(title, "calls per second", LENGTH, "a caller asks for more", lines);
    Ok(Plot { bounds: vec![(0.0, f64::from(LENGTH), f64::from(QUOTA))], ..plot })
}
