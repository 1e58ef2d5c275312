use std::fmt::Write;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use steadfast_core::transport::Error;

use super::error::unavailable;

/// The right to read for a group, held by one receiver on this machine; the operating system takes it back when the
/// process ends.
#[derive(Debug)]
pub(super) struct GroupLock(#[allow(dead_code, reason = "closing the file gives the lock up")] File);

impl GroupLock {
    /// Takes the lock, or returns `None` while another receiver holds it.
    pub(super) fn take(path: &Path) -> Result<Option<Self>, Error> {
        let failed = |error: std::io::Error| unavailable(format!("locking {}: {error}", path.display()));
        let file = File::options().create(true).truncate(false).write(true).open(path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(failed(error)),
        }
    }
}

/// Names the group's lock, beside the database.
pub(super) fn path(database: &Path, group: &str) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    let mut suffix = String::from("-steadfast-");
    for byte in group.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => suffix.push(char::from(byte)),
            other => {
                let _ = write!(suffix, "%{other:02x}");
            }
        }
    }
    name.push(suffix);
    name.push(".lock");
    name.into()
}
