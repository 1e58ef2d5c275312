//! What the disk can do at best: the same batches, written and synced by a plain loop.

use std::path::Path;
use std::time::{Duration, Instant};

use steadfast_base::disk::{Disk, DiskFile, OpenMode, RealDisk};

use super::{EVENT, Round};

const LENGTH: u64 = 64 << 20;

pub(super) struct Raw {
    file: Box<dyn DiskFile>,
    at: u64,
    bytes: Vec<u8>,
}

impl Raw {
    /// Makes a file as long as a segment and full of zeros.
    pub(super) fn prepare(path: &Path) -> anyhow::Result<Self> {
        let file = RealDisk.open(path, OpenMode::CreateNew)?;
        file.allocate(LENGTH)?;
        let zeros = vec![0; 1 << 20];
        for at in (0..LENGTH).step_by(zeros.len()) {
            file.write_all_at(&zeros, at)?;
        }
        file.sync_data()?;
        Ok(Self { file, at: 0, bytes: Vec::new() })
    }

    /// Writes and syncs batches of as many events as `batches` says, over and over for `length`, from the start of
    /// the file again when it is full.
    pub(super) fn replay(&mut self, batches: &[u64], length: Duration) -> anyhow::Result<Round> {
        let start = Instant::now();
        let (mut written, mut latencies) = (0, Vec::new());
        // As long as our round and not as much work: a disk that stalls now and then would fail the longer one.
        for events in batches.iter().cycle().take_while(|_| start.elapsed() < length) {
            let length = *events as usize * EVENT;
            if self.bytes.len() < length {
                self.bytes.resize(length, b'x');
            }
            if self.at + length as u64 > LENGTH {
                self.at = 0;
            }
            let begun = Instant::now();
            self.file.write_all_at(&self.bytes[..length], self.at)?;
            self.file.sync_data()?;
            latencies.push(begun.elapsed().as_nanos() as u64);
            self.at += length as u64;
            written += events;
        }
        Ok(Round { events: written, elapsed: start.elapsed(), latencies })
    }
}
