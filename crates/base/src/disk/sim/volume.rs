use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use super::change::Change;
use super::fault::Operation;
use super::inode::Inode;
use super::{Crash, DiskFault, Odds, OpenMode};
use crate::{Rng, Seed};

/// The state behind [`super::SimDisk`].
#[derive(Debug, Clone)]
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
    power_left: Option<u64>,
    /// The first write without power is under way when it goes off, and leaves a part.
    going_off: bool,
    pub(super) sync_is_a_lie: bool,
    pub(super) faults: Vec<DiskFault>,
    pub(super) odds: Odds,
    pub(super) space: Option<u64>,
    pub(super) syncs: u64,
    pub(super) failed_syncs: u64,
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
            going_off: false,
            sync_is_a_lie: false,
            faults: Vec::new(),
            odds: Odds::default(),
            space: None,
            syncs: 0,
            failed_syncs: 0,
        }
    }

    pub(super) fn calm(&mut self) {
        self.power_left = None;
        self.going_off = false;
        self.faults.clear();
        self.odds = Odds::default();
    }

    pub(super) fn power_off_after(&mut self, operations: u64) {
        self.power_left = Some(operations);
        self.going_off = true;
    }

    pub(super) fn is_off(&self) -> bool {
        self.power_left == Some(0)
    }

    pub(super) fn crash(&mut self, crash: Crash) {
        self.generation += 1;
        self.calm();
        self.locks.clear();
        if crash == Crash::ProcessOnly {
            return;
        }
        for inode in self.inodes.values_mut() {
            inode.crash(crash, &mut self.rng);
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
        if let Some(kind) = self.due(Operation::SyncFolder) {
            return Err(kind.into());
        }
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

    pub(super) fn read(&mut self, inode: u64, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.powered()?;
        if let Some(kind) = self.due(Operation::Read) {
            return Err(kind.into());
        }
        let file = self.inodes.get_mut(&inode).ok_or(io::ErrorKind::NotFound)?;
        file.evict(&mut self.rng, self.odds.evict);
        Ok(file.read(buffer, usize::try_from(offset).unwrap_or(usize::MAX)))
    }

    pub(super) fn write(&mut self, inode: u64, bytes: &[u8], offset: u64) -> io::Result<()> {
        let start = usize::try_from(offset).map_err(|_| io::ErrorKind::FileTooLarge)?;
        if self.is_off() && std::mem::take(&mut self.going_off) {
            let written = self.rng.below(bytes.len() as u64 + 1) as usize;
            self.inode_mut(inode)?.write(&bytes[..written], start);
        }
        self.changing()?;
        let room = self.room(inode, start + bytes.len())?;
        let fault = self.due(Operation::Write);
        let (written, fault) = match fault {
            Some(_) => (self.rng.below(bytes.len() as u64 + 1) as usize, fault),
            None if room < start + bytes.len() => {
                (room.saturating_sub(start), Some(io::ErrorKind::StorageFull))
            }
            None => (bytes.len(), None),
        };
        let write_back = self.odds.write_back > 0.0 && self.rng.chance(self.odds.write_back);
        let file = self.inodes.get_mut(&inode).ok_or(io::ErrorKind::NotFound)?;
        file.write(&bytes[..written], start);
        if write_back {
            file.write_back(&mut self.rng);
        }
        fault.map_or(Ok(()), |kind| Err(kind.into()))
    }

    pub(super) fn sync(&mut self, inode: u64) -> io::Result<()> {
        self.changing()?;
        self.syncs += 1;
        let fault = self.due(Operation::Sync);
        let lies = self.odds.sync_lie;
        let lie = self.sync_is_a_lie || lies > 0.0 && self.rng.chance(lies);
        let file = self.inode_mut(inode)?;
        match fault {
            Some(kind) => {
                file.fail_sync();
                self.failed_syncs += 1;
                return Err(kind.into());
            }
            None if !lie => file.sync(),
            None => {}
        }
        Ok(())
    }

    pub(super) fn allocate(&mut self, inode: u64, length: u64) -> io::Result<()> {
        self.changing()?;
        if let Some(kind) = self.due(Operation::Allocate) {
            return Err(kind.into());
        }
        let length = usize::try_from(length).map_err(|_| io::ErrorKind::FileTooLarge)?;
        if self.room(inode, length)? < length {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let file = self.inode_mut(inode)?;
        if file.len() < length {
            file.resize(length);
        }
        Ok(())
    }

    pub(super) fn set_length(&mut self, inode: u64, length: u64) -> io::Result<()> {
        self.changing()?;
        let length = usize::try_from(length).map_err(|_| io::ErrorKind::FileTooLarge)?;
        if self.room(inode, length)? < length {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.inode_mut(inode)?.resize(length);
        Ok(())
    }

    pub(super) fn length(&self, inode: u64) -> io::Result<u64> {
        self.powered()?;
        Ok(self.inodes.get(&inode).ok_or(io::ErrorKind::NotFound)?.len() as u64)
    }

    pub(super) fn flip_bit(&mut self, path: &Path, offset: u64, bit: u8) {
        if let Some(file) = self.seen.get(path).and_then(|inode| self.inodes.get_mut(inode)) {
            file.flip_bit(offset, bit);
        }
    }

    pub(super) fn flip_random_bit(&mut self) -> Option<(PathBuf, u64)> {
        let length = |inode: &u64| self.inodes.get(inode).map_or(0, |file| file.len() as u64);
        let mut at = self.rng.below(self.seen.values().map(length).sum());
        let bit = self.rng.below(8) as u8;
        let (path, _) = self.seen.iter().find(|(_, inode)| {
            let here = at < length(inode);
            if !here {
                at -= length(inode);
            }
            here
        })?;
        let path = path.clone();
        self.flip_bit(&path, at, bit);
        Some((path, at))
    }

    fn change(&mut self, change: Change) {
        change.clone().apply(&mut self.seen);
        self.changes.push(change);
    }

    fn inode_mut(&mut self, inode: u64) -> io::Result<&mut Inode> {
        self.inodes.get_mut(&inode).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// Returns how long the file may get, `wanted` at most.
    fn room(&self, inode: u64, wanted: usize) -> io::Result<usize> {
        let length = self.inodes.get(&inode).ok_or(io::ErrorKind::NotFound)?.len();
        let Some(space) = self.space.filter(|_| wanted > length) else { return Ok(wanted) };
        let taken: u64 = self.inodes.values().map(|file| file.len() as u64).sum();
        let free = usize::try_from(space.saturating_sub(taken)).unwrap_or(usize::MAX);
        Ok(wanted.min(length.saturating_add(free)))
    }

    fn powered(&self) -> io::Result<()> {
        if self.is_off() { Err(io::Error::other("the power is off")) } else { Ok(()) }
    }

    /// Counts an operation that changes the disk.
    fn changing(&mut self) -> io::Result<()> {
        self.powered()?;
        if let Some(left) = &mut self.power_left {
            *left -= 1;
        }
        Ok(())
    }

    /// Says whether `operation` is to fail, and how.
    fn due(&mut self, operation: Operation) -> Option<io::ErrorKind> {
        let mut given = None;
        self.faults.retain_mut(|fault| match fault.meet(operation) {
            Some(kind) if given.is_none() => {
                given = Some(kind);
                false
            }
            _ => true,
        });
        let (error, full) = self.odds.of(operation);
        for (odds, kind) in [(error, io::ErrorKind::Other), (full, io::ErrorKind::StorageFull)] {
            if given.is_none() && odds > 0.0 && self.rng.chance(odds) {
                given = Some(kind);
            }
        }
        given
    }
}
