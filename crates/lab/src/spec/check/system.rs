use super::variables::{self, Scope};
use super::{Checker, WAIT_MAX};
use crate::spec::node::Path;
use crate::spec::{Experiment, Probe, Process};

const PROCESSES_MAX: usize = 32;

pub(super) fn check(experiment: &Experiment, checker: &mut Checker<'_>) {
    let processes = &experiment.system.processes;
    let list = Path::of("system").field("processes");
    if processes.is_empty() {
        checker.fault(list.clone(), "there is no process", "add the processes to be tested");
    }
    if processes.len() > PROCESSES_MAX {
        checker.fault(list.clone(), format!("more than {PROCESSES_MAX} processes"), "split the experiment");
    }
    for (at, process) in processes.iter().enumerate() {
        let mut scope = Scope::new(["run.dir", "document.dir"]);
        for (other_at, other) in processes.iter().enumerate() {
            let variable = format!("{}.url", other.name);
            if other_at < at || (other_at == at && other.url.is_some()) {
                scope.know(variable);
            } else {
                let why = format!("`{}` is started later; put it before `{}`", other.name, process.name);
                scope.not_yet(variable, why);
            }
        }
        check_process(process, &list.index(at), &scope, checker);
    }
}

fn check_process(process: &Process, path: &Path, scope: &Scope, checker: &mut Checker<'_>) {
    if matches!(process.name.as_str(), "run" | "document") {
        let problem = format!("`{}` is the name of something else in variables", process.name);
        checker.fault(path.field("name"), problem, "rename the process");
    }
    if process.command.first().is_none_or(|program| program.as_str().is_empty()) {
        checker.fault(path.field("command"), "there is no program", "write [PROGRAM, ARGUMENT, …]");
    }
    for (at, argument) in process.command.iter().enumerate() {
        variables::check(checker, &path.field("command").index(at), argument, scope);
    }
    for (name, value) in &process.env {
        let at = path.field("env").field(name);
        if name.is_empty() || name.contains(['=', '\0']) {
            checker.fault(at.clone(), format!("`{name}` cannot name an environment variable"), "rename it");
        } else if name.starts_with("STEADFAST_") {
            checker.fault(at.clone(), format!("`{name}` is set by the run"), "leave it out");
        }
        variables::check(checker, &at, value, scope);
    }
    if let Some(file) = &process.addr_file {
        variables::check(checker, &path.field("addrFile"), file, scope);
        if process.url.is_some() {
            checker.fault(path.field("addrFile"), "stands beside `url`", "keep one of them");
        }
    }
    if let Some(url) = &process.url {
        check_url(url, path.field("url"), checker);
    }
    if let Probe::Http(probe) = &process.ready.probe {
        check_path(probe, path.field("ready").field("http"), checker);
        if process.url.as_ref().is_some_and(|url| !url.starts_with("http://")) {
            let mend = "write an http URL, or `ready: {tcp: {}}`";
            checker.fault(path.field("url"), "is not asked by HTTP", mend);
        }
    }
    if let Some(metrics) = &process.metrics {
        check_path(metrics, path.field("metrics"), checker);
    }
    checker.positive(path.field("ready").field("within"), process.ready.within, WAIT_MAX);
    checker.positive(path.field("stop").field("within"), process.stop.within.0, WAIT_MAX);
}

/// Only this machine: a fault that reaches another one is nobody's experiment.
fn check_url(url: &str, path: Path, checker: &mut Checker<'_>) {
    let mend = "write for example http://127.0.0.1:PORT or redis://127.0.0.1:PORT";
    let Ok(uri) = url.parse::<http::Uri>() else {
        return checker.fault(path, format!("`{url}` is not a URL"), mend);
    };
    let host = uri.host().unwrap_or_default();
    if uri.scheme().is_none() || uri.port_u16().is_none_or(|port| port == 0) {
        checker.fault(path, format!("`{url}` is not a URL with a port"), mend);
    } else if !is_loopback(host) {
        checker.fault(path, format!("`{host}` is not this machine"), mend);
    } else if uri.path_and_query().is_some_and(|rest| rest.as_str() != "/") || url.ends_with('/') {
        checker.fault(path, format!("`{url}` has a path"), mend);
    }
}

fn is_loopback(host: &str) -> bool {
    let plain = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || plain.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn check_path(text: &str, path: Path, checker: &mut Checker<'_>) {
    if !text.starts_with('/') || text.parse::<http::uri::PathAndQuery>().is_err() {
        checker.fault(path, format!("`{text}` is not the path of a URL"), "begin with `/`");
    }
}
