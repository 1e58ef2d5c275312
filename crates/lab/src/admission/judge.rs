use steadfast_base::units::{Size, format_duration};

use super::{Check, Facts};
use crate::spec::{Experiment, Fault, FaultKind, Process};

/// How many bytes must be free where the run leaves its files, beside what its record takes.
pub const DISK_BYTES_MIN: u64 = 256 << 20;

/// How many arrivals per second one processor can drive, far on the safe side.
pub const ARRIVALS_PER_CPU_MAX: f64 = 20_000.0;

/// What a run writes for each arrival at most: requests in the logs of the system, events, the record.
const DISK_BYTES_PER_ARRIVAL: f64 = 16.0 * 1024.0;

/// Files that a run needs beside connections.
const FILES_BESIDE: u64 = 128;

/// Connections that are counted on where the document names no number.
const CONNECTIONS_DEFAULT: u64 = 512;

/// Judges whether a run of `experiment` may start on a machine of which `facts` are known. All checks are returned, in
/// a fixed order; the run may start if all of them passed.
pub fn judge(experiment: &Experiment, facts: &Facts) -> Vec<Check> {
    vec![
        bounded(experiment),
        abort(experiment),
        targets(experiment),
        alone(facts),
        programs(experiment, facts),
        disk(experiment, facts),
        undo(experiment),
        watchdog(facts),
        processors(experiment, facts),
        files(experiment, facts),
    ]
}

/// The document's own limits were checked when it was read; what they come to is told here.
fn bounded(experiment: &Experiment) -> Check {
    let load = &experiment.load;
    let (count, length) = (load.arrivals_total(), format_duration(load.length()));
    Check::passed("bounds", format!("{count:.0} arrivals in {length}"))
}

fn abort(experiment: &Experiment) -> Check {
    const NAME: &str = "abort";
    let within = experiment.rollback.within;
    let longest = experiment.faults.iter().map(|fault| fault.length).max().unwrap_or_default();
    match &experiment.abort {
        Some(abort) if abort.when.burn_rate.length.0 > longest && !longest.is_zero() => {
            let (needs, fault) = (abort.when.burn_rate.length, format_duration(longest));
            let reason = format!("the rule needs {needs} of burning, but no fault lasts longer than {fault}");
            Check::refused(NAME, reason, "shorten `abort.when.burnRate.for`")
        }
        Some(abort) => {
            let burn = abort.when.burn_rate;
            Check::passed(
                NAME,
                format!(
                    "over {} times the allowed rate for {}, undone within {within}",
                    burn.over, burn.length
                ),
            )
        }
        None => Check::passed(NAME, format!("on demand only, undone within {within}")),
    }
}

/// All that is done is done to processes that the run starts itself, on this machine.
fn targets(experiment: &Experiment) -> Check {
    let remote = |process: &&Process| process.url.as_deref().is_some_and(|url| !is_loopback(url));
    match experiment.system.processes.iter().find(remote) {
        Some(process) => {
            let url = process.url.as_deref().unwrap_or_default();
            let reason = format!("`{}` is at {url}, which is not this machine", process.name);
            Check::refused("targets", reason, "write http://127.0.0.1:PORT")
        }
        None => {
            let count = experiment.system.processes.len();
            Check::passed(
                "targets",
                format!("{count} process{} of this run, on this machine", if count == 1 { "" } else { "es" }),
            )
        }
    }
}

fn is_loopback(url: &str) -> bool {
    let uri = url.parse::<http::Uri>();
    let host = uri.as_ref().ok().and_then(|uri| uri.host()).unwrap_or_default();
    let plain = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || plain.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn alone(facts: &Facts) -> Check {
    match &facts.busy {
        Some(who) => Check::refused("lock", format!("another run has the target: {who}"), "wait for its end"),
        None => Check::passed("lock", "no other run has the target"),
    }
}

fn programs(experiment: &Experiment, facts: &Facts) -> Check {
    const NAME: &str = "programs";
    let processes = experiment.system.processes.iter().zip(&facts.programs);
    let mut missing = processes.filter_map(|(process, found)| Some((process, found.as_ref().err()?)));
    match missing.next() {
        Some((process, searched)) => {
            let program = process.command.first().map(ToString::to_string).unwrap_or_default();
            let mut folders: Vec<String> = searched.iter().map(|path| path.display().to_string()).collect();
            folders.dedup();
            let reason =
                format!("`{program}` of `{}` is not there; looked in {}", process.name, folders.join(", "));
            Check::refused(NAME, reason, "build or install it, or name its folder with --bin-dir")
        }
        None => Check::passed(NAME, format!("all {} are there", facts.programs.len())),
    }
}

fn disk(experiment: &Experiment, facts: &Facts) -> Check {
    const NAME: &str = "disk";
    let needed = DISK_BYTES_MIN + (experiment.load.arrivals_total() * DISK_BYTES_PER_ARRIVAL) as u64;
    let mebibytes = |bytes: u64| Size::from_mebibytes(u32::try_from(bytes >> 20).unwrap_or(u32::MAX));
    match facts.disk_free {
        Some(free) if free < needed => {
            let reason = format!("{} are free, up to {} are needed", mebibytes(free), mebibytes(needed));
            Check::refused(NAME, reason, "free some, or write elsewhere with --out")
        }
        Some(free) => Check::passed(NAME, format!("{} are free", mebibytes(free))),
        None => Check::refused(NAME, "it cannot be told how much is free", "write elsewhere with --out"),
    }
}

/// How each fault becomes inert if the run dies, and how it is undone if it does not.
fn undo(experiment: &Experiment) -> Check {
    let way = |fault: &Fault| match &fault.kind {
        FaultKind::Http(_) | FaultKind::Grpc(_) | FaultKind::Runtime(_) => "by its lease",
        FaultKind::Kill(_) => "by starting it again",
        FaultKind::Pause(_) => "by SIGCONT",
    };
    let processes = &experiment.system.processes;
    let without = experiment.faults.iter().find(|fault| {
        let target = processes.iter().find(|process| process.name == fault.target);
        target.is_none_or(|process| fault.kind.is_in_process() && !process.linked)
    });
    match without {
        Some(fault) => {
            let reason = format!("fault `{}` cannot be undone in `{}`", fault.name, fault.target);
            Check::refused("undo", reason, "link the fault endpoint into the target")
        }
        None if experiment.faults.is_empty() => Check::passed("undo", "there is no fault"),
        None => {
            let ways: Vec<String> =
                experiment.faults.iter().map(|fault| format!("{} {}", fault.name, way(fault))).collect();
            Check::passed("undo", ways.join(", "))
        }
    }
}

fn watchdog(facts: &Facts) -> Check {
    match &facts.watchdog {
        Some(problem) => {
            Check::refused("watchdog", problem, "without it a dead run would leave its faults behind")
        }
        None => Check::passed("watchdog", "can be started"),
    }
}

fn processors(experiment: &Experiment, facts: &Facts) -> Check {
    const NAME: &str = "processors";
    let rates = experiment.load.arrivals.iter().map(|stage| stage.rate.per_second());
    let (highest, able) = (rates.fold(0.0, f64::max), facts.cpus as f64 * ARRIVALS_PER_CPU_MAX);
    let reason = format!("up to {highest}/s from {} processors", facts.cpus);
    if highest > able {
        Check::refused(NAME, reason, format!("let at most {able}/s arrive"))
    } else {
        Check::passed(NAME, reason)
    }
}

fn files(experiment: &Experiment, facts: &Facts) -> Check {
    const NAME: &str = "open files";
    let connections = experiment.load.connections_max.map_or(CONNECTIONS_DEFAULT, u64::from);
    let needed = connections + FILES_BESIDE;
    match facts.files_max {
        Some(max) if max < needed => {
            let reason = format!("{max} may be open, up to {needed} are needed");
            Check::refused(
                NAME,
                reason,
                format!("raise the limit (ulimit -n {needed}) or lower `load.connectionsMax`"),
            )
        }
        Some(max) => Check::passed(NAME, format!("{max} may be open")),
        None => Check::passed(NAME, "there is no limit"),
    }
}

#[cfg(test)]
#[path = "judge_tests.rs"]
mod tests;
