use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use steadfast_base::units::{HumanDuration, Percentage};

use super::load::hundred;
use super::{Signal, text};

/// How many calls a fault must affect at least, where the document does not say.
pub const AT_LEAST_DEFAULT: u64 = 1;

/// A fault: what is done to which process, and when.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "FaultFields")]
pub struct Fault {
    /// Its name.
    pub name: String,
    /// When it begins, since the start of the load.
    pub at: Duration,
    /// How long it lasts.
    pub length: Duration,
    /// The process it is done to.
    pub target: String,
    /// What is done.
    pub kind: FaultKind,
    /// How many calls it must affect at least, or the run is INVALID; [`AT_LEAST_DEFAULT`] if left out.
    pub at_least: u64,
}

/// What a fault does.
#[derive(Debug, Clone, PartialEq)]
pub enum FaultKind {
    /// To HTTP requests that a linked process serves.
    Http(HttpFault),
    /// To gRPC calls that a linked process serves.
    Grpc(GrpcFault),
    /// To the runtime of a linked process.
    Runtime(RuntimeFault),
    /// Kills the process and starts it again.
    Kill(KillFault),
    /// Stops the process (SIGSTOP) and lets it go on (SIGCONT).
    Pause(PauseFault),
}

impl FaultKind {
    /// Returns the key by which documents name it.
    pub const fn key(&self) -> &'static str {
        match self {
            Self::Http(_) => "http",
            Self::Grpc(_) => "grpc",
            Self::Runtime(_) => "runtime",
            Self::Kill(_) => "kill",
            Self::Pause(_) => "pause",
        }
    }

    /// Tells whether it needs a process that is `linked`.
    pub const fn is_in_process(&self) -> bool {
        matches!(self, Self::Http(_) | Self::Grpc(_) | Self::Runtime(_))
    }
}

/// How a fault is written: exactly one of `http`, `grpc`, `runtime`, `kill`, `pause`.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, rename = "Fault")]
struct FaultFields {
    /// Its name.
    name: String,
    /// When it begins, since the start of the load.
    #[schemars(with = "text::Duration")]
    at: HumanDuration,
    /// How long it lasts.
    #[serde(rename = "for")]
    #[schemars(with = "text::Duration")]
    length: HumanDuration,
    /// The process it is done to.
    target: String,
    /// To HTTP requests that a linked process serves.
    #[serde(default)]
    http: Option<HttpFault>,
    /// To gRPC calls that a linked process serves.
    #[serde(default)]
    grpc: Option<GrpcFault>,
    /// To the runtime of a linked process.
    #[serde(default)]
    runtime: Option<RuntimeFault>,
    /// Kills the process and starts it again.
    #[serde(default)]
    kill: Option<KillFault>,
    /// Stops the process and lets it go on.
    #[serde(default)]
    pause: Option<PauseFault>,
    /// How many calls it must affect at least, or the run is INVALID; 1 if left out. For `kill` and `pause` it may be 0:
    /// that callers are not to notice it.
    #[serde(default)]
    at_least: Option<u64>,
}

text::written_as!(Fault, FaultFields);

impl TryFrom<FaultFields> for Fault {
    type Error = String;

    fn try_from(fields: FaultFields) -> Result<Self, Self::Error> {
        let kinds: Vec<FaultKind> = [
            fields.http.map(FaultKind::Http),
            fields.grpc.map(FaultKind::Grpc),
            fields.runtime.map(FaultKind::Runtime),
            fields.kill.map(FaultKind::Kill),
            fields.pause.map(FaultKind::Pause),
        ]
        .into_iter()
        .flatten()
        .collect();
        let [kind] = <[FaultKind; 1]>::try_from(kinds).map_err(|kinds| match kinds.as_slice() {
            [] => "says not what to do; add one of `http`, `grpc`, `runtime`, `kill`, `pause`".to_owned(),
            [first, second, ..] => {
                let (first, second) = (first.key(), second.key());
                format!("does both `{first}` and `{second}`; write a fault for each")
            }
            [_] => unreachable!("one kind is what is wanted"),
        })?;
        Ok(Self {
            name: fields.name,
            at: fields.at.0,
            length: fields.length.0,
            target: fields.target,
            kind,
            at_least: fields.at_least.unwrap_or(AT_LEAST_DEFAULT),
        })
    }
}

/// A fault of HTTP requests: late by `delay` ± `jitter`, or answered with `status`, or both.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HttpFault {
    /// How much later the request is served.
    #[serde(default)]
    #[schemars(with = "Option<text::Duration>")]
    pub delay: Option<HumanDuration>,
    /// By how much the delay varies up and down, uniformly; at most `delay`.
    #[serde(default)]
    #[schemars(with = "Option<text::Duration>")]
    pub jitter: Option<HumanDuration>,
    /// The status with which it is answered instead of being served, 400 to 599.
    #[serde(default)]
    pub status: Option<u16>,
    /// The share of requests; all if left out.
    #[serde(default = "hundred")]
    #[schemars(with = "text::Percentage")]
    pub percent: Percentage,
    /// Only requests with this method.
    #[serde(default)]
    pub method: Option<String>,
    /// Only requests whose path begins with this.
    #[serde(default)]
    pub path: Option<String>,
}

/// A fault of gRPC calls: late by `delay` ± `jitter`, or answered with `status`, or both.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GrpcFault {
    /// How much later the call is served.
    #[serde(default)]
    #[schemars(with = "Option<text::Duration>")]
    pub delay: Option<HumanDuration>,
    /// By how much the delay varies up and down, uniformly; at most `delay`.
    #[serde(default)]
    #[schemars(with = "Option<text::Duration>")]
    pub jitter: Option<HumanDuration>,
    /// The status with which it is answered instead of being served, by name, such as UNAVAILABLE.
    #[serde(default)]
    pub status: Option<String>,
    /// The share of calls; all if left out.
    #[serde(default = "hundred")]
    #[schemars(with = "text::Percentage")]
    pub percent: Percentage,
    /// Only calls of this method, `Charge` or `payment.v1.Payment/Charge`.
    #[serde(default)]
    pub method: Option<String>,
}

/// A fault of the async runtime: all its workers stand still for `stall` of each `every`.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RuntimeFault {
    /// How long they stand still each time, shorter than `every`.
    #[schemars(with = "text::Duration")]
    pub stall: HumanDuration,
    /// How often.
    #[schemars(with = "text::Duration")]
    pub every: HumanDuration,
}

/// Kills a process and starts it again.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct KillFault {
    /// The signal.
    pub signal: Signal,
    /// Which of its processes.
    pub process: ProcessPart,
    /// How long after its death it is started again; when the fault ends, if left out.
    #[schemars(with = "Option<text::Duration>")]
    pub restart_after: Option<HumanDuration>,
    /// How often it is killed during the fault; once, if left out.
    #[schemars(with = "Option<text::Duration>")]
    pub every: Option<HumanDuration>,
}

impl Default for KillFault {
    fn default() -> Self {
        Self { signal: Signal::Kill, process: ProcessPart::Main, restart_after: None, every: None }
    }
}

/// Stops a process and lets it go on.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct PauseFault {
    /// Which of its processes.
    pub process: ProcessPart,
}

/// Which of a target's processes a signal goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum ProcessPart {
    /// The one that was started.
    #[default]
    Main,
    /// One of its children.
    Worker,
    /// All of its process group.
    Group,
}
