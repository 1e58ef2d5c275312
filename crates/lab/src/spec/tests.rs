use std::path::{Path, PathBuf};

use super::*;

/// A small document without fault, which the tests change.
const GOOD: &str = r#"apiVersion: steadfast.dev/v1
kind: Experiment
metadata: {name: small}
system:
  processes:
    - {name: web, command: [web, --port, 8080], url: "http://127.0.0.1:8080", linked: true}
    - {name: db, command: [db, "${web.url}"]}
phases: {baseline: 2s, inject: 3s, recover: 2s}
load:
  arrivals: [{rate: 10/s, for: 7s}]
  scenario:
    - name: create
      http: {method: POST, url: "${web.url}/things", headers: {Idempotency-Key: "${uuid}"}, body: "{}"}
      capture: {id: $.id}
    - {name: read, weight: 50%, http: {method: GET, url: "${web.url}/things/${id}"}}
  retry: {max: 3, on: [503, connect], backoff: {initial: 10ms}}
faults:
  - {name: slow, at: 2s, for: 3s, target: web, http: {delay: 100ms, percent: 50%}}
objectives:
  - {step: create, during: [baseline, inject], success: 99.9%, p99.9: 300ms}
  - {step: read, during: all, success: 99%}
invariants:
  - acknowledgedCommands: {step: create, key: $.id, history: {http: "${web.url}/things/${key}", sequence: "$[*].revision"}}
"#;

fn read(text: &str) -> Result<Vec<Document>, Diagnostics> {
    read_bytes(Path::new("x.yaml"), text.as_bytes())
}

/// Replaces `from` in the good document and returns what is found wrong then.
fn found(from: &str, to: &str) -> Vec<String> {
    assert!(GOOD.contains(from), "{from} is not in the document");
    match read(&GOOD.replacen(from, to, 1)) {
        Ok(_) => Vec::new(),
        Err(diagnostics) => diagnostics.iter().map(ToString::to_string).collect(),
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

#[test]
fn the_good_document_is_read_as_it_is_written() {
    let documents = read(GOOD).unwrap_or_else(|diagnostics| panic!("{diagnostics}"));
    let experiment = &documents[0].experiment;
    assert_eq!(experiment.system.processes[0].command[2].as_str(), "8080");
    assert_eq!(experiment.load.retry.on, [RetryOn::Status(503), RetryOn::Connect]);
    assert_eq!(experiment.load.retry.backoff.max.to_string(), "2s");
    assert_eq!(experiment.objectives[1].during, During::All);
    assert_eq!(experiment.objectives[0].latencies(), [(99.9, std::time::Duration::from_millis(300))]);
    assert!(experiment.faults[0].kind.is_in_process());
    assert_eq!(documents[0].text, GOOD);
}

#[test]
fn the_documents_that_ship_are_right() {
    let mut files = 0;
    for folder in ["specs/orders", "specs/orders/failing", "specs/nginx"] {
        for entry in std::fs::read_dir(root().join(folder)).expect("the folder is there") {
            let path = entry.expect("the folder can be read").path();
            if path.extension().is_some_and(|extension| extension == "yaml") {
                files += 1;
                if let Err(diagnostics) = read_file(&path) {
                    panic!("{diagnostics}");
                }
            }
        }
    }
    assert!(files >= 9, "only {files} documents found");
}

#[test]
fn an_unknown_field_is_named_with_its_place_and_the_nearest_known() {
    assert_eq!(
        found("percent: 50%", "precent: 50%"),
        ["x.yaml:18:69: faults[0].http.precent: unknown field; did you mean `percent`?"]
    );
}
