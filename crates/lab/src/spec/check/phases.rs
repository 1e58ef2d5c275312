use std::time::Duration;

use steadfast_base::units::HumanDuration;

use super::{Checker, LOAD_MAX};
use crate::spec::node::{Node, Path};
use crate::spec::{Experiment, Phases};

/// Derives phases that are left out from the faults and the load.
pub(super) fn derive(experiment: &mut Experiment, tree: &Node) {
    if tree.find(&Path::of("phases")).is_some() {
        return;
    }
    let load = experiment.load.length();
    let begin = experiment.faults.iter().map(|fault| fault.at).min().unwrap_or(load);
    let end =
        experiment.faults.iter().map(|fault| fault.at.saturating_add(fault.length)).max().unwrap_or(load);
    let of = |from: Duration, to: Duration| HumanDuration(to.saturating_sub(from));
    experiment.phases =
        Phases { baseline: of(Duration::ZERO, begin), inject: of(begin, end), recover: of(end, load) };
}

pub(super) fn check(experiment: &Experiment, checker: &mut Checker<'_>) {
    let phases = &experiment.phases;
    let path = Path::of("phases");
    if phases.baseline.0.is_zero() {
        let mend = "begin with load and no fault, such as 8s, to see that all is well without it";
        checker.fault(path.field("baseline"), "there is no baseline", mend);
    }
    if phases.inject.0.is_zero() && !experiment.faults.is_empty() {
        checker.fault(path.field("inject"), "there are faults but no time for them", "write more than 0s");
    }
    if phases.total() > LOAD_MAX {
        checker.fault(path, "take longer than 24h", "shorten them");
    }
    let load = experiment.load.length();
    if load < phases.total() {
        let (load, total) = (HumanDuration(load), HumanDuration(phases.total()));
        let problem = format!("arrivals end after {load}, the phases after {total}");
        let mend = format!("let arrivals come for {total}");
        checker.fault(Path::of("load").field("arrivals"), problem, mend);
    }
}
