use std::net::SocketAddr;
use std::path::PathBuf;

/// The arguments that all three programs take.
#[derive(Debug, Clone, clap::Args)]
pub struct Common {
    /// Where to listen; port 0 takes a free one.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,
    /// A file that gets `HOST:PORT` once the program listens; it appears whole or not at all.
    #[arg(long, value_name = "FILE")]
    pub addr_file: Option<PathBuf>,
    /// The folder of the event log; it is made if it does not exist.
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
}
