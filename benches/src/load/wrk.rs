//! `wrk`: the fastest closed-model generator at hand.

use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;

pub(super) fn is_there() -> bool {
    Command::new("wrk").arg("--version").output().is_ok()
}

/// Returns the highest rate that wrk reaches with one or two threads.
pub(super) fn rate_max(url: &str, span: Duration) -> anyhow::Result<f64> {
    let mut best: f64 = 0.0;
    for threads in ["-t1", "-t2"] {
        let connections = format!("-c{}", super::CONNECTIONS);
        let span = format!("-d{}s", span.as_secs());
        let output = Command::new("wrk").args([threads, &connections, &span, url]).output()?;
        let text = String::from_utf8_lossy(&output.stdout);
        let rate = text.lines().find_map(|line| line.strip_prefix("Requests/sec:"));
        best = best.max(rate.with_context(|| format!("wrk printed no rate: {text}"))?.trim().parse()?);
    }
    Ok(best)
}
