use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use fuser::{
    BsdFileFlags, Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation, INodeNo,
    KernelConfig, LockOwner, OpenFlags, RenameFlags, ReplyAttr, ReplyCreate, ReplyData, ReplyDirectory,
    ReplyEmpty, ReplyEntry, ReplyOpen, ReplyStatfs, ReplyWrite, Request, TimeOrNow, WriteFlags,
};
use parking_lot::Mutex;
use rustix::fs::{FallocateFlags, OFlags};

use super::volume::{Inode, Kind, Number, Owner, ROOT, Volume};

/// The kernel may remember what it was told, for nothing changes but by its own calls; after a loss of power all is
/// mounted anew.
const FOREVER: Duration = Duration::from_secs(86_400);
const BLOCK: u32 = 4096;

/// What the kernel asks, answered from a volume.
pub(super) struct Served {
    pub(super) volume: Arc<Mutex<Volume>>,
    /// What was in a folder when it was opened, so that removing files while they are listed skips none.
    listed: Mutex<Listed>,
}

#[derive(Debug, Default)]
struct Listed {
    next: u64,
    open: HashMap<u64, Vec<(OsString, Number, FileType)>>,
}

impl Served {
    pub(super) fn new(volume: Arc<Mutex<Volume>>) -> Self {
        Self { volume, listed: Mutex::default() }
    }

    fn attributes(&self, number: Number) -> Result<FileAttr, Errno> {
        self.volume.lock().get(number).map(|inode| attributes(number, inode))
    }

    fn make(
        &self,
        request: &Request,
        folder: INodeNo,
        name: &OsStr,
        kind: Kind,
        mode: u32,
    ) -> Result<FileAttr, Errno> {
        let mode = (mode & 0o7777) as u16;
        let owner = Owner { uid: request.uid(), gid: request.gid(), mode };
        let mut volume = self.volume.lock();
        let number = volume.make(folder.0, name, kind, owner)?;
        volume.get(number).map(|inode| attributes(number, inode))
    }
}

fn attributes(number: Number, inode: &Inode) -> FileAttr {
    let (kind, size) = match &inode.kind {
        Kind::File(contents) => (FileType::RegularFile, contents.len()),
        Kind::Folder { seen, .. } => (FileType::Directory, seen.len() as u64),
        Kind::Link(target) => (FileType::Symlink, target.as_os_str().len() as u64),
    };
    let time = inode.changed;
    FileAttr {
        ino: INodeNo(number),
        size,
        blocks: size.div_ceil(512),
        atime: time,
        mtime: time,
        ctime: time,
        crtime: time,
        kind,
        perm: inode.owner.mode,
        nlink: if kind == FileType::Directory { 2 } else { inode.links },
        uid: inode.owner.uid,
        gid: inode.owner.gid,
        rdev: 0,
        blksize: BLOCK,
        flags: 0,
    }
}

fn answer_entry(reply: ReplyEntry, found: Result<FileAttr, Errno>) {
    match found {
        Ok(attributes) => reply.entry(&FOREVER, &attributes, Generation(0)),
        Err(error) => reply.error(error),
    }
}

fn answer_attributes(reply: ReplyAttr, found: Result<FileAttr, Errno>) {
    match found {
        Ok(attributes) => reply.attr(&FOREVER, &attributes),
        Err(error) => reply.error(error),
    }
}

fn answer(reply: ReplyEmpty, done: Result<(), Errno>) {
    match done {
        Ok(()) => reply.ok(),
        Err(error) => reply.error(error),
    }
}

impl Filesystem for Served {
    fn init(&mut self, _: &Request, config: &mut KernelConfig) -> std::io::Result<()> {
        // Writes come one by one as they are made, not when the kernel likes: what a program has not synced is told
        // from what it has by nobody but us. Only maps are written back by the kernel.
        let _ = config.set_max_write(1 << 20);
        Ok(())
    }

    fn lookup(&self, _: &Request, folder: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let found = self.volume.lock().find(folder.0, name);
        answer_entry(reply, found.and_then(|number| self.attributes(number)));
    }

    fn getattr(&self, _: &Request, number: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        answer_attributes(reply, self.attributes(number.0));
    }

    fn setattr(
        &self,
        _: &Request,
        number: INodeNo,
        mode: Option<u32>,
        uid: Option<u32>,
        gid: Option<u32>,
        size: Option<u64>,
        _: Option<TimeOrNow>,
        modified: Option<TimeOrNow>,
        _: Option<SystemTime>,
        _: Option<FileHandle>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let set = || {
            let mut volume = self.volume.lock();
            let inode = volume.get_mut(number.0)?;
            let owner = &mut inode.owner;
            owner.mode = mode.map_or(owner.mode, |mode| (mode & 0o7777) as u16);
            owner.uid = uid.unwrap_or(owner.uid);
            owner.gid = gid.unwrap_or(owner.gid);
            if let Some(TimeOrNow::SpecificTime(time)) = modified {
                inode.changed = time;
            }
            if let Some(size) = size {
                volume.file_mut(number.0)?.set_len(size);
            }
            volume.get(number.0).map(|inode| attributes(number.0, inode))
        };
        answer_attributes(reply, set());
    }

    fn readlink(&self, _: &Request, number: INodeNo, reply: ReplyData) {
        match self.volume.lock().get(number.0).map(|inode| &inode.kind) {
            Ok(Kind::Link(target)) => reply.data(target.as_os_str().as_encoded_bytes()),
            Ok(_) => reply.error(Errno::EINVAL),
            Err(error) => reply.error(error),
        }
    }

    fn mkdir(
        &self,
        request: &Request,
        folder: INodeNo,
        name: &OsStr,
        mode: u32,
        umask: u32,
        reply: ReplyEntry,
    ) {
        answer_entry(reply, self.make(request, folder, name, Kind::new_folder(), mode & !umask));
    }

    fn symlink(&self, request: &Request, folder: INodeNo, name: &OsStr, target: &Path, reply: ReplyEntry) {
        answer_entry(reply, self.make(request, folder, name, Kind::new_link(target), 0o777));
    }

    fn create(
        &self,
        request: &Request,
        folder: INodeNo,
        name: &OsStr,
        mode: u32,
        umask: u32,
        _: i32,
        reply: ReplyCreate,
    ) {
        match self.make(request, folder, name, Kind::new_file(), mode & !umask) {
            Ok(attributes) => {
                let keep = FopenFlags::FOPEN_KEEP_CACHE;
                reply.created(&FOREVER, &attributes, Generation(0), FileHandle(0), keep);
            }
            Err(error) => reply.error(error),
        }
    }

    fn unlink(&self, _: &Request, folder: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        answer(reply, self.volume.lock().remove(folder.0, name));
    }

    fn rmdir(&self, _: &Request, folder: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        answer(reply, self.volume.lock().remove(folder.0, name));
    }

    fn rename(
        &self,
        _: &Request,
        folder: INodeNo,
        name: &OsStr,
        to_folder: INodeNo,
        to_name: &OsStr,
        flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        let replace = !flags.contains(RenameFlags::RENAME_NOREPLACE);
        if !(flags - RenameFlags::RENAME_NOREPLACE).is_empty() {
            return reply.error(Errno::EINVAL);
        }
        answer(reply, self.volume.lock().rename((folder.0, name), (to_folder.0, to_name), replace));
    }

    fn link(&self, _: &Request, number: INodeNo, folder: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let linked = self.volume.lock().link(number.0, folder.0, name);
        answer_entry(reply, linked.and_then(|()| self.attributes(number.0)));
    }

    fn open(&self, _: &Request, _: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        reply.opened(FileHandle(0), FopenFlags::FOPEN_KEEP_CACHE);
    }

    fn read(
        &self,
        _: &Request,
        number: INodeNo,
        _: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let volume = self.volume.lock();
        match volume.get(number.0).map(|inode| &inode.kind) {
            // Also without power, so that nobody who has mapped a file dies of looking at it.
            Ok(Kind::File(contents)) => reply.data(&contents.read(offset, size as usize)),
            Ok(_) => reply.error(Errno::EISDIR),
            Err(error) => reply.error(error),
        }
    }

    fn write(
        &self,
        _: &Request,
        number: INodeNo,
        _: FileHandle,
        offset: u64,
        bytes: &[u8],
        _: WriteFlags,
        flags: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let flags = OFlags::from_bits_retain(flags.0.cast_unsigned());
        let written = || {
            let mut volume = self.volume.lock();
            volume.file_mut(number.0)?.write(offset, bytes);
            // `O_SYNC` has the bit of `O_DSYNC` too.
            match flags {
                flags if flags.contains(OFlags::SYNC) => volume.sync(number.0),
                flags if flags.contains(OFlags::DSYNC) => volume.sync_data(number.0),
                _ => Ok(()),
            }
        };
        match written() {
            Ok(()) => reply.written(bytes.len() as u32),
            Err(error) => reply.error(error),
        }
    }

    fn flush(&self, _: &Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        // Closing syncs nothing, and the kernel need not ask again.
        reply.error(Errno::ENOSYS);
    }

    fn fsync(&self, _: &Request, number: INodeNo, _: FileHandle, data: bool, reply: ReplyEmpty) {
        let mut volume = self.volume.lock();
        answer(reply, if data { volume.sync_data(number.0) } else { volume.sync(number.0) });
    }

    fn fsyncdir(&self, _: &Request, number: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        answer(reply, self.volume.lock().sync(number.0));
    }

    fn opendir(&self, _: &Request, number: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        let volume = self.volume.lock();
        let names = match volume.names(number.0) {
            Ok(names) => names.iter(),
            Err(error) => return reply.error(error),
        };
        let known = names.filter_map(|(name, number)| {
            Some((name.clone(), *number, attributes(*number, volume.get(*number).ok()?).kind))
        });
        let dots = [".", ".."].map(|dot| (OsString::from(dot), ROOT, FileType::Directory));
        let all = dots.into_iter().chain(known).collect();
        let mut listed = self.listed.lock();
        listed.next += 1;
        let handle = listed.next;
        listed.open.insert(handle, all);
        reply.opened(FileHandle(handle), FopenFlags::empty());
    }

    fn readdir(&self, _: &Request, _: INodeNo, handle: FileHandle, offset: u64, mut reply: ReplyDirectory) {
        let listed = self.listed.lock();
        let Some(all) = listed.open.get(&handle.0) else { return reply.error(Errno::EBADF) };
        for ((name, number, kind), next) in all.iter().zip(1..).skip(offset as usize) {
            if reply.add(INodeNo(*number), next, *kind, name) {
                break;
            }
        }
        reply.ok();
    }

    fn releasedir(&self, _: &Request, _: INodeNo, handle: FileHandle, _: OpenFlags, reply: ReplyEmpty) {
        self.listed.lock().open.remove(&handle.0);
        reply.ok();
    }

    fn statfs(&self, _: &Request, _: INodeNo, reply: ReplyStatfs) {
        // Room enough for servers that look before they start.
        let (blocks, files) = (16 << 18, 1 << 20);
        reply.statfs(blocks, blocks, blocks, files, files, BLOCK, 255, BLOCK);
    }

    fn fallocate(
        &self,
        _: &Request,
        number: INodeNo,
        _: FileHandle,
        offset: u64,
        length: u64,
        mode: i32,
        reply: ReplyEmpty,
    ) {
        let mode = FallocateFlags::from_bits_retain(mode.cast_unsigned());
        if !(mode - FallocateFlags::KEEP_SIZE).is_empty() {
            return reply.error(Errno::EOPNOTSUPP);
        }
        let mut volume = self.volume.lock();
        let allocated = volume.file_mut(number.0).map(|contents| {
            let end = offset + length;
            if mode.is_empty() && end > contents.len() {
                contents.set_len(end);
            }
        });
        answer(reply, allocated);
    }
}
