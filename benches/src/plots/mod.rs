//! What each guard does, as a plot for the guide: a run with it and one without, in virtual time and from a seed, so that
//! everyone gets the same picture.

mod breaker;
mod bulkhead;
mod deadline;
mod fallback;
mod hedge;
mod picture;
mod rate_limit;
mod retry;
mod run;
mod shed;
mod workers;

use std::path::Path;

use anyhow::Context as _;
use steadfast_lab::report::plot::Plot;

use crate::progress;

/// Where the guide expects them.
const FOLDER: &str = "docs/guide/plots";

type Draw = fn() -> anyhow::Result<Plot>;

const PLOTS: &[(&str, Draw)] = &[
    ("breaker", breaker::plot),
    ("bulkhead", bulkhead::plot),
    ("deadline", deadline::plot),
    ("fallback", fallback::plot),
    ("hedge", hedge::plot),
    ("rate-limit", rate_limit::plot),
    ("retry", retry::plot),
    ("shed", shed::plot),
    ("workers", workers::plot),
];

/// Draws all plots into the folder of the guide.
pub(crate) fn run() -> anyhow::Result<()> {
    std::fs::create_dir_all(FOLDER).context("run it in the root of the workspace")?;
    for (name, draw) in PLOTS {
        progress(name);
        let plot = draw().with_context(|| format!("plot {name}"))?;
        anyhow::ensure!(!plot.is_empty(), "the plot {name} is empty");
        std::fs::write(Path::new(FOLDER).join(format!("{name}.svg")), picture::svg(&plot))?;
    }
    Ok(())
}
