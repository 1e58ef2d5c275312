use super::fault::Operation;

/// How likely each thing goes wrong at each operation, from 0 (never) to 1 (always); what happens is drawn from the
/// seed of the disk.
///
/// # Examples
/// ```
/// use steadfast_base::{Seed, disk::{Odds, SimDisk}};
///
/// let disk = SimDisk::new(Seed::new(1));
/// disk.set_odds(Odds { sync_error: 0.01, write_back: 0.3, evict: 0.1, ..Odds::default() });
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Odds {
    /// A read fails with an I/O error.
    pub read_error: f64,
    /// A write fails with an I/O error, a part of it written.
    pub write_error: f64,
    /// A write or allocation fails for want of space, a part of it written.
    pub write_full: f64,
    /// The sync of a file or folder fails, as [`DiskFault::SyncError`](super::DiskFault::SyncError) tells.
    pub sync_error: f64,
    /// The sync of a file succeeds and does nothing.
    pub sync_lie: f64,
    /// The kernel writes back some of what is dirty in a file after a write to it, so that of two unsynced writes
    /// the later may be durable and the earlier not, and of two to one place the earlier may be.
    pub write_back: f64,
    /// A page that a failed sync has left clean and not durable is dropped from the cache at a read of its file,
    /// which sees the old content then.
    pub evict: f64,
}

impl Odds {
    /// The odds that `operation` fails for a reason other than want of space, and for that.
    pub(super) fn of(&self, operation: Operation) -> (f64, f64) {
        match operation {
            Operation::Read => (self.read_error, 0.0),
            Operation::Write => (self.write_error, self.write_full),
            Operation::Allocate => (0.0, self.write_full),
            Operation::Sync | Operation::SyncFolder => (self.sync_error, 0.0),
        }
    }
}
