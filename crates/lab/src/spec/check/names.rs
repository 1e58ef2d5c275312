//! Names: well-formed, and each only once.

use std::collections::HashSet;

use super::Checker;
use crate::spec::node::Path;
use crate::spec::{Experiment, Invariant};

pub(super) fn check(experiment: &Experiment, checker: &mut Checker<'_>) {
    let name = &experiment.metadata.name;
    let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if name.is_empty() || name.len() > 63 || !name.chars().all(good) || name.starts_with('-') {
        let mend = "write at most 63 lower-case letters, digits and `-`, not beginning with `-`";
        checker.fault(Path::of("metadata").field("name"), format!("`{name}` is not a name"), mend);
    }
    let processes = experiment.system.processes.iter().map(|process| process.name.as_str());
    unique(checker, &Path::of("system").field("processes"), "process", processes);
    let steps = experiment.load.scenario.iter().map(|step| step.name.as_str());
    unique(checker, &Path::of("load").field("scenario"), "step", steps);
    unique(checker, &Path::of("faults"), "fault", experiment.faults.iter().map(|fault| fault.name.as_str()));

    let mut seen = HashSet::new();
    for (at, invariant) in experiment.invariants.iter().enumerate() {
        let (kind, name) = match invariant {
            Invariant::AcknowledgedCommands(spec) => ("acknowledgedCommands", spec.name()),
            Invariant::Agreement(spec) => ("agreement", spec.name.clone()),
        };
        if !seen.insert(name.clone()) {
            let path = Path::of("invariants").index(at).field(kind).field("name");
            checker.fault(path, format!("two invariants are called `{name}`"), "give each a name of its own");
        }
    }
}

/// Names by which others speak of something: letters, digits, `_` and `-`, each only once.
fn unique<'n>(checker: &mut Checker<'_>, list: &Path, what: &str, names: impl Iterator<Item = &'n str>) {
    let mut seen = HashSet::new();
    for (at, name) in names.enumerate() {
        let path = list.index(at).field("name");
        if !is_name(name) {
            let mend = "write at most 63 letters, digits, `_` and `-`";
            checker.fault(path, format!("`{name}` is not a name"), mend);
        } else if !seen.insert(name) {
            checker.fault(path, format!("two {what}s are called `{name}`"), "rename one of them");
        }
    }
}

pub(super) fn is_name(name: &str) -> bool {
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    !name.is_empty() && name.len() <= 63 && name.chars().all(good)
}
