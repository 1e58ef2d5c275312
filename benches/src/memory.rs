//! How much memory the process has.

use anyhow::Context as _;

/// Returns the resident memory in bytes, as the kernel counts it.
pub(crate) fn resident() -> anyhow::Result<f64> {
    const PAGE: f64 = 4096.0;
    let pages = std::fs::read_to_string("/proc/self/statm")?;
    let pages = pages.split_whitespace().nth(1).context("/proc/self/statm is not as it should be")?;
    Ok(pages.parse::<f64>()? * PAGE)
}
