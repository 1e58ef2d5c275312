//! The faults of a run: when they begin, what they did, how they were undone.

use std::sync::Arc;
use std::time::{Duration, Instant};

use steadfast_base::Seed;
use steadfast_base::units::format_duration;
use tokio_util::sync::CancellationToken;

use super::Event;
use super::journal::Journal;
use super::plan::signal;
use crate::inject::{Active, Injector, Kill, KillConfig, LeasedFault, Outcome as Undone, Pause};
use crate::report::Outcome;
use crate::spec::{self, FaultKind, ProcessPart};
use crate::system::{Process, Scope, System};
use crate::undo::UndoLog;

/// A fault of the document with all that its run has shown.
pub(crate) struct Delivered {
    pub(crate) fault: spec::Fault,
    pub(crate) injector: &'static str,
    pub(crate) undone: Option<Undone>,
    pub(crate) at_ms: Option<u64>,
}

/// What every fault of a run needs.
#[derive(Clone)]
pub(crate) struct Faults {
    pub(crate) system: Arc<System>,
    pub(crate) undo: Arc<UndoLog>,
    pub(crate) journal: Journal,
    pub(crate) seed: Seed,
    /// The moment from which the times of the document count.
    pub(crate) start: Instant,
    /// Ends faults before their time.
    pub(crate) stop: CancellationToken,
    /// How long undoing may be tried.
    pub(crate) undo_within: Duration,
    /// Names of the faults that are active now.
    pub(crate) active: Arc<parking_lot::Mutex<Vec<String>>>,
}

impl Faults {
    /// Waits until `fault` is due, injects it, and returns when it is undone, whatever happened.
    pub(crate) async fn deliver(self, fault: spec::Fault) -> Delivered {
        let injector = injector_of(&fault.kind);
        let none = |fault| Delivered { fault, injector, undone: None, at_ms: None };
        let due = tokio::time::Instant::from_std(self.start + fault.at);
        tokio::select! {
            () = tokio::time::sleep_until(due) => {}
            () = self.stop.cancelled() => return none(fault),
        }
        let active = match self.begin(&fault) {
            Ok(active) => active,
            Err(problem) => {
                self.not_injected(&fault, &problem);
                return none(fault);
            }
        };
        match active.injected().await {
            Ok(()) => {
                self.active.lock().push(fault.name.clone());
                let description = describe(&fault.kind);
                self.journal.tell(&Event::FaultInjected { name: fault.name.clone(), description });
            }
            Err(problem) => self.not_injected(&fault, &problem),
        }
        let undone = tokio::select! {
            undone = active.undone() => undone,
            () = self.stop.cancelled() => {
                active.end();
                active.undone().await
            }
        };
        for problem in &undone.problems {
            self.journal.note(format!("fault {} was not in force for a while: {problem}", fault.name));
        }
        self.active.lock().retain(|name| *name != fault.name);
        match &undone.undone {
            Ok(_) if undone.not_injected.is_some() => {}
            Ok(_) => self.journal.tell(&Event::FaultUndone { name: fault.name.clone() }),
            Err(problem) => self.journal.finding(
                Outcome::NotRestored,
                "undo-failed",
                format!("fault {} could not be undone: {problem}", fault.name),
            ),
        }
        let at = undone.at.saturating_duration_since(self.journal.start());
        Delivered { fault, injector, undone: Some(undone), at_ms: Some(at.as_millis() as u64) }
    }

    fn not_injected(&self, fault: &spec::Fault, problem: &str) {
        let message = format!("fault {} was not injected: {problem}", fault.name);
        self.journal.finding(Outcome::Invalid, "fault-not-injected", message);
    }

    fn begin(&self, fault: &spec::Fault) -> Result<Active, String> {
        let process = self.system.process(&fault.target);
        let process = process.ok_or_else(|| format!("there is no process {}", fault.target))?;
        let injector = self.injector(fault, process)?;
        Active::begin(&fault.name, injector, fault.length, self.undo_within, Arc::clone(&self.undo))
            .map_err(|error| error.to_string())
    }

    fn injector(&self, fault: &spec::Fault, process: Process) -> Result<Box<dyn Injector>, String> {
        match &fault.kind {
            FaultKind::Kill(kill) => {
                let config = KillConfig {
                    signal: signal(kill.signal),
                    scope: scope(kill.process),
                    restart_after: kill.restart_after.map(Duration::from),
                    every: kill.every.map(Duration::from),
                };
                Ok(Box::new(Kill::new(process, config)))
            }
            FaultKind::Pause(pause) => Ok(Box::new(Pause::new(process, scope(pause.process)))),
            in_process => {
                let linked = linked(in_process)?;
                let seed = self.seed.derive(&fault.name);
                LeasedFault::new(&process, &fault.name, self.undo.marker(), linked, Some(seed))
                    .map(|fault| Box::new(fault) as Box<dyn Injector>)
                    .map_err(|error| error.to_string())
            }
        }
    }
}

fn scope(part: ProcessPart) -> Scope {
    match part {
        ProcessPart::Main => Scope::Main,
        ProcessPart::Worker => Scope::Worker,
        ProcessPart::Group => Scope::Group,
    }
}

fn injector_of(kind: &FaultKind) -> &'static str {
    if kind.is_in_process() { "process" } else { "signal" }
}

/// Turns a fault of the document into one of the target's own vocabulary, by way of the format that both share.
fn linked(kind: &FaultKind) -> Result<steadfast_fault::Fault, String> {
    let millis = |duration: Option<steadfast_base::units::HumanDuration>| {
        duration.map(|d| serde_json::Value::String(d.to_string()))
    };
    let mut fields = serde_json::Map::new();
    let mut put = |name: &str, value: Option<serde_json::Value>| {
        if let Some(value) = value {
            fields.insert(name.to_owned(), value);
        }
    };
    match kind {
        FaultKind::Http(http) => {
            put("delay", millis(http.delay));
            put("jitter", millis(http.jitter));
            put("status", http.status.map(Into::into));
            put("percent", Some(http.percent.to_string().into()));
            put("method", http.method.clone().map(Into::into));
            put("path", http.path.clone().map(Into::into));
        }
        FaultKind::Grpc(grpc) => {
            put("delay", millis(grpc.delay));
            put("jitter", millis(grpc.jitter));
            put("status", grpc.status.clone().map(Into::into));
            put("percent", Some(grpc.percent.to_string().into()));
            put("method", grpc.method.clone().map(Into::into));
        }
        FaultKind::Runtime(runtime) => {
            put("stall", millis(Some(runtime.stall)));
            put("every", millis(Some(runtime.every)));
        }
        FaultKind::Kill(_) | FaultKind::Pause(_) => return Err("is not done in the process".to_owned()),
    }
    let fault = serde_json::json!({ kind.key(): fields });
    serde_json::from_value(fault).map_err(|error| error.to_string())
}

/// Writes a fault in words.
pub(crate) fn describe(kind: &FaultKind) -> String {
    let answer = |delay: Option<Duration>, status: Option<String>| match (delay, status) {
        (Some(delay), Some(status)) => format!("delay of {} and {status}", format_duration(delay)),
        (Some(delay), None) => format!("delay of {}", format_duration(delay)),
        (None, status) => status.unwrap_or_default(),
    };
    match kind {
        FaultKind::Http(http) => {
            let what = answer(http.delay.map(Into::into), http.status.map(|s| format!("status {s}")));
            format!("{what} for {} of HTTP requests", http.percent)
        }
        FaultKind::Grpc(grpc) => {
            let what = answer(grpc.delay.map(Into::into), grpc.status.clone());
            let calls = grpc.method.as_deref().unwrap_or("gRPC");
            format!("{what} for {} of {calls} calls", grpc.percent)
        }
        FaultKind::Runtime(runtime) => {
            format!("all workers of the runtime stand still for {} of each {}", runtime.stall, runtime.every)
        }
        FaultKind::Kill(kill) => {
            let again = kill.every.map_or(String::new(), |every| format!(", every {every}"));
            let restart =
                kill.restart_after.map_or("at the end".to_owned(), |after| format!("{after} later"));
            format!("{}{again}, started again {restart}", kill.signal)
        }
        FaultKind::Pause(pause) => match pause.process {
            ProcessPart::Main => "SIGSTOP".to_owned(),
            ProcessPart::Worker => "SIGSTOP of a worker".to_owned(),
            ProcessPart::Group => "SIGSTOP of all its processes".to_owned(),
        },
    }
}

#[cfg(test)]
mod tests {
    use steadfast_base::units::{HumanDuration, Percentage};

    use super::*;

    #[test]
    fn a_fault_of_the_document_is_one_of_the_target() {
        let fault = spec::GrpcFault {
            delay: Some(HumanDuration(Duration::from_millis(500))),
            jitter: None,
            status: Some("UNAVAILABLE".to_owned()),
            percent: Percentage::from_ratio(0.5),
            method: Some("Charge".to_owned()),
        };
        let kind = FaultKind::Grpc(fault);
        let linked = linked(&kind).expect("the target knows it");
        assert!(linked.validate().is_ok());
        assert_eq!(describe(&kind), "delay of 500ms and UNAVAILABLE for 50% of Charge calls");
    }
}
