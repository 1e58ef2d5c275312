use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use steadfast_base::units::HumanDuration;

use super::{Template, text};

/// What is under test: processes that the run starts, in order, each when the one before it is ready.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct System {
    /// The processes, at least one.
    pub processes: Vec<Process>,
}

/// A process of the system.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Process {
    /// Its name, by which faults and `${NAME.url}` speak of it: letters, digits, `_` and `-`.
    pub name: String,
    /// The program and its arguments. The program is looked up in the directories given to the run, then in `PATH`.
    /// Variables: `${run.dir}`, `${document.dir}` and `${NAME.url}` of processes that stand before this one.
    pub command: Vec<Template>,
    /// Environment beside that of the run.
    #[serde(default)]
    pub env: BTreeMap<String, Template>,
    /// The file into which the process writes the address it listens on; `${run.dir}/NAME.addr` if left out.
    #[serde(default)]
    pub addr_file: Option<Template>,
    /// Where it listens, `http://HOST:PORT` or with another scheme, for a process that writes no address file.
    #[serde(default)]
    pub url: Option<String>,
    /// How to see that it is ready; a TCP connection if left out.
    #[serde(default)]
    pub ready: Ready,
    /// Whether it holds the fault control endpoint, so that in-process faults can be injected:
    /// `STEADFAST_FAULT_SOCKET` is given to it.
    #[serde(default)]
    pub linked: bool,
    /// The path of its Prometheus metrics, scraped each second; not scraped if left out.
    #[serde(default)]
    pub metrics: Option<String>,
    /// How it is stopped.
    #[serde(default)]
    pub stop: Stop,
}

/// How to see that a process is ready.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "ReadyFields")]
pub struct Ready {
    /// What is asked.
    pub probe: Probe,
    /// How long it may take; 30 s if left out.
    pub within: Duration,
}

/// What is asked of a process to see whether it is ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Probe {
    /// An HTTP GET of this path is answered with 2xx.
    Http(String),
    /// `grpc.health.v1` says SERVING for this service; the empty name asks for the whole server.
    GrpcHealth(String),
    /// A TCP connection is accepted.
    Tcp,
}

/// How readiness is written: one of `http`, `grpcHealth`, `tcp`.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, rename = "Ready")]
struct ReadyFields {
    /// The path of which an HTTP GET is answered with 2xx.
    #[serde(default)]
    http: Option<String>,
    /// `grpc.health.v1` says SERVING.
    #[serde(default)]
    grpc_health: Option<GrpcHealth>,
    /// A TCP connection is accepted.
    #[serde(default)]
    tcp: Option<Tcp>,
    /// How long it may take; 30s if left out.
    #[serde(default)]
    #[schemars(with = "Option<text::Duration>")]
    within: Option<HumanDuration>,
}

/// A question to `grpc.health.v1`.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct GrpcHealth {
    /// The service asked for; the whole server if left out.
    #[serde(default)]
    service: String,
}

/// A TCP connection.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Tcp {}

const READY_WITHIN: Duration = Duration::from_secs(30);

impl Default for Ready {
    fn default() -> Self {
        Self { probe: Probe::Tcp, within: READY_WITHIN }
    }
}

text::written_as!(Ready, ReadyFields);

impl TryFrom<ReadyFields> for Ready {
    type Error = &'static str;

    fn try_from(fields: ReadyFields) -> Result<Self, Self::Error> {
        let probe = match (fields.http, fields.grpc_health, fields.tcp) {
            (Some(path), None, None) => Probe::Http(path),
            (None, Some(health), None) => Probe::GrpcHealth(health.service),
            (None, None, Some(_) | None) => Probe::Tcp,
            _ => return Err("more than one way to see readiness; keep one of `http`, `grpcHealth`, `tcp`"),
        };
        Ok(Self { probe, within: fields.within.map_or(READY_WITHIN, Duration::from) })
    }
}

/// How a process is stopped at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Stop {
    /// The signal that asks it to stop.
    pub signal: Signal,
    /// How long it may take before it is killed.
    #[schemars(with = "text::Duration")]
    pub within: HumanDuration,
}

impl Default for Stop {
    fn default() -> Self {
        Self { signal: Signal::Term, within: HumanDuration(Duration::from_secs(10)) }
    }
}

/// A signal that ends a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize, JsonSchema)]
pub enum Signal {
    /// Ends it at once; it cannot be caught.
    #[serde(rename = "SIGKILL")]
    Kill,
    /// Asks it to end.
    #[serde(rename = "SIGTERM")]
    Term,
    /// Asks it to end, as Ctrl-C does.
    #[serde(rename = "SIGINT")]
    Int,
    /// Asks it to end; for nginx, gracefully.
    #[serde(rename = "SIGQUIT")]
    Quit,
    /// Ends it as a failed assertion does.
    #[serde(rename = "SIGABRT")]
    Abort,
}

impl Signal {
    /// Returns the signal's number on this system.
    pub const fn number(self) -> i32 {
        match self {
            Self::Kill => libc::SIGKILL,
            Self::Term => libc::SIGTERM,
            Self::Int => libc::SIGINT,
            Self::Quit => libc::SIGQUIT,
            Self::Abort => libc::SIGABRT,
        }
    }

    /// Returns the signal's name, such as `SIGKILL`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Kill => "SIGKILL",
            Self::Term => "SIGTERM",
            Self::Int => "SIGINT",
            Self::Quit => "SIGQUIT",
            Self::Abort => "SIGABRT",
        }
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
