//! A segment written front to back as an archived one.

use std::io;

use steadfast_base::disk::DiskFile;

use super::format::archive::{Archive, Entry, HEADER};
use super::format::segment::Header;

/// How many bytes of a segment a block holds: reading one event takes that many apart.
const BLOCK: usize = 64 << 10;
/// How hard zstd tries: its default.
const LEVEL: i32 = zstd::DEFAULT_COMPRESSION_LEVEL;

/// Writes an archived segment to a new file.
pub(super) struct Compress {
    file: Box<dyn DiskFile>,
    head: Archive,
    compressor: zstd::bulk::Compressor<'static>,
    /// What has yet to be compressed: less than a block.
    bytes: Vec<u8>,
    table: Vec<u8>,
    at: u64,
}

impl Compress {
    /// Begins the archived segment of what `header` describes, whose last frame ends at `end`.
    pub(super) fn new(file: Box<dyn DiskFile>, header: &Header, end: u32) -> io::Result<Self> {
        let Header { number, size, identity, .. } = *header;
        let (block, blocks) = (BLOCK as u32, end.div_ceil(BLOCK as u32));
        let head = Archive { number, size, identity, block, blocks, table_checksum: 0, end };
        let compressor = zstd::bulk::Compressor::new(LEVEL)?;
        let at = head.blocks_at();
        Ok(Self { file, head, compressor, bytes: Vec::with_capacity(2 * BLOCK), table: Vec::new(), at })
    }

    pub(super) fn write(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let (taken, rest) = bytes.split_at(bytes.len().min(BLOCK - self.bytes.len()));
            self.bytes.extend_from_slice(taken);
            if self.bytes.len() == BLOCK {
                self.block()?;
            }
            bytes = rest;
        }
        Ok(())
    }

    /// Writes what is left, and makes all of it durable.
    pub(super) fn finish(mut self) -> io::Result<()> {
        if !self.bytes.is_empty() {
            self.block()?;
        }
        let head = Archive { table_checksum: crc32c::crc32c(&self.table), ..self.head };
        self.file.write_all_at(&self.table, HEADER as u64)?;
        self.file.write_all_at(&head.encode(), 0)?;
        self.file.sync_data()
    }

    fn block(&mut self) -> io::Result<()> {
        let index = (self.table.len() / super::format::archive::ENTRY) as u32;
        let bytes = self.compressor.compress(&self.bytes)?;
        let entry = Entry { length: bytes.len() as u32, checksum: self.head.checksum(index, &bytes) };
        self.file.write_all_at(&bytes, self.at)?;
        self.table.extend_from_slice(&entry.encode());
        self.at += bytes.len() as u64;
        self.bytes.clear();
        Ok(())
    }
}
