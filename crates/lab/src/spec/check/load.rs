use std::path::Path as FilePath;

use super::names::is_name;
use super::variables::{self, Scope};
use super::{ARRIVALS_MAX, Checker, LOAD_MAX, RATE_MAX, WAIT_MAX};
use crate::spec::diagnostic::nearest;
use crate::spec::node::Path;
use crate::spec::read::read_bounded;
use crate::spec::{Experiment, Load, Step, Template};

const STEPS_MAX: usize = 32;
const STAGES_MAX: usize = 1000;
const RETRIES_MAX: u32 = 100;
const CONNECTIONS_MAX: u32 = 10_000;
const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/// Puts the text of each `bodyFile` into `body`.
pub(super) fn read_bodies(experiment: &mut Experiment, dir: &FilePath, checker: &mut Checker<'_>) {
    for (at, step) in experiment.load.scenario.iter_mut().enumerate() {
        let Some(file) = &step.http.body_file else { continue };
        let path = Path::of("load").field("scenario").index(at).field("http").field("bodyFile");
        if step.http.body.is_some() {
            checker.fault(path, "stands beside `body`", "keep one of them");
            continue;
        }
        let file = dir.join(file);
        let shown = file.display();
        let body = match read_bounded(&file) {
            Ok(bytes) => bytes,
            Err(error) => {
                let mend = "file names are relative to the document; at most 1 MiB";
                checker.fault(path, format!("`{shown}` cannot be read: {error}"), mend);
                continue;
            }
        };
        match String::from_utf8(body).map(|text| text.parse::<Template>()) {
            Ok(Ok(template)) => step.http.body = Some(template),
            Ok(Err(error)) => checker.fault(path, format!("{shown}: {error}"), ""),
            Err(_) => checker.fault(path, format!("`{shown}` is not UTF-8"), "save it as UTF-8 text"),
        }
    }
}

pub(super) fn check(experiment: &Experiment, checker: &mut Checker<'_>) {
    let load = &experiment.load;
    check_arrivals(load, checker);
    check_retry(load, checker);
    let list = Path::of("load").field("scenario");
    if load.scenario.is_empty() {
        checker.fault(list.clone(), "there is no step", "add the requests to be sent");
    }
    if load.scenario.len() > STEPS_MAX {
        checker.fault(list.clone(), format!("more than {STEPS_MAX} steps"), "shorten the scenario");
    }
    let mut scope = Scope::new(["uuid", "seq"]).with_processes(experiment);
    for step in &load.scenario {
        for name in step.capture.keys() {
            scope.not_yet(
                name.clone(),
                format!("it is captured by step `{}`; use it in a later step", step.name),
            );
        }
    }
    for (at, step) in load.scenario.iter().enumerate() {
        check_step(step, &list.index(at), &scope, checker);
        step.capture.keys().for_each(|name| scope.know(name.clone()));
    }
}

fn check_arrivals(load: &Load, checker: &mut Checker<'_>) {
    let path = Path::of("load").field("arrivals");
    if load.arrivals.is_empty() {
        checker.fault(path.clone(), "nobody arrives", "write for example [{rate: 200/s, for: 30s}]");
    }
    if load.arrivals.len() > STAGES_MAX {
        checker.fault(path.clone(), format!("more than {STAGES_MAX} stages"), "join some of them");
    }
    for (at, stage) in load.arrivals.iter().enumerate() {
        let path = path.index(at);
        if stage.rate.per_second() <= 0.0 {
            checker.fault(path.field("rate"), "is zero", "write more than 0/s");
        } else if stage.rate.per_second() > RATE_MAX {
            checker.fault(path.field("rate"), "is more than is ever driven", "write at most 100000/s");
        }
        checker.positive(path.field("for"), stage.length.0, LOAD_MAX);
    }
    if load.length() > LOAD_MAX {
        checker.fault(path.clone(), "come for longer than 24h", "shorten them");
    }
    if load.arrivals_total() > ARRIVALS_MAX {
        let problem = format!("are {:.0} in all", load.arrivals_total());
        checker.fault(path, problem, format!("let at most {ARRIVALS_MAX:.0} come"));
    }
    if load.connections_max.is_some_and(|max| max == 0 || max > CONNECTIONS_MAX) {
        let path = Path::of("load").field("connectionsMax");
        checker.fault(path, "is out of range", format!("write 1 to {CONNECTIONS_MAX}"));
    }
}

fn check_retry(load: &Load, checker: &mut Checker<'_>) {
    let (retry, path) = (&load.retry, Path::of("load").field("retry"));
    if retry.max > RETRIES_MAX {
        checker.fault(path.field("max"), "is too many", format!("write at most {RETRIES_MAX}"));
    }
    if retry.max > 0 && retry.on.is_empty() {
        let mend = "write for example [503, connect, reset, timeout]";
        checker.fault(path.field("on"), "nothing is repeated", mend);
    }
    let backoff = path.field("backoff");
    if retry.backoff.max < retry.backoff.initial {
        checker.fault(backoff.field("max"), "is shorter than `initial`", "let the longest wait be longer");
    }
    if retry.backoff.max.0 > WAIT_MAX {
        checker.fault(backoff.field("max"), "is too long", "write at most 1h");
    }
}

fn check_step(step: &Step, path: &Path, scope: &Scope, checker: &mut Checker<'_>) {
    if step.weight.ratio() <= 0.0 {
        checker.fault(
            path.field("weight"),
            "no arrival runs the step",
            "write more than 0%, or leave the step out",
        );
    }
    let (request, http) = (&step.http, path.field("http"));
    if !METHODS.contains(&request.method.as_str()) {
        let mend = nearest(&request.method.to_ascii_uppercase(), METHODS);
        checker.fault(http.field("method"), format!("unknown method `{}`", request.method), mend);
    }
    variables::check_url(checker, &http.field("url"), &request.url, scope);
    for (name, value) in &request.headers {
        let at = http.field("headers").field(name);
        if http::HeaderName::try_from(name.as_str()).is_err() {
            checker.fault(
                at.clone(),
                format!("`{name}` cannot name a header"),
                "write letters, digits and `-`",
            );
        } else if value.as_str().contains(['\r', '\n', '\0']) {
            checker.fault(at.clone(), "the value has a line break", "write it in one line");
        }
        variables::check(checker, &at, value, scope);
    }
    if let Some(body) = &request.body {
        let field = if request.body_file.is_some() { "bodyFile" } else { "body" };
        variables::check(checker, &http.field(field), body, scope);
    }
    checker.positive(http.field("timeout"), request.timeout.0, WAIT_MAX);
    for (at, status) in request.success.iter().enumerate() {
        if !(100..=599).contains(status) {
            let path = http.field("success").index(at);
            checker.fault(path, format!("`{status}` is not a status"), "write 100 to 599");
        }
    }
    for name in step.capture.keys() {
        if !is_name(name) || matches!(name.as_str(), "uuid" | "seq" | "key" | "cursor") {
            let mend = "write letters, digits, `_` and `-`, and none of `uuid`, `seq`, `key`, `cursor`";
            checker.fault(path.field("capture").field(name), format!("`{name}` cannot name a value"), mend);
        }
    }
}
