//! What goes wrong around and in the system: each has its exit code, and its reason names what broke.

use std::net::TcpListener;
use std::time::Duration;

use crate::document::{Document, PAUSE, long};
use crate::lab::{Lab, Said, eventually};

/// Proves `document`, expects `code` with a reason that holds `says`, and that nothing is left.
#[track_caller]
fn ends(lab: &Lab, document: &str, code: i32, reason_code: &str, says: &[&str]) -> Said {
    let said = lab.prove(document).code(code).out_has(says);
    let report = lab.report("out");
    assert_eq!(report["verdict"]["exitCode"], code);
    assert_eq!(report["verdict"]["reasonCode"], reason_code, "{}", report["verdict"]);
    lab.await_nothing_left(Duration::from_secs(5));
    said
}

#[test]
fn a_port_in_use_is_inconclusive_and_shows_the_last_lines() {
    let lab = Lab::new();
    let taken = TcpListener::bind("127.0.0.1:0").expect("some port is free");
    let address = taken.local_addr().expect("it is bound").to_string();
    let text = Document::default().text().replace("[ledger,", &format!("[ledger, --listen, \"{address}\","));
    ends(&lab, &text, 4, "system-not-ready", &["ledger", &format!("cannot listen on {address}")]);
}

#[test]
fn a_process_that_is_never_ready_is_inconclusive_and_shows_the_last_lines() {
    let lab = Lab::new();
    let document = Document { flags: "--never-ready", ready_within: "600ms", ..Document::default() };
    ends(
        &lab,
        &document.text(),
        4,
        "system-not-ready",
        &["ledger", "503", "ledger: listening on 127.0.0.1:"],
    );
}

#[test]
fn a_process_that_dies_by_itself_is_a_finding_that_names_it() {
    let lab = Lab::new();
    let document = Document { flags: "--die-after, \"70\"", faults: PAUSE, ..Document::default() };
    ends(&lab, &document.text(), 1, "process-died", &["ledger", "7", "by itself", "the disk is on fire"]);
}

#[test]
fn a_baseline_that_misses_an_objective_injects_nothing() {
    let lab = Lab::new();
    let objectives = "{step: record, during: [baseline, inject], success: 99%}";
    let document = Document { flags: "--refuse", faults: PAUSE, objectives, ..Document::default() };
    let said = ends(&lab, &document.text(), 1, "baseline-violated", &["baseline", "nothing was injected"]);
    assert!(!said.err.contains("freeze"), "{}", said.err);
    assert_eq!(lab.report("out")["faults"], serde_json::json!([]));
}

#[test]
fn an_acknowledged_command_that_is_lost_fails_and_is_named() {
    let lab = Lab::new();
    let document = Document { flags: "--lose, \"60\"", ..Document::default() };
    ends(&lab, &document.text(), 1, "invariant-violated", &["acknowledged record", "r60"]);
    let invariant = &lab.report("out")["invariants"][0];
    assert_eq!(invariant["holds"], false);
    let violations = invariant["violations"].as_array().expect("a list");
    assert_eq!(violations.len(), 1, "{invariant}");
}

#[test]
fn a_command_that_is_there_twice_fails_and_is_named() {
    let lab = Lab::new();
    let document = Document { flags: "--twice, \"60\"", ..Document::default() };
    ends(&lab, &document.text(), 1, "invariant-violated", &["acknowledged record", "r60"]);
}

#[test]
fn a_dose_that_was_not_delivered_is_invalid() {
    let lab = Lab::new();
    let faults = "{name: freeze, at: 1s, for: 300ms, target: ledger, pause: {}, atLeast: 149}";
    let document = Document { faults, ..Document::default() };
    ends(&lab, &document.text(), 5, "dose-not-delivered", &["freeze", "at least 149"]);
}

#[test]
fn a_fault_in_a_process_that_does_not_take_it_is_no_pass() {
    let lab = Lab::new();
    let faults = "{name: slow, at: 1s, for: 500ms, target: ledger, http: {delay: 50ms}}";
    let document = Document { faults, linked: true, ..Document::default() };
    let said = lab.prove(&document.text());
    assert!(matches!(said.code, Some(4 | 5)), "{said:?}");
    said.out_has(&["slow"]);
    lab.await_nothing_left(Duration::from_secs(5));
}

#[test]
fn too_little_observed_is_inconclusive() {
    let lab = Lab::new();
    let text = Document::default().text().replace("rate: 50/s", "rate: 5/s");
    ends(&lab, &text, 4, "too-few-samples", &["too little", "record"]);
}

#[test]
fn one_run_at_a_time_and_the_second_names_the_first() {
    let lab = Lab::new();
    let first = lab.start(lab.prove_arguments("first", &long().text()));
    let pid = first.pid();
    eventually(|| match lab.path("first/ledger.addr").exists() {
        true => Ok(()),
        false => Err("the first has not started".to_owned()),
    });
    let said = lab.prove(&Document::default().text()).code(3).out_has(&["REFUSED", "first"]);
    assert!(said.out.contains(&pid.to_string()), "{said:?}");
    lab.run(["recover", "--list"]).code(0).out_has(&["first (in progress"]);
    lab.run(["recover"]).code(0).out_has(&["nothing is left to undo"]);
    crate::lab::signal(pid, "INT");
    first.end().code(130);
    lab.await_nothing_left(Duration::from_secs(5));
}
