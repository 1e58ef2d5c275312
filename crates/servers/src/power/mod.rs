//! A file system that forgets what was not synced, like a machine that loses power.
//!
//! SIGKILL cannot tell a store that syncs from one that does not: what was written is in the page cache, which outlives
//! the process. [`PowerCutFs`] keeps everything in memory, knows of each page and each name whether it would outlive
//! the loss of power, and drops the rest when it is told to. Any server can be run on it.
//!
//! # What is durable
//! - **Data and length of a file**: after `fsync`, `fdatasync`, `msync`, or a write to a file that was opened with
//!   `O_DSYNC` or `O_SYNC`.
//! - **A name** (made, linked, renamed, removed): after `fsync` of its folder. A name that leads to a file is also
//!   durable after `fsync` (not `fdatasync`) of the file itself, with the folders on the way to it, as on ext4 and
//!   XFS. A rename is made at once or not at all, and durable with either folder.
//! - **Owner, mode and times**: at once. They are not what is tested here.
//! - Closing a file makes nothing durable, and nothing becomes so by waiting.
//!
//! # What a cut leaves
//! What is durable is left in any case. Of the rest, [`Cut::DropAll`] leaves nothing. [`Cut::Torn`] leaves what a seed
//! draws, as a kernel that had begun to write back:
//! - each page of 4 KiB is as it was synced, or as it was after one of the writes since, each drawn for itself;
//!   a quarter of them are torn between two such states, sector by sector (512 bytes);
//! - the length is one of those it had since it was synced; where a file grew and its pages were dropped, it holds
//!   zeros. A cut of the file is made whole or not at all;
//! - each change of names is made or not, after all earlier ones of the same names.
//!
//! [`Cut::KeepAll`] leaves all of it, and takes the files away from whoever has them open: so the death of a process can
//! be had for what runs in the process of its test.
//!
//! This is harsher than ext4 and XFS, which write changes of names in their order, and ext4 the data before the length.
//! No disk that keeps its promises is harsher: what was synced is never lost, and a sector is never torn.
//!
//! # What it is not
//! It needs root and `/dev/fuse`, and is far slower than a disk. It keeps in memory what was removed until the next
//! cut. It knows no extended attributes, no devices and no sockets; locks and maps are the kernel's, so what a program
//! has put into a shared map and not synced counts as not written.

mod contents;
mod daemon;
mod mount;
mod mounted;
mod serve;
#[cfg(test)]
mod servers;
mod stale;
#[cfg(test)]
mod tests;
mod volume;

pub use daemon::serve_if_asked;
pub use mount::Cut;
pub use mount::PowerCutFs;
