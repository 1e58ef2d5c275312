use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use super::{Crash, DiskFault, OpenMode};
use crate::{Rng, Seed};

/// The unit that is written whole or not at all when power is lost.
const SECTOR: usize = 512;

/// A file: what a reader sees, and what would be left without power.
#[derive(Debug, Clone, Default)]
struct Inode {
    seen: Vec<u8>,
    durable: Vec<u8>,
    /// Sectors of `seen` that a sync has yet to copy to `durable`.
    dirty: BTreeSet<usize>,
}

impl Inode {
    fn touch(&mut self, start: usize, end: usize) {
        self.dirty.extend(start / SECTOR..end.div_ceil(SECTOR));
    }

    /// Makes one sector durable as it is seen now.
    fn settle(&mut self, sector: usize) {
        let start = sector * SECTOR;
        let end = (start + SECTOR).min(self.seen.len());
        if start < end {
            if self.durable.len() < end {
                self.durable.resize(end, 0);
            }
            self.durable[start..end].copy_from_slice(&self.seen[start..end]);
        }
    }

    fn settle_all(&mut self) {
        for sector in std::mem::take(&mut self.dirty) {
            self.settle(sector);
        }
        self.durable.resize(self.seen.len(), 0);
    }
}

/// A change of a folder, in the order in which they were made.
#[derive(Debug, Clone)]
enum Change {
    Create { path: PathBuf, inode: u64 },
    Rename { from: PathBuf, to: PathBuf },
    Remove { path: PathBuf },
}

impl Change {
    fn touches(&self, folder: &Path) -> bool {
        match self {
            Self::Create { path, .. } | Self::Remove { path } => path.parent() == Some(folder),
            Self::Rename { from, to } => from.parent() == Some(folder) || to.parent() == Some(folder),
        }
    }

    fn apply(self, entries: &mut BTreeMap<PathBuf, u64>) {
        match self {
            Self::Create { path, inode } => {
                entries.insert(path, inode);
            }
            Self::Rename { from, to } => {
                if let Some(inode) = entries.remove(&from) {
                    entries.insert(to, inode);
                }
            }
            Self::Remove { path } => {
                entries.remove(&path);
            }
        }
    }
}

/// The state behind [`super::SimDisk`].
#[derive(Debug)]
pub(super) struct Volume {
    rng: Rng,
    inodes: BTreeMap<u64, Inode>,
    next_inode: u64,
    folders: BTreeSet<PathBuf>,
    seen: BTreeMap<PathBuf, u64>,
    durable: BTreeMap<PathBuf, u64>,
    changes: Vec<Change>,
    pub(super) locks: BTreeSet<PathBuf>,
    pub(super) generation: u64,
    pub(super) power_left: Option<u64>,
    pub(super) sync_is_a_lie: bool,
    pub(super) faults: Vec<DiskFault>,
    pub(super) syncs: u64,
}

impl Volume {
    pub(super) fn new(seed: Seed) -> Self {
        Self {
            rng: seed.stream("disk"),
            inodes: BTreeMap::new(),
            next_inode: 1,
            folders: BTreeSet::new(),
            seen: BTreeMap::new(),
            durable: BTreeMap::new(),
            changes: Vec::new(),
            locks: BTreeSet::new(),
            generation: 0,
            power_left: None,
            sync_is_a_lie: false,
            faults: Vec::new(),
            syncs: 0,
        }
    }

    pub(super) fn crash(&mut self, crash: Crash) {
        self.generation += 1;
        self.power_left = None;
        self.faults.clear();
        self.locks.clear();
        if crash == Crash::ProcessOnly {
            return;
        }
        for inode in self.inodes.values_mut() {
            for sector in std::mem::take(&mut inode.dirty) {
                if crash == Crash::Torn && self.rng.chance(0.5) {
                    inode.settle(sector);
                }
            }
            inode.seen.clone_from(&inode.durable);
        }
        let kept = match crash {
            Crash::Torn => self.rng.below(self.changes.len() as u64 + 1) as usize,
            _ => 0,
        };
        for change in self.changes.drain(..).take(kept) {
            change.apply(&mut self.durable);
        }
        self.seen.clone_from(&self.durable);
        let linked: BTreeSet<u64> = self.seen.values().copied().collect();
        self.inodes.retain(|inode, _| linked.contains(inode));
    }

    pub(super) fn create_dir(&mut self, path: &Path) -> io::Result<()> {
        self.changing()?;
        self.folders.extend(path.ancestors().map(Path::to_owned));
        Ok(())
    }

    pub(super) fn open(&mut self, path: &Path, mode: OpenMode) -> io::Result<u64> {
        self.powered()?;
        let found = self.seen.get(path).copied();
        let inode = match (found, mode) {
            (Some(_), OpenMode::CreateNew) => return Err(io::ErrorKind::AlreadyExists.into()),
            (Some(inode), _) => inode,
            (None, OpenMode::CreateNew)
                if path.parent().is_some_and(|folder| self.folders.contains(folder)) =>
            {
                self.changing()?;
                let inode = self.next_inode;
                self.next_inode += 1;
                self.inodes.insert(inode, Inode::default());
                self.change(Change::Create { path: path.to_owned(), inode });
                inode
            }
            (None, _) => return Err(io::ErrorKind::NotFound.into()),
        };
        Ok(inode)
    }

    pub(super) fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        self.powered()?;
        if !self.folders.contains(folder) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let names =
            self.seen.keys().filter(|path| path.parent() == Some(folder)).filter_map(|p| p.file_name());
        Ok(names.map(|name| name.to_string_lossy().into_owned()).collect())
    }

    pub(super) fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        self.changing()?;
        if !self.seen.contains_key(from) {
            return Err(io::ErrorKind::NotFound.into());
        }
        self.change(Change::Rename { from: from.to_owned(), to: to.to_owned() });
        Ok(())
    }

    pub(super) fn remove(&mut self, path: &Path) -> io::Result<()> {
        self.changing()?;
        if !self.seen.contains_key(path) {
            return Err(io::ErrorKind::NotFound.into());
        }
        self.change(Change::Remove { path: path.to_owned() });
        Ok(())
    }

    pub(super) fn sync_dir(&mut self, folder: &Path) -> io::Result<()> {
        self.changing()?;
        if self.sync_is_a_lie {
            return Ok(());
        }
        let (synced, left) = self.changes.drain(..).partition(|change| change.touches(folder));
        self.changes = left;
        for change in Vec::from_iter::<Vec<Change>>(synced) {
            change.apply(&mut self.durable);
        }
        Ok(())
    }

    pub(super) fn lock(&mut self, path: &Path) -> io::Result<()> {
        self.powered()?;
        if !self.locks.insert(path.to_owned()) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(())
    }

    pub(super) fn read(&self, inode: u64, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.powered()?;
        let seen = &self.inode(inode)?.seen;
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(seen.len());
        let count = buffer.len().min(seen.len() - start);
        buffer[..count].copy_from_slice(&seen[start..start + count]);
        Ok(count)
    }

    pub(super) fn write(&mut self, inode: u64, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.changing()?;
        let fault = self.due(|fault| match fault {
            DiskFault::WriteError { skip } => Some((skip, io::ErrorKind::Other)),
            DiskFault::WriteFull { skip } => Some((skip, io::ErrorKind::StorageFull)),
            DiskFault::SyncError { .. } => None,
        });
        let written = match fault {
            Some(_) => self.rng.below(bytes.len() as u64 + 1) as usize,
            None => bytes.len(),
        };
        let start = usize::try_from(offset).map_err(|_| io::ErrorKind::FileTooLarge)?;
        let file = self.inode_mut(inode)?;
        let end = start + written;
        if file.seen.len() < end {
            file.seen.resize(end, 0);
        }
        file.seen[start..end].copy_from_slice(&bytes[..written]);
        file.touch(start, end);
        fault.map_or(Ok(()), |kind| Err(kind.into()))
    }

    pub(super) fn sync(&mut self, inode: u64) -> io::Result<()> {
        self.changing()?;
        self.syncs += 1;
        let fault = self.due(|fault| match fault {
            DiskFault::SyncError { skip } => Some((skip, io::ErrorKind::Other)),
            _ => None,
        });
        let lie = self.sync_is_a_lie;
        let file = self.inode_mut(inode)?;
        match fault {
            Some(kind) => {
                file.dirty.clear();
                return Err(kind.into());
            }
            None if !lie => file.settle_all(),
            None => {}
        }
        Ok(())
    }

    pub(super) fn allocate(&mut self, inode: u64, length: u64) -> io::Result<()> {
        self.changing()?;
        let fault = self.due(|fault| match fault {
            DiskFault::WriteFull { skip } => Some((skip, io::ErrorKind::StorageFull)),
            _ => None,
        });
        if let Some(kind) = fault {
            return Err(kind.into());
        }
        let length = usize::try_from(length).map_err(|_| io::ErrorKind::FileTooLarge)?;
        let file = self.inode_mut(inode)?;
        if file.seen.len() < length {
            let start = file.seen.len();
            file.seen.resize(length, 0);
            file.touch(start, length);
        }
        Ok(())
    }

    pub(super) fn set_length(&mut self, inode: u64, length: u64) -> io::Result<()> {
        self.changing()?;
        let length = usize::try_from(length).map_err(|_| io::ErrorKind::FileTooLarge)?;
        let file = self.inode_mut(inode)?;
        let start = file.seen.len().min(length);
        file.seen.resize(length, 0);
        file.touch(start, length);
        Ok(())
    }

    pub(super) fn length(&self, inode: u64) -> io::Result<u64> {
        self.powered()?;
        Ok(self.inode(inode)?.seen.len() as u64)
    }

    pub(super) fn flip_bit(&mut self, path: &Path, offset: u64, bit: u8) {
        let Some(file) = self.seen.get(path).and_then(|inode| self.inodes.get_mut(inode)) else { return };
        for bytes in [&mut file.seen, &mut file.durable] {
            if let Some(byte) = bytes.get_mut(usize::try_from(offset).unwrap_or(usize::MAX)) {
                *byte ^= 1 << (bit % 8);
            }
        }
    }

    fn change(&mut self, change: Change) {
        change.clone().apply(&mut self.seen);
        self.changes.push(change);
    }

    fn inode(&self, inode: u64) -> io::Result<&Inode> {
        self.inodes.get(&inode).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn inode_mut(&mut self, inode: u64) -> io::Result<&mut Inode> {
        self.inodes.get_mut(&inode).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn powered(&self) -> io::Result<()> {
        if self.power_left == Some(0) { Err(io::Error::other("the power is off")) } else { Ok(()) }
    }

    /// Counts an operation that changes the disk.
    fn changing(&mut self) -> io::Result<()> {
        self.powered()?;
        if let Some(left) = &mut self.power_left {
            *left -= 1;
        }
        Ok(())
    }

    /// Counts the faults that `applies` selects down and returns what the first due one gives.
    fn due(&mut self, applies: impl Fn(DiskFault) -> Option<(u64, io::ErrorKind)>) -> Option<io::ErrorKind> {
        let mut given = None;
        self.faults.retain_mut(|fault| {
            let Some((skip, kind)) = applies(*fault) else { return true };
            if skip == 0 && given.is_none() {
                given = Some(kind);
                return false;
            }
            match fault {
                DiskFault::WriteError { skip }
                | DiskFault::WriteFull { skip }
                | DiskFault::SyncError { skip } => {
                    *skip = skip.saturating_sub(1);
                }
            }
            true
        });
        given
    }
}
