use std::io;

/// Why a replication connection failed.
#[derive(Debug, thiserror::Error)]
pub(in crate::postgres) enum Failure {
    /// The connection broke.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The server answered with an error.
    #[error("{message} (SQLSTATE {code})")]
    Server {
        /// The five characters of its SQLSTATE.
        code: String,
        /// What it says.
        message: String,
    },
    /// The server asks to be convinced in a way that is not offered, or could not prove itself.
    #[error("{0}")]
    Authentication(String),
    /// A message is larger than was allowed.
    #[error("a message of {bytes} bytes is larger than the {bytes_max} allowed")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// What was allowed.
        bytes_max: usize,
    },
    /// The server said something that the protocol does not foresee.
    #[error("the server broke the protocol: {0}")]
    Protocol(&'static str),
    /// The server cannot decode its log before it is promoted, which may happen soon.
    #[error("the server is a standby: name the primary, or promote it")]
    Standby,
    /// The configuration of TLS is wrong.
    #[error("{0}")]
    Tls(#[source] steadfast_core::transport::Error),
}
