use steadfast_fault::control::ClientError;
use steadfast_fault::{InvalidFault, InvalidLeaseId};

use crate::{system, undo};

/// Why a fault could not be done or undone.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The target has no control socket.
    #[error("{process} is not linked with the fault injector; say `linked: true` if it is")]
    NotLinked {
        /// The process.
        process: String,
    },
    /// The fault makes no sense.
    #[error(transparent)]
    Fault(#[from] InvalidFault),
    /// The fault's name cannot be that of a lease.
    #[error(transparent)]
    Name(#[from] InvalidLeaseId),
    /// The target's control endpoint did not do as asked.
    #[error(transparent)]
    Control(#[from] ClientError),
    /// The target could not be signalled or started.
    #[error(transparent)]
    System(#[from] system::Error),
    /// The undo log cannot be written, so nothing is injected.
    #[error(transparent)]
    Undo(#[from] undo::Error),
    /// The thread of the fault cannot wait for readiness; the host is short of something.
    #[error("no runtime for readiness: {0}")]
    Runtime(#[source] std::io::Error),
    /// The fault is still in force after it was undone.
    #[error("not undone: {0}")]
    StillThere(String),
}
