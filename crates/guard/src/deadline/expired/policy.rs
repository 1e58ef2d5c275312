//! How many expired calls are refused.

/// How large a share of the calls may be refused for being late.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RefuseExpiredPolicy {
    /// The share of all calls that may be refused, over the last thousand calls or so; 0.0 to 1.0. Expired calls beyond
    /// it are let through.
    pub share_max: f64,
}

impl Default for RefuseExpiredPolicy {
    /// A fifth of the calls, as Finagle has it.
    fn default() -> Self {
        Self { share_max: 0.2 }
    }
}
