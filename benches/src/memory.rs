//! How much memory the process has.

use anyhow::Context as _;

/// Returns the resident memory in bytes, as the kernel counts it.
pub(crate) fn resident() -> anyhow::Result<f64> {
    const PAGE: f64 = 4096.0;
    let pages = std::fs::read_to_string("/proc/self/statm")?;
    let pages = pages.split_whitespace().nth(1).context("/proc/self/statm is not as it should be")?;
    Ok(pages.parse::<f64>()? * PAGE)
}

/// Returns the anonymous memory in bytes: what was allocated, without files.
pub(crate) fn anonymous() -> anyhow::Result<f64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).context("no RssAnon")?;
    let kibibytes: f64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kibibytes * 1024.0)
}
