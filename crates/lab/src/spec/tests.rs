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
  - acknowledgedCommands: {step: create, key: $.id, history: {http: "${web.url}/things/${key}", sequence: "$[*].revision"}, exactlyOnce: false}
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

/// What is written wrong, and what must be said of it.
#[test]
fn each_fault_is_told_with_its_place_and_how_to_mend_it() {
    let at_17 = "x.yaml:18:";
    for (from, to, expected) in [
        ("name: small", "name: Small", "3:18: metadata.name: `Small` is not a name"),
        (
            "kind: Experiment",
            "kind: Experimnt",
            "2:7: kind: unknown value `Experimnt`; did you mean `Experiment`?",
        ),
        ("target: web", "target: wbe", "faults[0].target: unknown target `wbe`; did you mean `web`?"),
        (
            "target: web",
            "target: db",
            "faults[0].target: `http` is injected within the process, but `db` is not `linked`",
        ),
        ("percent: 50%", "percent: 0%", "faults[0].http.percent: affects no call; write more than 0%"),
        ("percent: 50%", "percent: 50", "faults[0].http.percent: percentage `50`: has no percent sign"),
        ("delay: 100ms", "delay: 100", "faults[0].http.delay: duration `100`: has no unit"),
        ("delay: 100ms, ", "", "faults[0].http: does nothing; add `delay` or `status`"),
        (
            "http: {delay: 100ms",
            "proxy: {delay: 100ms",
            "faults[0].proxy: `proxy` is designed but not built yet",
        ),
        ("http: {delay: 100ms", "chaosMesh: {delay: 100ms", "`chaosMesh` is designed but not built yet"),
        (
            "at: 2s",
            "at: 1s",
            "faults[0].at: begins outside of the phase `inject`; write a time from 2s to before 5s",
        ),
        ("for: 3s", "for: 4s", "faults[0].for: the fault ends 6s after the start of the load"),
        ("target: web", "target: web, kill: {}", "faults[0]: does both `http` and `kill`"),
        (
            "for: 7s",
            "for: 6s",
            "load.arrivals: arrivals end after 6s, the phases after 7s; let arrivals come for 7s",
        ),
        ("rate: 10/s", "rate: 200000/s", "load.arrivals[0].rate: is more than is ever driven"),
        ("rate: 10/s", "rate: 10", "load.arrivals[0].rate: rate `10`: has no unit"),
        (
            "method: GET",
            "method: get",
            "load.scenario[1].http.method: unknown method `get`; did you mean `GET`?",
        ),
        (
            "things/${id}",
            "things/${idd}",
            "load.scenario[1].http.url: unknown variable `${idd}`; did you mean `id`?",
        ),
        (
            "name: read",
            "name: create",
            "load.scenario[1].name: two steps are called `create`; rename one of them",
        ),
        (
            "${web.url}/things\"",
            "${web.url}/${id}\"",
            "`${id}` has no value here; it is captured by step `create`",
        ),
        (
            "body: \"{}\"",
            "bodyFile: missing.json",
            "load.scenario[0].http.bodyFile: `./missing.json` cannot be read",
        ),
        (
            "on: [503, connect]",
            "on: [503, conect]",
            "load.retry.on[1]: unknown value `conect`; did you mean `connect`?",
        ),
        (
            "on: [503, connect]",
            "on: [200]",
            "load.retry.on[0]: `200` is out of range; write a status from 400 to 599",
        ),
        ("step: read", "step: raed", "objectives[1].step: unknown step `raed`; did you mean `read`?"),
        (
            "during: all",
            "during: injct",
            "objectives[1].during: unknown value `injct`; did you mean `inject`?",
        ),
        ("success: 99%}", "within: 9s}", "objectives[1].within: nothing of the phase `all` is left"),
        (
            "key: $.id",
            "key: $.no",
            "invariants[0].acknowledgedCommands.key: `$.no` is captured neither by `create`",
        ),
        ("key: $.id", "key: id", "invariants[0].acknowledgedCommands.key: path `id`: a path begins with `$`"),
        ("things/${key}", "things", "history.http: asks for no key; write `${key}` into the URL"),
        (
            ", exactlyOnce: false",
            "",
            "acknowledgedCommands.history: reads entries that name neither their command nor their kind",
        ),
        (
            "acknowledgedCommands:",
            "acknowledgdCommands:",
            "unknown value `acknowledgdCommands`; did you mean `acknowledgedCommands`?",
        ),
        ("processes:", "attach: {}\n  processes:", "system.attach: `attach` is designed but not built yet"),
        (
            "http://127.0.0.1:8080",
            "http://10.0.0.1:8080",
            "system.processes[0].url: `10.0.0.1` is not this machine",
        ),
        (
            "url: \"http://127.0.0.1:8080\"",
            "url: \"redis://127.0.0.1:8080\", ready: {http: /}",
            "system.processes[0].url: is not asked by HTTP",
        ),
        ("http://127.0.0.1:8080", "redis://127.0.0.1", "`redis://127.0.0.1` is not a URL with a port"),
        (
            "[db, \"${web.url}\"]",
            "[db, \"${bd.url}\"]",
            "system.processes[1].command[1]: unknown variable `${bd.url}`",
        ),
        (
            "[db, \"${web.url}\"]",
            "[db, \"${web.url\"]",
            "command[1]: `${web.url`: `${` is not closed at byte 0",
        ),
        (
            "linked: true",
            "linked: maybe",
            "system.processes[0].linked: expected a boolean, found the text `maybe`",
        ),
        ("metadata: {name: small}", "metadata: small", "metadata: expected a map with `name`, `description`"),
    ] {
        let found = found(from, to);
        assert!(found.iter().any(|fault| fault.contains(expected)), "{from} -> {to}: {found:#?}");
        assert!(found.iter().all(|fault| fault.starts_with("x.yaml:")), "{found:#?}");
    }
    let column = GOOD.lines().nth(17).and_then(|line| line.find("target: web")).expect("is there") + 9;
    assert!(found("target: web", "target: wbe")[0].starts_with(&format!("{at_17}{column}: ")));
}

#[test]
fn a_variable_is_pointed_at_within_its_text() {
    let line = r#"    - {name: read, weight: 50%, http: {method: GET, url: "${web.url}/things/${id}"}}"#;
    assert!(GOOD.contains(line));
    let column = line.find("${id}").expect("is there") + 1;
    let found = found("things/${id}", "things/${no}");
    assert!(found[0].starts_with(&format!("x.yaml:15:{column}: ")), "{found:?}");
}

#[test]
fn many_faults_are_told_at_once_in_the_order_of_lines() {
    let wrong = GOOD
        .replace("linked: true", "linkd: true")
        .replace("method: GET", "metod: GET")
        .replace("target: web", "target: 3s, colour: red")
        .replace("delay: 100ms", "delay: fast")
        .replace("99.9%", "99.9");
    let found = read(&wrong).expect_err("is wrong");
    let lines: Vec<u64> = found.iter().map(|fault| fault.line).collect();
    assert_eq!(lines, [6, 15, 15, 18, 18, 20], "{found}");
}

#[test]
fn phases_that_are_left_out_are_derived_from_the_faults() {
    let text = GOOD.replacen("phases: {baseline: 2s, inject: 3s, recover: 2s}\n", "", 1);
    let documents = read(&text).unwrap_or_else(|diagnostics| panic!("{diagnostics}"));
    let written = read(GOOD).unwrap_or_else(|diagnostics| panic!("{diagnostics}"));
    assert_eq!(documents[0].experiment.phases, written[0].experiment.phases);
}

#[test]
fn several_documents_in_a_file_each_have_their_text() {
    let both = format!("{GOOD}---\n# Another.\n{}", GOOD.replace("name: small", "name: other"));
    let documents = read(&both).unwrap_or_else(|diagnostics| panic!("{diagnostics}"));
    assert_eq!(documents.len(), 2);
    assert_eq!(documents[0].text, GOOD);
    assert!(documents[1].text.starts_with("---\n# Another.\n"), "{}", documents[1].text);
    let wrong = format!("{}---\n{}", GOOD.replace("rate: 10/s", "rate: 0/s"), GOOD.replace("GET", "GTE"));
    assert_eq!(read(&wrong).expect_err("both are wrong").iter().count(), 2);
}

#[test]
fn a_body_file_is_read_and_its_variables_are_checked() {
    let dir = tempfile::tempdir().expect("a folder can be made");
    let text = GOOD.replace("body: \"{}\"", "bodyFile: body.json");
    std::fs::write(dir.path().join("x.yaml"), &text).expect("can be written");
    std::fs::write(dir.path().join("body.json"), r#"{"n": "${seq}"}"#).expect("can be written");
    let documents =
        read_file(&dir.path().join("x.yaml")).unwrap_or_else(|diagnostics| panic!("{diagnostics}"));
    let body = documents[0].experiment.load.scenario[0].http.body.as_ref().map(Template::as_str);
    assert_eq!(body, Some(r#"{"n": "${seq}"}"#));
    std::fs::write(dir.path().join("body.json"), "${sec}").expect("can be written");
    let found = read_file(&dir.path().join("x.yaml")).expect_err("has an unknown variable");
    assert!(
        found.to_string().contains("bodyFile: unknown variable `${sec}`; did you mean `seq`?"),
        "{found}"
    );
}

#[test]
fn what_is_no_document_is_an_error_and_no_panic() {
    let deep = format!("a: {}{}", "[".repeat(10_000), "]".repeat(10_000));
    let deep_block: String = (0..200).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect();
    let bomb = (1..12).fold("a0: &a0 [x, x, x]\n".to_owned(), |text, n| {
        let before = format!("*a{}", n - 1);
        text + &format!("a{n}: &a{n} [{before}, {before}, {before}, {before}, {before}, {before}]\n")
    });
    for (text, expected) in [
        ("", "holds no document"),
        ("# nothing\n", "holds no document"),
        ("---\n---\n", "holds no document"),
        ("[1, 2]", "expected a map with"),
        ("just text", "expected a map with"),
        ("a: [", ""),
        ("a: b: c", ""),
        ("a: 1\na: 2\n", "`a` stands twice in one map"),
        (deep.as_str(), ""),
        (deep_block.as_str(), ""),
        (bomb.as_str(), ""),
    ] {
        let found = read(text).expect_err("is no document").to_string();
        assert!(found.starts_with("x.yaml:") && found.contains(expected), "{found}");
        assert!(found.len() < 20_000, "{}", found.len());
    }
    let binary = read_bytes(std::path::Path::new("x.yaml"), b"a: 1\nb: \xff\xfe").expect_err("is no text");
    assert_eq!(binary.to_string(), "x.yaml:2:4: byte 8 is not UTF-8; save the file as UTF-8 text");
    let large = vec![b'#'; DOCUMENT_BYTES_MAX + 1];
    let found = read_bytes(std::path::Path::new("x.yaml"), &large).expect_err("is too large");
    assert_eq!(found.to_string(), "x.yaml: is larger than 1 MiB; split it");
    let missing = read_file(std::path::Path::new("/nowhere/x.yaml")).expect_err("is not there");
    assert!(missing.to_string().starts_with("/nowhere/x.yaml: cannot be read: "), "{missing}");
}

#[test]
fn the_example_of_the_design_is_read() {
    let text = r#"
apiVersion: steadfast.dev/v1
kind: Experiment
metadata: {name: payment-is-slow}
system:
  processes:
    - {name: payment, command: [payment, --listen, 127.0.0.1:0, --addr-file, "${run.dir}/payment.addr"], ready: {grpcHealth: {}}, linked: true}
    - {name: orders, command: [orders, --listen, 127.0.0.1:0, --addr-file, "${run.dir}/orders.addr",
                               --payment, "${payment.url}", --data, "${run.dir}/orders"], ready: {http: /ready}}
load:
  arrivals: [{rate: 200/s, for: 35s}]
  scenario:
    - {name: create, http: {method: POST, url: "${orders.url}/orders", headers: {Idempotency-Key: "${uuid}"}, body: "{}"}, capture: {id: $.id}}
    - {name: confirm, weight: 80%, http: {method: POST, url: "${orders.url}/orders/${id}/confirm"}}
  retry: {max: 3, on: [503, connect]}
faults:
  - {name: slow, at: 10s, for: 15s, target: payment, grpc: {delay: 500ms, percent: 50%}}
objectives:
  - {step: create, during: inject, success: 99.9%, p99: 320ms}
  - {step: confirm, during: recover, within: 5s, success: 99.9%, p99: 500ms}
invariants:
  - acknowledgedCommands: {step: create, key: $.id, history: {http: "${orders.url}/orders/${key}/events", items: "$", revision: $.revision, kind: $.type, answers: created}, exactlyOnce: true, perKeyOrder: true}
abort: {when: {burnRate: {over: 14.4, for: 5s}}}
rollback: {within: 45s, do: [{undoFaults: {}}, {restart: {target: orders}}]}
"#;
    let documents = read(text).unwrap_or_else(|diagnostics| panic!("{diagnostics}"));
    let phases = documents[0].experiment.phases;
    assert_eq!(phases.window(Phase::Recover).end, std::time::Duration::from_secs(35));
}

#[test]
fn the_published_schema_is_current() {
    let path = root().join("schemas/experiment.schema.json");
    let current = serde_json::to_string_pretty(&schema()).expect("a schema is JSON") + "\n";
    if std::env::var_os("UPDATE_SCHEMAS").is_some() {
        std::fs::create_dir_all(root().join("schemas")).expect("the folder can be made");
        std::fs::write(&path, &current).expect("the schema can be written");
    }
    let published = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(published == current, "{} is not current; run the tests with UPDATE_SCHEMAS=1", path.display());
}

proptest::proptest! {
    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..300)) {
        let _ = read_bytes(Path::new("x.yaml"), &bytes);
    }

    /// Cuts, doubles, overwrites and moves pieces of the good document: never a panic, and every place that is told
    /// lies within the text.
    #[test]
    fn no_mutation_panics(
        edits in proptest::collection::vec(
            (0_u8..4, 0_usize..GOOD.len(), 1_usize..40, "[\\[\\]{}:,#&*!|>'\"%@` \n\t\\-a0$ü]{1,6}"), 1..6),
    ) {
        let mut text: Vec<char> = GOOD.chars().collect();
        for (edit, at, length, insert) in edits {
            let at = at.min(text.len());
            let end = (at + length).min(text.len());
            match edit {
                0 => drop(text.drain(at..end)),
                1 => drop(text.splice(at..end, insert.chars())),
                2 => drop(text.splice(at..at, insert.chars())),
                _ => {
                    let piece: Vec<char> = text[at..end].to_vec();
                    drop(text.splice(at..at, piece));
                }
            }
        }
        let text: String = text.into_iter().collect();
        if let Err(diagnostics) = read(&text) {
            let lines = text.lines().count() as u64 + 1;
            for fault in &diagnostics {
                proptest::prop_assert!(fault.line <= lines, "{} of {} lines", fault, lines);
                proptest::prop_assert!(!fault.problem.is_empty());
            }
        }
    }
}
