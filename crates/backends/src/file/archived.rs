//! An archived segment, read as if it had not been archived: every frame stands at the byte where it stood.

use std::fmt;
use std::io;
use std::sync::Arc;

use parking_lot::Mutex;
use steadfast_base::disk::DiskFile;

use super::format::Offset;
use super::format::archive::{Archive, ENTRY, Entry, HEADER};

/// How many blocks are kept taken apart.
const KEPT_MAX: usize = 4;
/// What stands where a block cannot be read, for whoever wants to go on behind it: no frame begins like this.
const UNREADABLE: u8 = 0xff;

/// What is wrong with an archived segment.
#[derive(Debug)]
pub(super) struct Broken {
    /// Where, counted in bytes of the segment before it was archived.
    pub(super) at: Offset,
    pub(super) problem: &'static str,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.at, self.problem)
    }
}

impl std::error::Error for Broken {}

/// How many bytes from `at` on can be read for certain, where a read of more has met the damage that `error` tells of;
/// none if it is about something else.
pub(super) fn readable_before(error: &io::Error, at: Offset) -> Option<usize> {
    let Broken { at: damage, .. } = error.get_ref()?.downcast_ref::<Broken>()?;
    let before = damage.segment() == at.segment() && *damage > at;
    before.then(|| (damage.byte() - at.byte()) as usize)
}

/// An archived segment, open for reading.
#[derive(Debug)]
pub(super) struct ArchivedFile {
    file: Box<dyn DiskFile>,
    head: Archive,
    /// What the table says of each block, and where it begins.
    blocks: Vec<(Entry, u64)>,
    /// Most recently used last.
    kept: Mutex<Vec<(u32, Arc<[u8]>)>>,
    /// Whether blocks that cannot be read are left out, and not an error.
    lenient: bool,
}

impl ArchivedFile {
    /// Opens the archived segment `number`, which `file` is.
    ///
    /// # Errors
    /// [`Broken`] inside where it is not whole, and what the disk says.
    pub(super) fn open(file: Box<dyn DiskFile>, number: u32, lenient: bool) -> io::Result<Self> {
        let broken = |problem| broken(Offset::new(number, 0), problem);
        let mut bytes = [0; HEADER];
        let count = file.read_at(&mut bytes, 0)?;
        let head = Archive::decode(&bytes[..count]).filter(|head| head.number == number);
        let head = head.ok_or_else(|| broken("the header of the archived segment is not valid"))?;
        // Before memory is taken for it: the table is part of the file.
        if head.blocks_at() > file.length()? {
            return Err(broken("the archived segment is not as long as it should be"));
        }
        let mut table = vec![0; head.blocks as usize * ENTRY];
        let count = file.read_at(&mut table, HEADER as u64)?;
        if count != table.len() || crc32c::crc32c(&table) != head.table_checksum {
            return Err(broken("the table of the archived segment is not whole"));
        }
        let mut at = head.blocks_at();
        let entries = table.as_chunks::<ENTRY>().0.iter().map(|bytes| {
            let entry = Entry::decode(*bytes);
            let start = at;
            at += u64::from(entry.length);
            (entry, start)
        });
        let blocks = entries.collect();
        if at != file.length()? {
            return Err(broken("the archived segment is not as long as it should be"));
        }
        Ok(Self { file, head, blocks, kept: Mutex::default(), lenient })
    }

    /// Returns what block `index` holds.
    fn block(&self, index: u32) -> io::Result<Arc<[u8]>> {
        let mut kept = self.kept.lock();
        if let Some(at) = kept.iter().position(|(number, _)| *number == index) {
            let entry = kept.remove(at);
            let block = Arc::clone(&entry.1);
            kept.push(entry);
            return Ok(block);
        }
        drop(kept);
        let block: Arc<[u8]> = match self.take_apart(index)? {
            Ok(block) => block.into(),
            Err(_) if self.lenient => vec![UNREADABLE; self.head.length_of(index)].into(),
            Err(problem) => {
                return Err(broken(Offset::new(self.head.number, index * self.head.block), problem));
            }
        };
        let mut kept = self.kept.lock();
        if kept.len() == KEPT_MAX {
            kept.remove(0);
        }
        kept.push((index, Arc::clone(&block)));
        Ok(block)
    }

    /// Reads block `index` from the disk, or says what is wrong with it.
    fn take_apart(&self, index: u32) -> io::Result<Result<Vec<u8>, &'static str>> {
        let (entry, at) = self.blocks[index as usize];
        let mut bytes = vec![0; entry.length as usize];
        let count = self.file.read_at(&mut bytes, at)?;
        if count != bytes.len() || self.head.checksum(index, &bytes) != entry.checksum {
            return Ok(Err("the checksum of a block does not match"));
        }
        let length = self.head.length_of(index);
        let block = zstd::bulk::decompress(&bytes, length).ok().filter(|block| block.len() == length);
        Ok(block.ok_or("a block cannot be decompressed"))
    }
}

impl DiskFile for ArchivedFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let left = self.head.size.saturating_sub(offset);
        let count = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        let mut done = 0;
        while done < count {
            let at = offset + done as u64;
            if at >= u64::from(self.head.end) {
                buffer[done..count].fill(0);
                break;
            }
            let at = at as u32;
            let block = self.block(at / self.head.block)?;
            let found = &block[(at % self.head.block) as usize..];
            let length = found.len().min(count - done);
            buffer[done..done + length].copy_from_slice(&found[..length]);
            done += length;
        }
        Ok(count)
    }

    fn write_all_at(&self, _bytes: &[u8], _offset: u64) -> io::Result<()> {
        Err(read_only())
    }

    fn sync_data(&self) -> io::Result<()> {
        Err(read_only())
    }

    fn allocate(&self, _length: u64) -> io::Result<()> {
        Err(read_only())
    }

    fn set_length(&self, _length: u64) -> io::Result<()> {
        Err(read_only())
    }

    fn length(&self) -> io::Result<u64> {
        Ok(self.head.size)
    }
}

fn broken(at: Offset, problem: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, Broken { at, problem })
}

fn read_only() -> io::Error {
    io::Error::new(io::ErrorKind::ReadOnlyFilesystem, "an archived segment is not written to")
}
