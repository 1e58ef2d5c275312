//! Room for one call, whose latency is measured.

use steadfast_base::{Class, Deadline};
use tokio::time::Instant;

use super::Shed;
use crate::gate::Permit;

/// Room for one call, given back when it is dropped.
///
/// One that is dropped without a word says nothing of the callee, unless the call's deadline has passed: then it was
/// too slow.
#[derive(Debug)]
pub(crate) struct ShedPermit {
    shed: Shed,
    started: Instant,
    deadline: Option<Deadline>,
    /// Dropped after the latency is recorded, which wants to know what is under way.
    _room: Permit,
    is_success: Option<bool>,
}

impl ShedPermit {
    pub(super) fn new(shed: Shed, room: Permit, deadline: Option<Deadline>) -> Self {
        Self { shed, started: Instant::now(), deadline, _room: room, is_success: None }
    }

    /// Says how the call ended.
    pub(super) fn end(mut self, class: Class) {
        self.is_success = Some(!class.is_failure());
    }
}

impl Drop for ShedPermit {
    fn drop(&mut self) {
        let is_too_slow = || self.deadline.is_some_and(Deadline::is_expired).then_some(false);
        if let Some(is_success) = self.is_success.or_else(is_too_slow) {
            self.shed.record(self.started, is_success);
        }
    }
}
