//! What goes wrong with deadlines.

pub use steadfast_base::DeadlineExceeded;

/// The header says no timeout. A receiver treats it as absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("invalid timeout header: expected at most eight digits and a unit, as in 250m")]
pub struct InvalidTimeout;
