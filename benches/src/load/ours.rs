//! Our own generator, in this process.

use std::sync::Arc;
use std::time::Duration;

use steadfast_base::units::Rate;
use steadfast_load::{CancellationToken, Plan, Tally, Targets, run_blocking};

use super::{CONNECTIONS, KEPT_MIN};

/// Returns the rate of successful answers, if the arrivals were on schedule and the answers came in time.
pub(super) fn kept(url: &str, rate: u64, span: Duration) -> anyhow::Result<Option<f64>> {
    let mut plan = Plan::single(url, Rate::per_second_of(rate), span)?;
    plan.connections_max = CONNECTIONS;
    let tally = Arc::new(Tally::new(&plan));
    let summary = run_blocking(plan, Targets::new(), tally.clone(), &CancellationToken::new())?;
    let step = tally.step(0);
    let got = step.succeeded as f64 / summary.elapsed.as_secs_f64();
    if std::env::var_os("STEADFAST_BENCH_VERBOSE").is_some() {
        let (p50, p99) = (step.percentile(50.0), step.percentile(99.0));
        eprintln!("load: ours {rate}/s: {got:.0}/s, p50 {p50:?}, p99 {p99:?}, {summary:?}");
    }
    Ok((summary.is_valid() && got >= KEPT_MIN * rate as f64).then_some(got))
}
