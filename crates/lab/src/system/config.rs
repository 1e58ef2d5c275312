//! What is to be started.

use std::path::PathBuf;
use std::time::Duration;

use super::Signal;

/// What all processes of a system share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SystemConfig {
    /// The run's folder: working directory of the processes, and where their output goes.
    pub folder: PathBuf,
    /// Where programs are looked for, in this order, before `PATH`.
    pub bin_dirs: Vec<PathBuf>,
}

/// One process of a system; nothing in it is a template any more.
///
/// # Examples
/// ```
/// use steadfast_lab::system::{Address, ProcessConfig, Readiness};
///
/// let orders = ProcessConfig {
///     address: Address::File("run/orders.addr".into()),
///     ready: Readiness::Http { path: "/ready".into() },
///     ..ProcessConfig::new("orders", ["orders", "--addr-file", "run/orders.addr"])
/// };
/// assert_eq!(orders.command[0], "orders");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessConfig {
    /// Its name, unique in the system.
    pub name: String,
    /// The program and its arguments.
    pub command: Vec<String>,
    /// Variables added to the environment of `steadfast`.
    pub env: Vec<(String, String)>,
    /// How it can be reached.
    pub address: Address,
    /// When it is ready.
    pub ready: Readiness,
    /// How long it may take to get ready.
    pub ready_within: Duration,
    /// Where a linked process serves its control endpoint; given to it by `STEADFAST_FAULT_SOCKET`.
    pub control_socket: Option<PathBuf>,
    /// How it is stopped.
    pub stop: StopPolicy,
}

impl ProcessConfig {
    /// Makes the configuration of a process that has no address, is ready once it runs, within 20 seconds, and is
    /// stopped by the default policy.
    pub fn new<C: Into<String>>(name: &str, command: impl IntoIterator<Item = C>) -> Self {
        Self {
            name: name.to_owned(),
            command: command.into_iter().map(Into::into).collect(),
            env: Vec::new(),
            address: Address::None,
            ready: Readiness::Running,
            ready_within: Duration::from_secs(20),
            control_socket: None,
            stop: StopPolicy::default(),
        }
    }
}

/// How a process can be reached.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Address {
    /// Not at all.
    None,
    /// At the address that it writes to this file, as `HOST:PORT` or as a URL. The file is removed before each
    /// start, so that an address is never that of an earlier start.
    File(PathBuf),
    /// At this URL.
    Url(String),
}

/// When a process is ready.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Readiness {
    /// When it runs and its address is known.
    Running,
    /// When a GET of this path is answered with 200.
    Http {
        /// The path, beginning with a slash.
        path: String,
    },
    /// When `grpc.health.v1` answers `SERVING`.
    GrpcHealth {
        /// The service that is asked for, empty for the whole server.
        service: String,
    },
    /// When it accepts TCP connections.
    Tcp,
}

/// How a process is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StopPolicy {
    /// The signal that asks it to end.
    pub signal: Signal,
    /// How long it may take before it is killed.
    pub within: Duration,
}

impl Default for StopPolicy {
    /// SIGTERM, ten seconds.
    fn default() -> Self {
        Self { signal: Signal::Term, within: Duration::from_secs(10) }
    }
}
