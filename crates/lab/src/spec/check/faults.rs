use std::time::Duration;

use steadfast_base::units::{HumanDuration, Percentage};
use steadfast_fault::GrpcStatus;

use super::{Checker, LOAD_MAX};
use crate::spec::diagnostic::nearest;
use crate::spec::node::Path;
use crate::spec::{Experiment, Fault, FaultKind, KillFault, Phase, ProcessPart, RuntimeFault};

const FAULTS_MAX: usize = 64;

/// The names of gRPC's codes but for OK.
fn grpc_failures() -> impl Iterator<Item = &'static str> {
    GrpcStatus::names().iter().copied().filter(|name| *name != GrpcStatus::OK.name())
}

pub(super) fn check(experiment: &Experiment, checker: &mut Checker<'_>) {
    if experiment.faults.len() > FAULTS_MAX {
        checker.fault(Path::of("faults"), format!("more than {FAULTS_MAX} faults"), "split the experiment");
    }
    for (at, fault) in experiment.faults.iter().enumerate() {
        let path = Path::of("faults").index(at);
        check_target(fault, &path, experiment, checker);
        check_time(fault, &path, experiment, checker);
        // That a process was killed or paused is seen on the process itself, also where no caller is to notice it.
        let seen = matches!(fault.kind, FaultKind::Kill(_) | FaultKind::Pause(_));
        if fault.at_least == 0 && !seen {
            let mend = "write 1 or more: a fault that affects nothing shows nothing";
            checker.fault(path.field("atLeast"), "is zero", mend);
        }
        check_kind(fault, &path.field(fault.kind.key()), checker);
    }
}

fn check_target(fault: &Fault, path: &Path, experiment: &Experiment, checker: &mut Checker<'_>) {
    let processes = &experiment.system.processes;
    match processes.iter().find(|process| process.name == fault.target) {
        None => {
            let known = processes.iter().map(|process| process.name.as_str());
            checker.unknown(path.field("target"), "target", &fault.target, known);
        }
        Some(process) if fault.kind.is_in_process() && !process.linked => {
            let (kind, name) = (fault.kind.key(), &process.name);
            let problem = format!("`{kind}` is injected within the process, but `{name}` is not `linked`");
            let mend = "link the fault endpoint into it and write `linked: true`, or use `kill` or `pause`";
            checker.fault(path.field("target"), problem, mend);
        }
        Some(_) => {}
    }
}

/// A fault outside of `inject` would spoil the phases with which it is compared.
fn check_time(fault: &Fault, path: &Path, experiment: &Experiment, checker: &mut Checker<'_>) {
    checker.positive(path.field("for"), fault.length, LOAD_MAX);
    let inject = experiment.phases.window(Phase::Inject);
    let (begin, end) = (HumanDuration(inject.start), HumanDuration(inject.end));
    if fault.at < inject.start || fault.at >= inject.end {
        let problem = "begins outside of the phase `inject`";
        checker.fault(path.field("at"), problem, format!("write a time from {begin} to before {end}"));
    } else if fault.at.saturating_add(fault.length) > inject.end {
        let problem = format!(
            "the fault ends {} after the start of the load, behind the phase `inject`",
            HumanDuration(fault.at.saturating_add(fault.length))
        );
        checker.fault(path.field("for"), problem, format!("let it end by {end}"));
    }
}

fn check_kind(fault: &Fault, path: &Path, checker: &mut Checker<'_>) {
    match &fault.kind {
        FaultKind::Http(http) => {
            let has_status = http.status.is_some();
            check_call(checker, path, (http.delay, http.jitter, has_status, http.percent));
            if http.status.is_some_and(|status| !(400..=599).contains(&status)) {
                checker.fault(path.field("status"), "is not the status of an error", "write 400 to 599");
            }
            if http.path.as_ref().is_some_and(|prefix| !prefix.starts_with('/')) {
                checker.fault(path.field("path"), "no path begins like this", "begin with `/`");
            }
        }
        FaultKind::Grpc(grpc) => {
            check_call(checker, path, (grpc.delay, grpc.jitter, grpc.status.is_some(), grpc.percent));
            if let Some(status) =
                grpc.status.as_deref().filter(|status| !grpc_failures().any(|known| known == *status))
            {
                let mend = nearest(&status.to_ascii_uppercase(), grpc_failures());
                checker.fault(path.field("status"), format!("unknown gRPC status `{status}`"), mend);
            }
            if grpc.method.as_ref().is_some_and(|method| method.is_empty() || method.starts_with('/')) {
                let mend = "write `Charge` or `payment.v1.Payment/Charge`";
                checker.fault(path.field("method"), "is not the name of a method", mend);
            }
        }
        FaultKind::Runtime(runtime) => check_runtime(runtime, fault.length, path, checker),
        FaultKind::Kill(kill) => check_kill(kill, fault.length, path, checker),
        FaultKind::Pause(_) => {}
    }
}

/// What HTTP and gRPC have in common: delay, jitter, whether there is a status, percent.
type Call = (Option<HumanDuration>, Option<HumanDuration>, bool, Percentage);

fn check_call(checker: &mut Checker<'_>, path: &Path, (delay, jitter, has_status, percent): Call) {
    let some = |duration: Option<HumanDuration>| duration.filter(|duration| !duration.0.is_zero());
    if some(delay).is_none() && !has_status {
        checker.fault(path.clone(), "does nothing", "add `delay` or `status`");
    }
    if delay.is_some_and(|delay| delay.0 > Duration::from_secs(600)) {
        checker.fault(path.field("delay"), "is too long", "write at most 10m");
    }
    if some(jitter) > some(delay) {
        checker.fault(path.field("jitter"), "is more than `delay`", "write at most the delay");
    }
    if percent.ratio() <= 0.0 {
        checker.fault(path.field("percent"), "affects no call", "write more than 0%");
    }
}

fn check_runtime(runtime: &RuntimeFault, length: Duration, path: &Path, checker: &mut Checker<'_>) {
    checker.positive(path.field("stall"), runtime.stall.0, Duration::from_secs(60));
    if runtime.every <= runtime.stall {
        let mend = "let the runtime run in between";
        checker.fault(path.field("every"), "is not longer than `stall`", mend);
    } else if runtime.every.0 > length {
        checker.fault(path.field("every"), "is longer than the fault", "let it come at least once");
    }
}

fn check_kill(kill: &KillFault, length: Duration, path: &Path, checker: &mut Checker<'_>) {
    if kill.process == ProcessPart::Worker && kill.restart_after.is_some() {
        let mend = "leave it out: whoever started the worker starts it again";
        checker.fault(path.field("restartAfter"), "a worker is not started by the run", mend);
    }
    if kill.restart_after.is_some_and(|after| after.0 >= length) {
        let mend = "write less than `for`, or leave it out to start it again at the fault's end";
        checker.fault(path.field("restartAfter"), "is not shorter than the fault", mend);
    }
    let Some(every) = kill.every else { return };
    if every.0.is_zero() || every.0 > length {
        checker.fault(path.field("every"), "is zero or longer than the fault", "let it come at least once");
    } else if kill.process != ProcessPart::Worker && kill.restart_after.is_none_or(|after| after >= every) {
        let mend = "write a `restartAfter` that is shorter than `every`";
        checker.fault(path.field("every"), "the process is not there to be killed again", mend);
    }
}
