//! A file that is written front to back and takes no room where it is zero.

use std::io;

use steadfast_base::disk::DiskFile;

/// The least that a file system gives out.
const PAGE: usize = 4096;
/// How much is written at once.
const PAGES: usize = 256;

/// Writes to a new file, whose pages that are all zero are left out.
#[derive(Debug)]
pub(super) struct Sparse {
    file: Box<dyn DiskFile>,
    /// What has yet to be written, and where; at the start of a page.
    bytes: Vec<u8>,
    at: u64,
}

impl Sparse {
    pub(super) fn new(file: Box<dyn DiskFile>) -> Self {
        Self { file, bytes: Vec::with_capacity(PAGE * PAGES), at: 0 }
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.bytes.extend_from_slice(bytes);
        if self.bytes.len() >= PAGE * PAGES { self.flush(self.bytes.len() / PAGE * PAGE) } else { Ok(()) }
    }

    /// Writes what is left, makes the file `length` bytes long, and makes all of it durable.
    pub(super) fn finish(mut self, length: u64) -> io::Result<()> {
        self.flush(self.bytes.len())?;
        self.file.set_length(length)?;
        self.file.sync_data()
    }

    /// Writes the first `count` bytes of those that wait.
    fn flush(&mut self, count: usize) -> io::Result<()> {
        let zeros = [0; PAGE];
        let pages: Vec<&[u8]> = self.bytes[..count].chunks(PAGE).collect();
        let mut at = self.at;
        for pages in pages.chunk_by(|a, b| (*a == &zeros[..a.len()]) == (*b == &zeros[..b.len()])) {
            if pages[0] != &zeros[..pages[0].len()] {
                self.file.write_all_at(&pages.concat(), at)?;
            }
            at += pages.iter().map(|page| page.len() as u64).sum::<u64>();
        }
        self.bytes.drain(..count);
        self.at = at;
        Ok(())
    }
}
