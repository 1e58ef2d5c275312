//! Jobs that need 2 GiB in all under a quota of 256 MiB, and without one: how much memory is resident. A real run.

use steadfast_lab::report::plot::{Line, Plot};

use super::run::line;
use crate::workers::resident;

pub(super) fn plot() -> anyhow::Result<Plot> {
    let [fixed, ours] = resident()?;
    let end = fixed.iter().chain(&ours).map(|(at, _)| *at).fold(0.0, f64::max);
    let drawn = |points: Vec<(f64, f64)>| -> Vec<(f64, Option<f64>)> {
        points.into_iter().map(|(at, mebibytes)| (at, Some(mebibytes))).collect()
    };
    let lines: Vec<Line> = vec![
        line("without", "8 threads, no quota", drawn(fixed)),
        line("with", "a quota of 256 MiB", drawn(ours)),
    ];
    Ok(Plot {
        title: "Memory of a process that runs 61 jobs".to_owned(),
        unit: "resident MiB",
        logarithmic: false,
        span: (0.0, end.ceil()),
        lines,
        shaded: Vec::new(),
        marks: Vec::new(),
        bounds: vec![(0.0, end.ceil(), 256.0)],
    })
}
