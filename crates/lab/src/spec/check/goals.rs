//! What must hold, when to stop, and what is done at the end.

use std::collections::HashSet;
use std::time::Duration;

use steadfast_base::units::HumanDuration;

use super::variables::{self, Scope};
use super::{Checker, WAIT_MAX};
use crate::spec::node::Path;
use crate::spec::{
    AcknowledgedCommands, Action, Agreement, During, Experiment, History, Invariant, Log, Objective,
};

pub(super) fn check(experiment: &Experiment, checker: &mut Checker<'_>) {
    if experiment.objectives.is_empty() && experiment.invariants.is_empty() {
        let mend = "add objectives or invariants: without them every run would pass";
        checker.fault(Path::default(), "nothing says what must hold", mend);
    }
    for (at, objective) in experiment.objectives.iter().enumerate() {
        check_objective(objective, &Path::of("objectives").index(at), experiment, checker);
    }
    for (at, invariant) in experiment.invariants.iter().enumerate() {
        let path = Path::of("invariants").index(at);
        match invariant {
            Invariant::AcknowledgedCommands(spec) => {
                check_acknowledged(spec, &path.field("acknowledgedCommands"), experiment, checker);
            }
            Invariant::Agreement(spec) => {
                check_agreement(spec, &path.field("agreement"), experiment, checker);
            }
        }
    }
    check_end(experiment, checker);
}

fn check_step(name: &str, path: Path, experiment: &Experiment, checker: &mut Checker<'_>) {
    if experiment.load.step(name).is_none() {
        let known = experiment.load.scenario.iter().map(|step| step.name.as_str());
        checker.unknown(path, "step", name, known);
    }
}

fn check_objective(objective: &Objective, path: &Path, experiment: &Experiment, checker: &mut Checker<'_>) {
    check_step(&objective.step, path.field("step"), experiment, checker);
    if objective.success.is_none() && objective.latencies().is_empty() {
        checker.fault(
            path.clone(),
            "asks for nothing",
            "add `success`, `p50`, `p90`, `p95`, `p99`, `p99.9` or `max`",
        );
    }
    if objective.success.is_some_and(|share| share.ratio() <= 0.0) {
        checker.fault(path.field("success"), "is always met", "write more than 0%");
    }
    for (percent, bound) in objective.latencies() {
        if bound.is_zero() {
            let field = if percent < 100.0 { format!("p{percent}") } else { "max".to_owned() };
            checker.fault(path.field(&field), "is never met", "write more than 0s");
        }
    }
    if let During::Phases(phases) = &objective.during {
        let mut seen = HashSet::new();
        if phases.is_empty() || !phases.iter().all(|phase| seen.insert(phase)) {
            checker.fault(path.field("during"), "is empty or names a phase twice", "name each phase once");
        }
    }
    for (name, window) in objective.during.windows(&experiment.phases, Duration::ZERO) {
        let length = window.end.saturating_sub(window.start);
        if length.is_zero() {
            let problem = format!("the phase `{name}` has no time");
            checker.fault(path.field("during"), problem, "give it time in `phases`, or name another");
        } else if objective.within.0 >= length {
            let problem = format!("nothing of the phase `{name}` is left");
            checker.fault(
                path.field("within"),
                problem,
                format!("write less than {}", HumanDuration(length)),
            );
        }
    }
}

fn check_acknowledged(
    spec: &AcknowledgedCommands,
    path: &Path,
    experiment: &Experiment,
    checker: &mut Checker<'_>,
) {
    check_step(&spec.step, path.field("step"), experiment, checker);
    if experiment.load.step(&spec.step).is_some() && spec.key_variable(&experiment.load).is_none() {
        let (key, step) = (&spec.key, &spec.step);
        let problem = format!("`{key}` is captured neither by `{step}` nor before it");
        checker.fault(path.field("key"), problem, format!("add `capture: {{id: {key}}}` to the step"));
    }
    if spec.within.0 > WAIT_MAX {
        checker.fault(path.field("within"), "is too long", "write at most 1h");
    }
    match (&spec.history, &spec.log) {
        (Some(history), None) => {
            check_history(history, &path.field("history"), experiment, checker);
            if spec.exactly_once && history.command.is_none() && history.answers.is_none() {
                let problem = "reads entries that name neither their command nor their kind, so `exactlyOnce` cannot be seen";
                let mend = "add `command`, or `kind` and `answers`, or write `exactlyOnce: false`";
                checker.fault(path.field("history"), problem, mend);
            }
        }
        (None, Some(log)) => check_log(log, &path.field("log"), experiment, checker),
        (None, None) => {
            checker.fault(path.clone(), "does not say how to read the data", "add `log` or `history`");
        }
        (Some(_), Some(_)) => {
            checker.fault(path.clone(), "says twice how to read the data", "keep one of `log` and `history`");
        }
    }
}

fn check_history(history: &History, path: &Path, experiment: &Experiment, checker: &mut Checker<'_>) {
    let scope = Scope::new(["key"]).with_processes(experiment);
    variables::check_url(checker, &path.field("http"), &history.http, &scope);
    if !history.http.variables().any(|(_, name)| name == "key") {
        checker.fault(path.field("http"), "asks for no key", "write `${key}` into the URL");
    }
    if let Some(sequence) = &history.sequence {
        if sequence.split_at_each().is_none() {
            let mend = "write for example `$[*].revision`";
            checker.fault(path.field("sequence"), format!("`{sequence}` names no list"), mend);
        }
        if history.items.is_some() || history.revision.is_some() {
            let mend = "keep either `sequence` or `items` and `revision`";
            checker.fault(path.field("sequence"), "stands beside `items` or `revision`", mend);
        }
    } else if history.command.is_none() && history.revision.is_none() && history.answers.is_none() {
        let mend = "add `command`, or at least `sequence`";
        checker.fault(path.clone(), "reads nothing of an entry", mend);
    }
    check_kind(history.answers.is_some(), history.kind.is_some(), path, checker);
}

fn check_log(log: &Log, path: &Path, experiment: &Experiment, checker: &mut Checker<'_>) {
    let scope = Scope::new(["cursor"]).with_processes(experiment);
    variables::check_url(checker, &path.field("http"), &log.http, &scope);
    match (log.http.variables().any(|(_, name)| name == "cursor"), log.next.is_some()) {
        (true, false) => {
            let mend = "add `next`: where an answer names the cursor of the next page";
            checker.fault(path.clone(), "has a `${cursor}` that never moves", mend);
        }
        (false, true) => {
            let mend = "write `${cursor}` into the URL";
            checker.fault(path.field("next"), "the cursor is asked for nowhere", mend);
        }
        _ => {}
    }
    check_kind(log.answers.is_some(), log.kind.is_some(), path, checker);
}

fn check_kind(answers: bool, kind: bool, path: &Path, checker: &mut Checker<'_>) {
    if answers && !kind {
        let mend = "add `kind`: where an entry names its kind";
        checker.fault(path.field("answers"), "no entry has a kind", mend);
    }
}

fn check_agreement(spec: &Agreement, path: &Path, experiment: &Experiment, checker: &mut Checker<'_>) {
    if spec.values.len() < 2 {
        checker.fault(path.field("values"), "one place always agrees with itself", "name two or more");
    }
    if spec.within.0 > WAIT_MAX {
        checker.fault(path.field("within"), "is too long", "write at most 1h");
    }
    let scope = Scope::new([]).with_processes(experiment);
    for (at, value) in spec.values.iter().enumerate() {
        variables::check_url(checker, &path.field("values").index(at).field("http"), &value.http, &scope);
    }
}

fn check_end(experiment: &Experiment, checker: &mut Checker<'_>) {
    if let Some(abort) = &experiment.abort {
        let (burn, path) = (abort.when.burn_rate, Path::of("abort").field("when").field("burnRate"));
        if !burn.over.is_finite() || burn.over <= 0.0 {
            checker.fault(path.field("over"), "is not a rate of burning", "write more than 0, such as 14.4");
        }
        if burn.length.0 < Duration::from_secs(1) || burn.length.0 > experiment.load.length() {
            checker.fault(path.field("for"), "is out of range", "write from 1s to the length of the load");
        }
        if !experiment.objectives.iter().any(|objective| objective.success.is_some()) {
            checker.fault(path, "there is no error budget to burn", "add an objective with `success`");
        }
    }
    let (rollback, path) = (&experiment.rollback, Path::of("rollback"));
    checker.positive(path.field("within"), rollback.within.0, WAIT_MAX);
    for (at, action) in rollback.actions.iter().enumerate() {
        let Action::Restart(restart) = action else { continue };
        let processes = &experiment.system.processes;
        if !processes.iter().any(|process| process.name == restart.target) {
            let path = path.field("do").index(at).field("restart").field("target");
            let known = processes.iter().map(|process| process.name.as_str());
            checker.unknown(path, "target", &restart.target, known);
        }
    }
}
