//! What a run has shown, and whether that is enough for PASS.

use crate::report::{
    FaultResult, InvariantResult, LoadResult, ObjectiveResult, ProcessResult, ScrapeSeries, StepSeries,
};
use crate::spec::{Experiment, Invariant};

/// What a run has shown so far.
#[derive(Default)]
pub(crate) struct Evidence {
    pub(crate) objectives: Vec<ObjectiveResult>,
    pub(crate) steps: Vec<StepSeries>,
    pub(crate) load: LoadResult,
    pub(crate) faults: Vec<FaultResult>,
    pub(crate) invariants: Vec<InvariantResult>,
    pub(crate) processes: Vec<ProcessResult>,
    pub(crate) scrapes: Vec<ScrapeSeries>,
}

impl Evidence {
    /// Lists what `experiment` declares and nothing here shows. PASS is not the absence of findings: a part of a run
    /// that was skipped by mistake finds nothing either.
    pub(crate) fn gaps(&self, experiment: &Experiment) -> Vec<String> {
        let mut gaps = Vec::new();
        if experiment.objectives.is_empty() && experiment.invariants.is_empty() {
            gaps.push("nothing is declared that could hold: add objectives or invariants".to_owned());
        }
        if !self.load.valid {
            gaps.push("it was not seen that the load was driven as declared".to_owned());
        }
        for objective in &experiment.objectives {
            let mut of_step =
                self.objectives.iter().filter(|result| result.step == objective.step).peekable();
            if of_step.peek().is_none() || of_step.any(|result| result.met != Some(true)) {
                gaps.push(format!("an objective of {} was not judged", objective.step));
            }
        }
        for invariant in &experiment.invariants {
            let name = match invariant {
                Invariant::AcknowledgedCommands(spec) => spec.name(),
                Invariant::Agreement(spec) => spec.name.clone(),
            };
            let mut of_name = self.invariants.iter().filter(|result| result.name == name);
            if !of_name.any(|result| result.holds == Some(true)) {
                gaps.push(format!("invariant {name} was not checked"));
            }
        }
        for fault in &experiment.faults {
            let result = self.faults.iter().find(|result| result.name == fault.name);
            let delivered = result.is_some_and(|result| {
                let dose = !result.dose.is_empty() && result.dose.iter().all(|dose| dose.valid);
                dose && !result.windows.is_empty() && result.undo.verified.is_some()
            });
            if !delivered {
                gaps.push(format!("fault {} was not seen to be delivered and undone", fault.name));
            }
        }
        gaps
    }

    /// Says in one sentence what a run without findings has shown.
    pub(crate) fn pass_reason(&self) -> String {
        let count = |number: usize, noun: &str| {
            (number > 0).then(|| format!("{number} {noun}{}", if number == 1 { "" } else { "s" }))
        };
        let held = [count(self.objectives.len(), "objective"), count(self.invariants.len(), "invariant")];
        let held: Vec<String> = held.into_iter().flatten().collect();
        let faults: Vec<String> = self
            .faults
            .iter()
            .map(|fault| {
                let affected = fault.dose.first().map_or(0.0, |dose| dose.delivered);
                format!("{} affected {affected:.0} calls", fault.name)
            })
            .collect();
        let held = held.join(" and ");
        if faults.is_empty() {
            format!("{held} held; no fault was declared")
        } else {
            format!("{held} held while {}", faults.join(" and "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{DoseResult, UndoResult, Window};

    fn experiment() -> Experiment {
        serde_saphyr::from_str(
            r#"
apiVersion: steadfast.dev/v1
kind: Experiment
metadata: {name: e}
system: {processes: [{name: web, command: [web], ready: {tcp: {}}}]}
phases: {baseline: 1s, inject: 1s, recover: 1s}
load:
  arrivals: [{rate: 100/s, for: 3s}]
  scenario: [{name: get, http: {method: GET, url: "${web.url}/"}}]
faults: [{name: crash, at: 1s, for: 1s, target: web, kill: {}}]
objectives: [{step: get, success: 99%}]
invariants:
  - agreement: {name: same, values: [{http: "${web.url}/a", value: $.a}, {http: "${web.url}/b", value: $.a}]}
"#,
        )
        .expect("it is an experiment")
    }

    fn complete() -> Evidence {
        let dose = DoseResult {
            measure: "kills".to_owned(),
            unit: "count".to_owned(),
            declared_min: Some(1.0),
            declared_max: None,
            delivered: 1.0,
            valid: true,
        };
        let undo = UndoResult { verified: Some("it runs".to_owned()), ..UndoResult::default() };
        Evidence {
            objectives: vec![ObjectiveResult {
                step: "get".to_owned(),
                during: "all".to_owned(),
                indicator: "success".to_owned(),
                unit: "ratio".to_owned(),
                declared: 0.99,
                measured: Some(1.0),
                samples: 300,
                met: Some(true),
                from_ms: 0,
                to_ms: 3000,
            }],
            load: LoadResult { valid: true, ..LoadResult::default() },
            faults: vec![FaultResult {
                name: "crash".to_owned(),
                target: "web".to_owned(),
                injector: "signal".to_owned(),
                description: "SIGKILL".to_owned(),
                windows: vec![Window { from_ms: 1000, to_ms: 2000 }],
                dose: vec![dose],
                undo,
            }],
            invariants: vec![InvariantResult {
                name: "same".to_owned(),
                kind: "agreement".to_owned(),
                holds: Some(true),
                checked: 1,
                summary: String::new(),
                violations_total: 0,
                violations: Vec::new(),
                figures: Vec::new(),
            }],
            ..Evidence::default()
        }
    }

    #[test]
    fn whatever_is_missing_is_a_gap() {
        let experiment = experiment();
        assert_eq!(complete().gaps(&experiment), Vec::<String>::new());
        assert_eq!(Evidence::default().gaps(&experiment).len(), 4);
        let takes: [fn(&mut Evidence); 9] = [
            |evidence| evidence.load.valid = false,
            |evidence| evidence.objectives.clear(),
            |evidence| evidence.objectives[0].met = None,
            |evidence| evidence.invariants.clear(),
            |evidence| evidence.invariants[0].holds = None,
            |evidence| evidence.faults.clear(),
            |evidence| evidence.faults[0].dose.clear(),
            |evidence| evidence.faults[0].windows.clear(),
            |evidence| evidence.faults[0].undo.verified = None,
        ];
        for (number, take) in takes.into_iter().enumerate() {
            let mut evidence = complete();
            take(&mut evidence);
            assert_eq!(evidence.gaps(&experiment).len(), 1, "{number}");
        }
    }

    #[test]
    fn a_document_that_declares_nothing_shows_nothing() {
        let mut experiment = experiment();
        (experiment.objectives, experiment.invariants) = (Vec::new(), Vec::new());
        assert_eq!(complete().gaps(&experiment).len(), 1);
    }

    #[test]
    fn the_reason_says_what_held_and_under_what() {
        let mut evidence = complete();
        assert_eq!(evidence.pass_reason(), "1 objective and 1 invariant held while crash affected 1 calls");
        evidence.faults.clear();
        evidence.objectives.clear();
        assert_eq!(evidence.pass_reason(), "1 invariant held; no fault was declared");
    }
}
