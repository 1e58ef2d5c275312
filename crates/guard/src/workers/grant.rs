//! The right to run.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use steadfast_base::Deadline;
use steadfast_base::units::Size;

use super::handle::Shared;

/// The right of one job to run, with the memory that is reserved for it; dropping it ends the job.
#[must_use = "dropping it gives back what was reserved"]
pub struct Grant {
    pub(super) shared: Arc<Shared>,
    pub(super) id: u64,
    pub(super) name: &'static str,
    pub(super) reserved: u64,
    pub(super) deadline: Option<Deadline>,
    pub(super) cancelled: Arc<AtomicBool>,
    /// The most that was resident before, of a job that is watched.
    pub(super) peak_before: Option<u64>,
    /// What was reserved was given back already.
    pub(super) is_over: bool,
}

impl Grant {
    /// Returns what is reserved for the job.
    pub fn reserved(&self) -> Size {
        Size::from_bytes(self.reserved)
    }

    /// Says that nobody waits for the result any more: the job was cancelled or its deadline has passed. A long job
    /// asks now and then, and ends.
    pub fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed) || self.deadline.is_some_and(Deadline::is_expired)
    }

    /// Tells the most memory that this job has had, where it knows: jobs of its name that declare nothing reserve by
    /// the last reports.
    pub fn report(&self, most: Size) {
        self.shared.lock().pool.learned.reported(self.name, most.bytes());
    }
}

impl Grant {
    /// Takes it back from a job that could not be started.
    pub(super) fn revoke(mut self) {
        self.is_over = true;
        self.shared.revoke(self.id);
    }
}

impl Drop for Grant {
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        let peak = self.peak_before.and_then(|before| {
            // It says something of this job only where the job has raised it.
            self.shared.memory.peak().filter(|peak| *peak > before)
        });
        self.shared.finish(self.id, peak);
    }
}

impl fmt::Debug for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Grant")
            .field("name", &self.name)
            .field("reserved", &self.reserved())
            .finish_non_exhaustive()
    }
}
