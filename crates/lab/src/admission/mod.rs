//! Whether a run may start.
//!
//! Judging is pure: [`judge`] holds a document against [`Facts`] about this machine. [`gather`] finds the facts, and
//! [`admit`] does both. Every check is told, also those that pass, so that one can see what was looked at.

mod check;
mod facts;
mod judge;

pub use check::Check;
pub use facts::Facts;
pub use facts::gather;
pub use judge::ARRIVALS_PER_CPU_MAX;
pub use judge::DISK_BYTES_MIN;
pub use judge::judge;

use std::path::{Path, PathBuf};

use crate::spec::Document;

/// Gathers the facts and judges whether a run of `document` may start: `folder` is where it would leave its files,
/// `bin_dirs` are the folders in which programs are looked for before `PATH`.
pub fn admit(document: &Document, folder: &Path, bin_dirs: &[PathBuf]) -> Vec<Check> {
    judge(&document.experiment, &gather(document, folder, bin_dirs))
}
