//! What a document says, checked against itself and the files it names. All that is wrong is told at once.

mod faults;
mod goals;
mod load;
mod names;
mod phases;
mod system;
mod variables;

use std::path::Path as FilePath;
use std::time::Duration;

use super::Experiment;
use super::decode::Fault;
use super::diagnostic::nearest;
use super::node::{Node, Path, Place};

/// The longest load.
const LOAD_MAX: Duration = Duration::from_secs(24 * 3600);
/// The longest wait for anything else.
const WAIT_MAX: Duration = Duration::from_secs(3600);
/// The most arrivals per second.
const RATE_MAX: f64 = 100_000.0;
/// The most arrivals of a run: what became of each command is kept until its end.
const ARRIVALS_MAX: f64 = 20_000_000.0;

/// Checks `experiment`, which `tree` says; fills in what is left out and derived, and reads the files it names.
pub(super) fn check(experiment: &mut Experiment, tree: &Node, text: &str, dir: &FilePath) -> Vec<Fault> {
    let mut checker = Checker { tree, text, found: Vec::new() };
    phases::derive(experiment, tree);
    load::read_bodies(experiment, dir, &mut checker);
    names::check(experiment, &mut checker);
    system::check(experiment, &mut checker);
    phases::check(experiment, &mut checker);
    load::check(experiment, &mut checker);
    faults::check(experiment, &mut checker);
    goals::check(experiment, &mut checker);
    checker.found
}

/// Collects what is wrong.
struct Checker<'d> {
    tree: &'d Node,
    text: &'d str,
    found: Vec<Fault>,
}

impl Checker<'_> {
    /// Tells what is wrong with the field at `path`.
    fn fault(&mut self, path: Path, problem: impl Into<String>, mend: impl Into<String>) {
        let place = self.tree.deepest(&path).place;
        self.found.push(Fault { place, path, problem: problem.into(), mend: mend.into(), missing: None });
    }

    /// Tells what is wrong with the field at `path`, at the place where `part` stands in it.
    fn fault_at(&mut self, path: Path, part: &str, problem: impl Into<String>, mend: impl Into<String>) {
        let whole = self.tree.deepest(&path).place;
        let begin = whole.offset().zip(whole.source(self.text).and_then(|source| source.find(part)));
        let place = begin.map_or(whole, |(offset, within)| Place::at(self.text, offset + within));
        self.found.push(Fault { place, path, problem: problem.into(), mend: mend.into(), missing: None });
    }

    /// Tells that `name` at `path` is none of the `known` ones, such as steps.
    fn unknown<'n>(&mut self, path: Path, what: &str, name: &str, known: impl IntoIterator<Item = &'n str>) {
        self.fault(path, format!("unknown {what} `{name}`"), nearest(name, known));
    }

    /// Tells of a duration that is zero or longer than `max`.
    fn positive(&mut self, path: Path, duration: Duration, max: Duration) {
        if duration.is_zero() {
            self.fault(path, "is zero", "write more than 0s");
        } else if duration > max {
            let max = steadfast_base::units::format_duration(max);
            self.fault(path, "is too long", format!("write at most {max}"));
        }
    }
}
