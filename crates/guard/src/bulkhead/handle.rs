//! The bulkhead that callers hold.

use serde::Serialize;
use std::fmt;
use std::sync::Arc;
use steadfast_base::Deadline;

use super::{BulkheadPolicy, Error};
use crate::Rejection;
use crate::gate::{Admit, Gate, Permit, Refusal};

/// A bulkhead around one resource. Clones share its room.
///
/// # Examples
/// ```
/// use steadfast_guard::bulkhead::{Bulkhead, BulkheadPolicy};
///
/// let bulkhead = Bulkhead::new("reports", BulkheadPolicy { concurrency_max: 2, ..BulkheadPolicy::default() });
/// bulkhead.set_concurrency(4);
/// assert_eq!(bulkhead.snapshot().concurrency_max, 4);
/// ```
#[derive(Clone)]
pub struct Bulkhead {
    shared: Arc<Shared>,
}

struct Shared {
    name: Box<str>,
    gate: Arc<Gate>,
}

/// What a bulkhead looks like at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Snapshot {
    /// The name of the bulkhead.
    pub name: String,
    /// The most calls at a time.
    pub concurrency_max: u32,
    /// How many calls are under way.
    pub in_flight: u32,
    /// How many calls wait.
    pub queued: usize,
    /// How many calls were let in so far.
    pub admitted: u64,
    /// How many calls were refused so far.
    pub refused: u64,
}

impl Bulkhead {
    /// Creates a bulkhead with all its room free.
    pub fn new(name: impl Into<Box<str>>, policy: BulkheadPolicy) -> Self {
        let gate = Gate::new(policy.concurrency_max.max(1), policy.rule());
        Self { shared: Arc::new(Shared { name: name.into(), gate }) }
    }

    /// Returns the name, which logs and metrics show.
    pub fn name(&self) -> &str {
        &self.shared.name
    }

    /// Changes how many calls are made at a time (1 or more; 0 counts as 1). Calls that are under way stay.
    pub fn set_concurrency(&self, concurrency_max: u32) {
        self.shared.gate.set_limit(concurrency_max.max(1)).wake();
    }

    /// Changes everything. Calls that are under way stay, also where they are more than are allowed now: nobody is let
    /// in until there is room again. Those that wait keep their places, and wait no longer than the old and the new policy allow.
    pub fn set_policy(&self, policy: BulkheadPolicy) {
        self.shared.gate.set_rule(policy.rule(), policy.concurrency_max.max(1)).wake();
    }

    /// Returns what the bulkhead looks like now.
    pub fn snapshot(&self) -> Snapshot {
        let figures = self.shared.gate.figures();
        Snapshot {
            name: self.name().to_owned(),
            concurrency_max: figures.limit,
            in_flight: figures.in_flight,
            queued: figures.queued,
            admitted: figures.admitted,
            refused: figures.refused.iter().sum(),
        }
    }
}

impl Admit for Bulkhead {
    type Permit = Permit;

    #[inline]
    fn gate(&self) -> &Arc<Gate> {
        &self.shared.gate
    }

    #[inline]
    fn admitted(&self, permit: Permit, _: Option<Deadline>) -> Permit {
        permit
    }

    fn refused(&self, refusal: Refusal) -> Rejection {
        Rejection::Bulkhead(match refusal {
            Refusal::Full => Error::Full,
            Refusal::Waited => Error::Waited { after: self.shared.gate.rule().wait_max },
        })
    }
}

impl fmt::Debug for Bulkhead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.snapshot().fmt(f)
    }
}
