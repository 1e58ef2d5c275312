//! Cells and maps beside those that read fastest, and beside what one would use without them, in the same run.
//!
//! Short rounds of ours and of the peer alternate, so that noise meets both, and the round of the median ratio is the
//! result. A figure is that of all threads together. All maps hash by the standard library's default, hold `u64` by
//! `u64`, and are read at random keys, each thread's in its own order; each read takes its own guard, as code does
//! that reads once per request. One row shows what `papaya` gains when a guard serves 64 reads.

mod map;
mod memory;
mod one;
mod race;

use crate::{Options, Row};

/// Runs all comparisons of cells.
pub(crate) fn run(options: &Options) -> anyhow::Result<Vec<Row>> {
    let budget = race::budget(options);
    // First, for it measures what the process has.
    let mut rows = memory::run()?;
    rows.extend(one::run(budget)?);
    rows.extend(map::run(budget)?);
    Ok(rows)
}
