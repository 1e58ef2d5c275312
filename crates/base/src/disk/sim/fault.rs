use std::io;

/// What the loss of power does to data that was not synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Crash {
    /// All of it is lost, but for what [`Odds::write_back`](super::Odds::write_back) has made durable before.
    Dropped,
    /// Of each file a random subset of its unsynced sectors of 512 bytes survives, in any order, and of the
    /// unsynced changes of folders the first few do.
    Torn,
    /// Nothing is lost: only the process died, and the operating system still has everything.
    ProcessOnly,
}

/// An error that the disk is told to give, once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DiskFault {
    /// The read after `skip` further ones fails with an I/O error.
    ReadError {
        /// How many reads succeed before.
        skip: u64,
    },
    /// The write after `skip` further ones fails with an I/O error, a part of it written.
    WriteError {
        /// How many writes succeed before.
        skip: u64,
    },
    /// The write or allocation after `skip` further ones fails for want of space, a part of it written.
    WriteFull {
        /// How many succeed before.
        skip: u64,
    },
    /// The sync of a file after `skip` further ones fails with an I/O error. As on Linux, the data counts as
    /// clean from then on: later syncs do not make it durable unless it is written again, and
    /// [`Odds::evict`](super::Odds::evict) may take it from the cache.
    SyncError {
        /// How many syncs succeed before.
        skip: u64,
    },
    /// The sync of a folder after `skip` further ones fails with an I/O error. As on file systems with a journal,
    /// its changes stay to be made durable by a later one.
    FolderSyncError {
        /// How many syncs of folders succeed before.
        skip: u64,
    },
}

/// What can fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operation {
    Read,
    Write,
    Allocate,
    Sync,
    SyncFolder,
}

impl DiskFault {
    /// Counts down if `operation` is of its kind; returns what the operation fails with when it is due.
    pub(super) fn meet(&mut self, operation: Operation) -> Option<io::ErrorKind> {
        use Operation::{Allocate, Read, Sync, SyncFolder, Write};
        let (skip, kind) = match (self, operation) {
            (Self::ReadError { skip }, Read)
            | (Self::WriteError { skip }, Write)
            | (Self::SyncError { skip }, Sync)
            | (Self::FolderSyncError { skip }, SyncFolder) => (skip, io::ErrorKind::Other),
            (Self::WriteFull { skip }, Write | Allocate) => (skip, io::ErrorKind::StorageFull),
            _ => return None,
        };
        match skip.checked_sub(1) {
            Some(less) => {
                *skip = less;
                None
            }
            None => Some(kind),
        }
    }
}
