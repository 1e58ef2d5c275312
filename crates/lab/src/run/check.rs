//! shim
use super::plan::Variables;
use super::record::Row;
use crate::report::InvariantResult;
use crate::spec::{Experiment, Invariant};
use steadfast_load::Targets;

pub(crate) fn keys(experiment: &Experiment) -> Vec<Option<String>> {
    let load = &experiment.load;
    let of = |name: &str| {
        experiment.invariants.iter().find_map(|i| match i {
            Invariant::AcknowledgedCommands(a) if a.step == name => a.key_variable(load).map(str::to_owned),
            _ => None,
        })
    };
    load.scenario.iter().map(|s| of(&s.name)).collect()
}
pub(crate) async fn invariants(
    _: &Experiment,
    _: &Variables,
    _: &Targets,
    _: &[Row],
) -> Vec<InvariantResult> {
    vec![]
}
