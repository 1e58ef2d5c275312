//! Experiments: specification, admission, run, faults, observation, verdict and report.

pub mod admission;
pub mod http;
pub mod inject;
pub mod invariant;
pub mod report;
pub mod run;
pub mod spec;
pub mod system;
pub mod undo;
