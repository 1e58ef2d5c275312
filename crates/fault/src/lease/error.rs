use crate::InvalidFault;

/// Why a lease was not given, renewed or revoked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LeaseError {
    /// The fault is wrong: correct it, a repetition does not help.
    #[error(transparent)]
    Fault(#[from] InvalidFault),
    /// The time to live is wrong: renew the lease while the fault is to last.
    #[error("the time to live must be between 1ms and 1h")]
    Ttl,
    /// An active lease of this id holds another fault: choose another id.
    #[error("an active lease of this id holds another fault; choose another id")]
    Exists,
    /// The lease of this id has ended and its id is not given again: choose another id to inject anew.
    #[error("the lease of this id has ended")]
    Ended,
    /// No lease of this id is known, as after a restart of the target.
    #[error("no lease of this id is known")]
    Unknown,
    /// Another lease stalls the runtime: revoke that one first.
    #[error("another lease stalls the runtime already")]
    Conflict,
    /// As many leases are held as are allowed: revoke some.
    #[error("64 leases are held already; revoke some")]
    Limit,
    /// This injector cannot do it, since it was made without a runtime.
    #[error("this injector has no runtime to stall")]
    Unsupported,
    /// The thread that stalls the runtime could not be started: it may work later.
    #[error("the thread that stalls the runtime could not be started")]
    Thread,
}
