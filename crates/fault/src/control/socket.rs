//! Making a Unix socket that nobody else can ever connect to, in place of a dead one.

use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, Mode};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

use crate::Error;

/// How long another process that is making a socket in the same folder is waited for.
const PATIENCE: Duration = Duration::from_secs(2);

/// A listening socket whose file is removed when it is dropped.
#[derive(Debug)]
pub(super) struct Socket {
    pub(super) listener: UnixListener,
    path: PathBuf,
    /// Device and inode, so that the socket of a successor is not removed.
    identity: (u64, u64),
}

impl Socket {
    pub(super) fn listen(path: &Path) -> Result<Self, Error> {
        let address = SocketAddrUnix::new(path).map_err(|_| Error::PathTooLong(path.to_owned()))?;
        // Two processes that found the same dead socket must not remove each other's new one.
        let _folder = lock_folder(path).map_err(failed(path, "cannot lock its folder"))?;
        remove_dead(path, &address)?;
        let socket = new_socket(SocketFlags::CLOEXEC).map_err(failed(path, "cannot make a socket"))?;
        // The file is made with the mode of the socket, so there is no moment at which others might connect.
        rustix::fs::fchmod(&socket, Mode::RUSR | Mode::WUSR)
            .and_then(|()| rustix::net::bind(&socket, &address))
            .map_err(failed(path, "cannot bind it"))?;
        let file = fs::symlink_metadata(path).map_err(failed(path, "cannot look at it"))?;
        rustix::net::listen(&socket, 16).map_err(failed(path, "cannot listen"))?;
        Ok(Self {
            listener: UnixListener::from(socket),
            path: path.to_owned(),
            identity: (file.dev(), file.ino()),
        })
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let is_ours = |file: fs::Metadata| (file.dev(), file.ino()) == self.identity;
        if fs::symlink_metadata(&self.path).is_ok_and(is_ours) {
            // Whoever starts next removes it, if that failed.
            let _removed = fs::remove_file(&self.path);
        }
    }
}

/// Connects without waiting.
pub(super) fn connect(address: &SocketAddrUnix) -> Result<OwnedFd, Errno> {
    let socket = new_socket(SocketFlags::CLOEXEC | SocketFlags::NONBLOCK)?;
    rustix::net::connect(&socket, address)?;
    Ok(socket)
}

fn failed<E: Into<io::Error>>(path: &Path, doing: &'static str) -> impl FnOnce(E) -> Error {
    move |source| Error::Io { path: path.to_owned(), doing, source: source.into() }
}

fn new_socket(flags: SocketFlags) -> Result<OwnedFd, Errno> {
    rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)
}

fn lock_folder(path: &Path) -> io::Result<fs::File> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let folder = fs::File::open(folder)?;
    let patience = Instant::now() + PATIENCE;
    loop {
        match rustix::fs::flock(folder.as_fd(), FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::WOULDBLOCK) if Instant::now() < patience => {
                std::thread::sleep(Duration::from_millis(5));
            }
            result => return result.map(|()| folder).map_err(io::Error::from),
        }
    }
}

/// Removes the socket at the path if nobody listens there.
fn remove_dead(path: &Path, address: &SocketAddrUnix) -> Result<(), Error> {
    let Ok(file) = fs::symlink_metadata(path) else { return Ok(()) };
    if !file.file_type().is_socket() {
        return Err(Error::NotASocket(path.to_owned()));
    }
    match connect(address) {
        Err(Errno::CONNREFUSED) => {
            fs::remove_file(path).map_err(failed(path, "cannot remove the one that a dead process left"))
        }
        // Whatever else it says, somebody may be there.
        Ok(_) | Err(_) => Err(Error::InUse(path.to_owned())),
    }
}
