//! What the suite says of a guard.

/// How a guard breaks the contract.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Broken(
    /// What happened and what should have.
    pub String,
);

/// Returns [`Broken`] unless `kept`.
pub(super) fn expect(kept: bool, otherwise: impl FnOnce() -> String) -> Result<(), Broken> {
    if kept { Ok(()) } else { Err(Broken(otherwise())) }
}
