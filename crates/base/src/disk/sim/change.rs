use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A change of a folder, in the order in which they were made.
#[derive(Debug, Clone)]
pub(super) enum Change {
    Create { path: PathBuf, inode: u64 },
    Rename { from: PathBuf, to: PathBuf },
    Remove { path: PathBuf },
}

impl Change {
    pub(super) fn touches(&self, folder: &Path) -> bool {
        match self {
            Self::Create { path, .. } | Self::Remove { path } => path.parent() == Some(folder),
            Self::Rename { from, to } => from.parent() == Some(folder) || to.parent() == Some(folder),
        }
    }

    pub(super) fn apply(self, entries: &mut BTreeMap<PathBuf, u64>) {
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
