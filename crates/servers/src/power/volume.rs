use std::collections::{BTreeMap, HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use fuser::{Errno, INodeNo};
use steadfast_base::Rng;

use super::contents::Contents;

/// The number of a file, a folder or a symbolic link.
pub(super) type Number = u64;

pub(super) const ROOT: Number = INodeNo::ROOT.0;

type Names = BTreeMap<OsString, Number>;

#[derive(Debug, Clone)]
pub(super) enum Kind {
    File(Contents),
    /// The names in it as they are seen, and those that the medium has.
    Folder {
        seen: Names,
        durable: Names,
    },
    Link(PathBuf),
}

/// Whose something is, and who may do what. It is durable at once.
#[derive(Debug, Clone, Copy)]
pub(super) struct Owner {
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) mode: u16,
}

#[derive(Debug, Clone)]
pub(super) struct Inode {
    pub(super) kind: Kind,
    pub(super) owner: Owner,
    pub(super) changed: SystemTime,
    /// How many names lead to it.
    pub(super) links: u32,
}

/// A place for a name in a folder, and what the name means after a change: nothing if it is removed.
type Slot = ((Number, OsString), Option<Number>);

/// Names that change together: all at once or not at all, as in the journal of a file system.
#[derive(Debug, Clone)]
struct Change(Vec<Slot>);

/// All that a file system holds, and what of it would survive the loss of power.
#[derive(Debug)]
pub(super) struct Volume {
    inodes: HashMap<Number, Inode>,
    next: Number,
    /// Changes of names that are not durable, oldest first.
    pending: Vec<Change>,
    /// The power is gone: it can be looked at, and nothing can be changed or made durable any more.
    pub(super) dead: bool,
    /// Syncing succeeds and does nothing.
    pub(super) sync_is_a_lie: bool,
}

impl Volume {
    pub(super) fn new() -> Self {
        let owner = Owner { uid: 0, gid: 0, mode: 0o755 };
        let root = Inode { kind: folder(Names::new()), owner, changed: SystemTime::now(), links: 1 };
        Self::of(HashMap::from([(ROOT, root)]), ROOT + 1)
    }

    fn of(inodes: HashMap<Number, Inode>, next: Number) -> Self {
        Self { inodes, next, pending: Vec::new(), dead: false, sync_is_a_lie: false }
    }

    pub(super) fn get(&self, number: Number) -> Result<&Inode, Errno> {
        self.inodes.get(&number).ok_or(Errno::ENOENT)
    }

    /// Returns it to be changed, with the time of this change.
    pub(super) fn get_mut(&mut self, number: Number) -> Result<&mut Inode, Errno> {
        self.check_power()?;
        let inode = self.inodes.get_mut(&number).ok_or(Errno::ENOENT)?;
        inode.changed = SystemTime::now();
        Ok(inode)
    }

    pub(super) fn file_mut(&mut self, number: Number) -> Result<&mut Contents, Errno> {
        match &mut self.get_mut(number)?.kind {
            Kind::File(contents) => Ok(contents),
            _ => Err(Errno::EISDIR),
        }
    }

    pub(super) fn names(&self, folder: Number) -> Result<&Names, Errno> {
        match &self.get(folder)?.kind {
            Kind::Folder { seen, .. } => Ok(seen),
            _ => Err(Errno::ENOTDIR),
        }
    }

    pub(super) fn find(&self, folder: Number, name: &OsStr) -> Result<Number, Errno> {
        self.names(folder)?.get(name).copied().ok_or(Errno::ENOENT)
    }

    pub(super) fn make(
        &mut self,
        folder: Number,
        name: &OsStr,
        kind: Kind,
        owner: Owner,
    ) -> Result<Number, Errno> {
        self.check_power()?;
        self.check_free(folder, name)?;
        let number = self.next;
        self.next += 1;
        self.inodes.insert(number, Inode { kind, owner, changed: SystemTime::now(), links: 0 });
        self.change(vec![((folder, name.to_owned()), Some(number))])?;
        Ok(number)
    }

    pub(super) fn link(&mut self, number: Number, folder: Number, name: &OsStr) -> Result<(), Errno> {
        self.check_power()?;
        self.check_free(folder, name)?;
        self.get(number)?;
        self.change(vec![((folder, name.to_owned()), Some(number))])
    }

    pub(super) fn remove(&mut self, folder: Number, name: &OsStr) -> Result<(), Errno> {
        self.check_power()?;
        if self.names(self.find(folder, name)?).is_ok_and(|names| !names.is_empty()) {
            return Err(Errno::ENOTEMPTY);
        }
        self.change(vec![((folder, name.to_owned()), None)])
    }

    pub(super) fn rename(
        &mut self,
        from: (Number, &OsStr),
        to: (Number, &OsStr),
        replace: bool,
    ) -> Result<(), Errno> {
        self.check_power()?;
        let number = self.find(from.0, from.1)?;
        let replaced = self.names(to.0)?.get(to.1).copied();
        if replaced == Some(number) {
            return Ok(());
        }
        if replaced.is_some() && !replace {
            return Err(Errno::EEXIST);
        }
        if replaced.is_some_and(|it| self.names(it).is_ok_and(|names| !names.is_empty())) {
            return Err(Errno::ENOTEMPTY);
        }
        self.change(vec![((from.0, from.1.to_owned()), None), ((to.0, to.1.to_owned()), Some(number))])
    }

    /// Makes what is in a file durable, and its length. What it is called may be forgotten.
    pub(super) fn sync_data(&mut self, number: Number) -> Result<(), Errno> {
        if self.sync_is_a_lie {
            return self.check_power();
        }
        self.file_mut(number).map(Contents::sync)
    }

    /// Makes a file or a folder durable, and the way that leads to it.
    pub(super) fn sync(&mut self, number: Number) -> Result<(), Errno> {
        self.check_power()?;
        if self.sync_is_a_lie {
            return Ok(());
        }
        let mut wanted = HashSet::from([number]);
        let chosen = choose(&self.pending, |Change(slots)| {
            let named = slots.iter().any(|(_, to)| to.is_some_and(|to| wanted.contains(&to)));
            let inside = slots.iter().any(|((folder, _), _)| *folder == number);
            if named {
                wanted.extend(slots.iter().map(|((folder, _), _)| *folder));
            }
            named || inside
        });
        let mut chosen = chosen.into_iter();
        let (done, left) = std::mem::take(&mut self.pending)
            .into_iter()
            .partition(|_| chosen.next().is_some_and(|chosen| chosen));
        self.pending = left;
        settle(&mut self.inodes, done);
        if let Some(Inode { kind: Kind::File(contents), .. }) = self.inodes.get_mut(&number) {
            contents.sync();
        }
        Ok(())
    }

    /// Makes everything durable.
    pub(super) fn sync_all(&mut self) {
        let pending = std::mem::take(&mut self.pending);
        settle(&mut self.inodes, pending);
        for inode in self.inodes.values_mut() {
            if let Kind::File(contents) = &mut inode.kind {
                contents.sync();
            }
        }
    }

    /// Returns what is left after power was lost: what is durable and, if there are dice, of the rest whatever they
    /// say.
    pub(super) fn survivor(&self, mut dice: Option<&mut Rng>) -> Self {
        let kept = choose(&self.pending, |_| dice.as_mut().is_some_and(|rng| rng.chance(0.5)));
        let kept = self.pending.iter().zip(kept).filter(|(_, kept)| *kept).map(|(change, _)| change.clone());
        let mut inodes = self.inodes.clone();
        settle(&mut inodes, kept.collect());

        let mut left = Self::of(HashMap::new(), self.next);
        let mut found = vec![ROOT];
        while let Some(number) = found.pop() {
            if let Some(known) = left.inodes.get_mut(&number) {
                known.links += 1;
                continue;
            }
            let Some(inode) = inodes.get(&number) else { continue };
            let kind = match &inode.kind {
                Kind::Folder { durable, .. } => {
                    found.extend(durable.values().rev());
                    folder(durable.clone())
                }
                Kind::File(contents) => Kind::File(contents.survivor(dice.as_deref_mut())),
                Kind::Link(target) => Kind::Link(target.clone()),
            };
            left.inodes.insert(number, Inode { kind, owner: inode.owner, changed: inode.changed, links: 1 });
        }
        left
    }

    pub(super) fn check_power(&self) -> Result<(), Errno> {
        if self.dead { Err(Errno::EIO) } else { Ok(()) }
    }

    fn check_free(&self, folder: Number, name: &OsStr) -> Result<(), Errno> {
        if self.names(folder)?.contains_key(name) { Err(Errno::EEXIST) } else { Ok(()) }
    }

    fn change(&mut self, slots: Vec<Slot>) -> Result<(), Errno> {
        for ((folder, name), to) in &slots {
            let Kind::Folder { seen, .. } = &mut self.get_mut(*folder)?.kind else {
                return Err(Errno::ENOTDIR);
            };
            let before = match to {
                Some(number) => seen.insert(name.clone(), *number),
                None => seen.remove(name),
            };
            if let Some(inode) = before.and_then(|number| self.inodes.get_mut(&number)) {
                inode.links = inode.links.saturating_sub(1);
            }
            if let Some(inode) = to.and_then(|number| self.inodes.get_mut(&number)) {
                inode.links += 1;
            }
        }
        self.pending.push(Change(slots));
        Ok(())
    }
}

fn folder(names: Names) -> Kind {
    Kind::Folder { seen: names.clone(), durable: names }
}

/// Chooses changes: those that `wants` wants, which is asked from the newest to the oldest, and those of the same names
/// before them.
fn choose(pending: &[Change], mut wants: impl FnMut(&Change) -> bool) -> Vec<bool> {
    let mut names = HashSet::new();
    let mut chosen: Vec<bool> = pending
        .iter()
        .rev()
        .map(|change| {
            let wanted = wants(change);
            let chosen = wanted || change.0.iter().any(|(name, _)| names.contains(name));
            if chosen {
                names.extend(change.0.iter().map(|(name, _)| name));
            }
            chosen
        })
        .collect();
    chosen.reverse();
    chosen
}

fn settle(inodes: &mut HashMap<Number, Inode>, changes: Vec<Change>) {
    for ((folder, name), to) in changes.into_iter().flat_map(|Change(slots)| slots) {
        let Some(Inode { kind: Kind::Folder { durable, .. }, .. }) = inodes.get_mut(&folder) else {
            continue;
        };
        match to {
            Some(number) => durable.insert(name, number),
            None => durable.remove(&name),
        };
    }
}

impl Kind {
    pub(super) fn new_file() -> Self {
        Self::File(Contents::default())
    }

    pub(super) fn new_folder() -> Self {
        folder(Names::new())
    }

    pub(super) fn new_link(target: &Path) -> Self {
        Self::Link(target.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use steadfast_base::Seed;

    use super::*;

    const OWNER: Owner = Owner { uid: 0, gid: 0, mode: 0o644 };

    fn file(volume: &mut Volume, folder: Number, name: &str) -> Number {
        volume.make(folder, name.as_ref(), Kind::new_file(), OWNER).expect("made")
    }

    fn rename(volume: &mut Volume, from: &str, to: &str) {
        volume.rename((ROOT, from.as_ref()), (ROOT, to.as_ref()), true).expect("renamed");
    }

    /// All paths, each with what the file holds.
    fn list(volume: &Volume, folder: Number, path: &str) -> Vec<String> {
        let mut found = Vec::new();
        for (name, number) in volume.names(folder).expect("a folder") {
            let path = format!("{path}/{}", name.display());
            match &volume.get(*number).expect("there").kind {
                Kind::File(contents) => {
                    let text = contents.read(0, 100);
                    found.push(format!("{path}={}", String::from_utf8_lossy(&text)));
                }
                _ => found.extend(list(volume, *number, &path)),
            }
        }
        found
    }

    fn left(volume: &Volume) -> Vec<String> {
        list(&volume.survivor(None), ROOT, "")
    }

    #[test]
    fn a_name_is_durable_with_its_folder_or_with_its_file() {
        let mut volume = Volume::new();
        let one = file(&mut volume, ROOT, "one");
        volume.file_mut(one).expect("there").write(0, b"1");
        let two = file(&mut volume, ROOT, "two");
        assert!(left(&volume).is_empty());
        volume.sync_data(one).expect("synced");
        assert!(left(&volume).is_empty(), "its name is forgotten");
        volume.sync(one).expect("synced");
        assert_eq!(left(&volume), ["/one=1"]);
        volume.file_mut(two).expect("there").write(0, b"2");
        volume.sync(ROOT).expect("synced");
        assert_eq!(left(&volume), ["/one=1", "/two="], "a folder's sync is for its names");
    }

    #[test]
    fn the_way_to_what_is_synced_is_durable() {
        let mut volume = Volume::new();
        let a = volume.make(ROOT, "a".as_ref(), Kind::new_folder(), OWNER).expect("made");
        let b = volume.make(a, "b".as_ref(), Kind::new_folder(), OWNER).expect("made");
        file(&mut volume, ROOT, "other");
        let deep = file(&mut volume, b, "deep");
        volume.sync(deep).expect("synced");
        assert_eq!(left(&volume), ["/a/b/deep="]);
    }

    #[test]
    fn a_rename_replaces_at_once_or_not_at_all() {
        let mut volume = Volume::new();
        for (name, text) in [("now", b"old"), ("next", b"new")] {
            let number = file(&mut volume, ROOT, name);
            volume.file_mut(number).expect("there").write(0, text);
            volume.sync(number).expect("synced");
        }
        rename(&mut volume, "next", "now");
        assert_eq!(list(&volume, ROOT, ""), ["/now=new"]);
        assert_eq!(left(&volume), ["/next=new", "/now=old"]);
        let mut rng = Seed::new(3).rng();
        let seen: BTreeSet<_> = (0..50).map(|_| list(&volume.survivor(Some(&mut rng)), ROOT, "")).collect();
        assert_eq!(seen.len(), 2, "{seen:?}");
        volume.sync(ROOT).expect("synced");
        assert_eq!(left(&volume), ["/now=new"]);
    }

    #[test]
    fn changes_of_one_name_keep_their_order_and_others_do_not() {
        let mut volume = Volume::new();
        let a = file(&mut volume, ROOT, "a");
        volume.file_mut(a).expect("there").write(0, b"a");
        volume.sync_data(a).expect("synced");
        rename(&mut volume, "a", "b");
        rename(&mut volume, "b", "c");
        file(&mut volume, ROOT, "d");
        let mut rng = Seed::new(4).rng();
        let seen: BTreeSet<_> =
            (0..200).map(|_| list(&volume.survivor(Some(&mut rng)), ROOT, "").join(" ")).collect();
        let expected = ["", "/a=a", "/b=a", "/c=a", "/d=", "/a=a /d=", "/b=a /d=", "/c=a /d="];
        assert_eq!(seen, expected.map(str::to_owned).into());
    }

    #[test]
    fn without_power_nothing_changes() {
        let mut volume = Volume::new();
        let a = file(&mut volume, ROOT, "a");
        volume.file_mut(a).expect("there").write(0, b"a");
        volume.dead = true;
        assert!(volume.sync(a).is_err() && volume.file_mut(a).is_err());
        assert!(volume.remove(ROOT, "a".as_ref()).is_err());
        assert_eq!(list(&volume, ROOT, ""), ["/a=a"]);
        assert!(left(&volume).is_empty());
    }
}
