use std::path::{Path, PathBuf};

use super::*;
use crate::admission::gather;
use crate::spec::{Document, read_bytes};

const DOCUMENT: &str = r#"
apiVersion: steadfast.dev/v1
kind: Experiment
metadata: {name: small}
system: {processes: [{name: web, command: [sh], url: "http://127.0.0.1:8080", linked: true}]}
phases: {baseline: 2s, inject: 3s, recover: 2s}
load: {arrivals: [{rate: 10/s, for: 7s}], scenario: [{name: get, http: {method: GET, url: "${web.url}/"}}]}
faults: [{name: slow, at: 2s, for: 3s, target: web, http: {delay: 100ms}}, {name: stop, at: 2s, for: 1s, target: web, pause: {}}]
objectives: [{step: get, success: 99%}]
abort: {when: {burnRate: {over: 14.4, for: 2s}}}
"#;

fn document() -> Document {
    let read = read_bytes(Path::new("x.yaml"), DOCUMENT.as_bytes());
    read.unwrap_or_else(|diagnostics| panic!("{diagnostics}")).remove(0)
}

fn good() -> Facts {
    Facts {
        disk_free: Some(10 << 30),
        programs: vec![Ok(PathBuf::from("/bin/sh"))],
        cpus: 2,
        files_max: Some(1024),
        busy: None,
        watchdog: None,
    }
}

/// The only check that refuses.
fn refused(experiment: &Experiment, facts: &Facts) -> String {
    let checks = judge(experiment, facts);
    let refused: Vec<&Check> = checks.iter().filter(|check| !check.passed).collect();
    assert_eq!(refused.len(), 1, "{refused:?}");
    assert!(!refused[0].mend.is_empty());
    refused[0].to_string()
}

#[test]
fn on_a_good_machine_all_checks_pass_and_say_what_they_saw() {
    let checks = judge(&document().experiment, &good());
    assert!(checks.iter().all(|check| check.passed && !check.reason.is_empty()), "{checks:?}");
    let undo = checks.iter().find(|check| check.name == "undo").expect("is checked");
    assert_eq!(undo.reason, "slow by its lease, stop by SIGCONT");
}

#[test]
fn each_fact_that_is_bad_refuses_by_its_name() {
    let experiment = document().experiment;
    let nowhere = vec![PathBuf::from("/a"), PathBuf::from("/b")];
    for (facts, expected) in [
        (Facts { disk_free: Some(1 << 20), ..good() }, "disk: 1MiB are free, up to 257MiB are needed; "),
        (Facts { disk_free: None, ..good() }, "disk: it cannot be told"),
        (
            Facts { programs: vec![Err(nowhere)], ..good() },
            "programs: `sh` of `web` is not there; looked in /a, /b; ",
        ),
        (Facts { busy: Some("run 7".to_owned()), ..good() }, "lock: another run has the target: run 7; "),
        (Facts { watchdog: Some("no".to_owned()), ..good() }, "watchdog: no; "),
        (Facts { files_max: Some(256), ..good() }, "open files: 256 may be open, up to 640 are needed; "),
    ] {
        let found = refused(&experiment, &facts);
        assert!(found.starts_with(expected), "{found}");
    }
}

#[test]
fn a_document_that_asks_too_much_of_the_machine_is_refused() {
    let with = |change: fn(&mut Experiment)| {
        let mut experiment = document().experiment;
        change(&mut experiment);
        refused(&experiment, &good())
    };
    let rate = |experiment: &mut Experiment| {
        experiment.load.arrivals[0].rate = steadfast_base::units::Rate::per_second_of(50_000);
        experiment.load.arrivals[0].length.0 = std::time::Duration::from_secs(1);
    };
    assert_eq!(with(rate), "processors: up to 50000/s from 2 processors; let at most 40000/s arrive");
    let remote = |experiment: &mut Experiment| {
        experiment.system.processes[0].url = Some("http://192.0.2.1:80".to_owned());
    };
    assert!(
        with(remote).starts_with("targets: `web` is at http://192.0.2.1:80, which is not this machine; ")
    );
    let unlinked = |experiment: &mut Experiment| experiment.system.processes[0].linked = false;
    assert!(with(unlinked).starts_with("undo: fault `slow` cannot be undone in `web`; "));
    let slow_abort = |experiment: &mut Experiment| {
        let abort = experiment.abort.as_mut().expect("is there");
        abort.when.burn_rate.length.0 = std::time::Duration::from_secs(4);
    };
    assert!(
        with(slow_abort)
            .starts_with("abort: the rule needs 4s of burning, but no fault lasts longer than 3s; ")
    );
}

#[test]
fn the_facts_of_this_machine_are_found_also_for_a_folder_to_come() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let facts = gather(&document(), &folder.path().join("not/yet"), &[]);
    assert!(facts.disk_free.is_some_and(|free| free > 0));
    assert!(facts.programs[0].as_ref().is_ok_and(|program| program.ends_with("sh")), "{facts:?}");
    assert!(facts.cpus > 0);
    let mut missing = document();
    missing.experiment.system.processes[0].command =
        vec!["${document.dir}/no-such-program".parse().expect("is a template")];
    assert!(gather(&missing, folder.path(), &[]).programs[0].is_err());
}
