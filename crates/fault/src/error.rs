use std::io;
use std::path::PathBuf;

/// Why the injector could not be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no tokio runtime here: call it inside one, for the stall of the runtime needs its handle.
    #[error("the fault injector must be started inside a tokio runtime")]
    NoRuntime,
    /// The path is too long for a Unix socket, whose limit is 107 bytes: choose a shorter one.
    #[error("the control socket's path `{}` is longer than 107 bytes", .0.display())]
    PathTooLong(PathBuf),
    /// Something that is not a socket stands at the path: remove it yourself or choose another path.
    #[error("`{}` exists and is not a socket", .0.display())]
    NotASocket(PathBuf),
    /// Another process listens at the path: give each process a path of its own.
    #[error("another process listens on the control socket `{}`", .0.display())]
    InUse(PathBuf),
    /// The socket or its thread could not be made; it may work again when the system has room.
    #[error("control socket `{}`: {doing}: {source}", path.display())]
    Io {
        /// The path of the control socket.
        path: PathBuf,
        /// What was being done.
        doing: &'static str,
        /// What the operating system said.
        source: io::Error,
    },
}
