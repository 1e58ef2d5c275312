//! Variables: each `${NAME}` has a value where it stands.

use super::Checker;
use crate::spec::diagnostic::nearest;
use crate::spec::node::Path;
use crate::spec::{Experiment, Template};

/// Which variables have a value at a place.
pub(super) struct Scope {
    known: Vec<String>,
    /// Names that exist but have no value yet, each with the reason.
    not_yet: Vec<(String, String)>,
}

impl Scope {
    pub(super) fn new<'n>(known: impl IntoIterator<Item = &'n str>) -> Self {
        Self { known: known.into_iter().map(str::to_owned).collect(), not_yet: Vec::new() }
    }

    /// Adds `${NAME.url}` of every process.
    pub(super) fn with_processes(mut self, experiment: &Experiment) -> Self {
        self.known.extend(experiment.system.processes.iter().map(|process| format!("{}.url", process.name)));
        self
    }

    pub(super) fn know(&mut self, name: String) {
        self.known.push(name);
    }

    pub(super) fn not_yet(&mut self, name: String, why: String) {
        self.not_yet.push((name, why));
    }

    /// Says what is wrong with the variable `name`, and how to mend it.
    pub(super) fn problem(&self, name: &str) -> Option<(String, String)> {
        if self.known.iter().any(|known| known == name) {
            return None;
        }
        if let Some((_, why)) = self.not_yet.iter().find(|(later, _)| later == name) {
            return Some((format!("`${{{name}}}` has no value here"), why.clone()));
        }
        let mend = nearest(name, self.known.iter().map(String::as_str));
        Some((format!("unknown variable `${{{name}}}`"), mend))
    }
}

/// Checks the variables of the template at `path`.
pub(super) fn check(checker: &mut Checker<'_>, path: &Path, template: &Template, scope: &Scope) {
    for (_, name) in template.variables() {
        if let Some((problem, mend)) = scope.problem(name) {
            checker.fault_at(path.clone(), &format!("${{{name}}}"), problem, mend);
        }
    }
}

/// Checks that the template at `path` is a URL of a kind that can be asked, and its variables.
pub(super) fn check_url(checker: &mut Checker<'_>, path: &Path, template: &Template, scope: &Scope) {
    let text = template.as_str();
    let first = template.variables().next();
    let begins_with_process = first.is_some_and(|(at, name)| at == 0 && name.ends_with(".url"));
    if text.starts_with("https:") {
        checker.fault(path.clone(), "TLS is designed but not built yet", "use http");
    } else if !begins_with_process && !text.starts_with("http://") {
        let mend = "begin with `${PROCESS.url}` or `http://`";
        checker.fault(path.clone(), format!("`{text}` is not a URL"), mend);
    }
    check(checker, path, template, scope);
}
