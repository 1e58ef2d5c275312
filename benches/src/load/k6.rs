//! k6 with its constant-arrival-rate executor, as its documentation tunes it for high rates.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;

use super::KEPT_MIN;

/// Virtual users: with more than 64 it keeps somewhat higher rates, beyond this no more.
const USERS: usize = 256;

const SCRIPT: &str = r#"
import http from 'k6/http';
export const options = {
  discardResponseBodies: true,
  systemTags: [],
  scenarios: { main: {
    executor: 'constant-arrival-rate', timeUnit: '1s', gracefulStop: '5s',
    rate: Number(__ENV.RATE), duration: `${__ENV.SECONDS}s`,
    preAllocatedVUs: Number(__ENV.VUS), maxVUs: Number(__ENV.VUS),
  } },
};
export default function () { http.get(__ENV.URL); }
"#;

/// Finds k6 where `STEADFAST_K6` says, where `cargo xtask bench` puts it, or on the path.
pub(super) fn find() -> Option<PathBuf> {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| PathBuf::from("target"), PathBuf::from);
    let places = [
        std::env::var_os("STEADFAST_K6").map(PathBuf::from),
        Some(target.join("tools/k6/bin/k6")),
        Some(PathBuf::from("k6")),
    ];
    places.into_iter().flatten().find(|path| Command::new(path).arg("version").output().is_ok())
}

/// Returns the rate of answers, if k6 dropped no more iterations than allowed and no answer was a failure.
pub(super) fn kept(k6: &Path, url: &str, rate: u64, span: Duration) -> anyhow::Result<Option<f64>> {
    let folder = tempfile::tempdir()?;
    let (script, summary) = (folder.path().join("script.js"), folder.path().join("summary.json"));
    std::fs::write(&script, SCRIPT)?;
    let output = Command::new(k6)
        .args(["run", "--quiet", "--no-usage-report", "--no-thresholds", "--address", "", "--summary-export"])
        .args([&summary, &script])
        .env("RATE", rate.to_string())
        .env("SECONDS", span.as_secs().to_string())
        .env("VUS", USERS.to_string())
        .env("URL", url)
        .output()?;
    let text = std::fs::read_to_string(&summary)
        .with_context(|| format!("k6 left no summary: {}", String::from_utf8_lossy(&output.stderr)))?;
    let summary: serde_json::Value = serde_json::from_str(&text)?;
    let metric = |name: &str, field: &str| summary["metrics"][name][field].as_f64();
    let answered = metric("http_reqs", "count").context("k6 counted no request")?;
    let failed = metric("http_req_failed", "value").unwrap_or(0.0);
    let got = answered * (1.0 - failed) / span.as_secs_f64();
    if std::env::var_os("STEADFAST_BENCH_VERBOSE").is_some() {
        let dropped = metric("dropped_iterations", "count").unwrap_or(0.0);
        eprintln!("load: k6 {rate}/s: {got:.0}/s, {dropped} dropped, {failed} failed");
    }
    Ok((got >= KEPT_MIN * rate as f64).then_some(got))
}
