use std::time::Duration;

use serde::{Deserialize, Serialize};
use steadfast_base::units::HumanDuration;

use super::InvalidFault;

/// Stalls the tokio runtime: all its worker threads are held at the same time, again and again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RuntimeFault {
    /// How long all workers are held.
    pub stall: HumanDuration,
    /// The time from the start of one stall to the start of the next; the first starts at once.
    pub every: HumanDuration,
}

impl RuntimeFault {
    pub(super) fn validate(&self) -> Result<(), InvalidFault> {
        let error = |field, problem| Err(InvalidFault { kind: "runtime", field, problem });
        if self.stall.0 < Duration::from_millis(1) {
            error("stall", "is shorter than 1ms")
        } else if self.every.0 <= self.stall.0 {
            error("every", "is not longer than the stall, which would then never end")
        } else {
            Ok(())
        }
    }
}
