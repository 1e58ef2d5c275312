//! What is written where: verdicts to standard output, the rest to standard error, reports to their folder.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::document::{Document, PAUSE};
use crate::lab::{Lab, Said};

const PHASES: [&str; 7] = ["admit", "start", "baseline", "inject", "recover", "check", "verdict"];

fn passing() -> Document {
    Document { faults: PAUSE, ..Document::default() }
}

fn lines(text: &str) -> Vec<&str> {
    text.lines().filter(|line| !line.is_empty()).collect()
}

#[test]
fn a_passing_run_says_so_and_leaves_its_reports() {
    let lab = Lab::new();
    let said = lab.prove(&passing().text()).code(0);
    // Standard output carries the verdict, its reason in one sentence, and where the report is.
    let out = lines(&said.out);
    assert_eq!(out.len(), 2, "{said:?}");
    assert!(out[0].starts_with("PASS  small: 1 objective and 1 invariant held while freeze"), "{said:?}");
    assert_eq!(out[1].trim(), "out/report.html");
    // Elsewhere than on a terminal there is one plain line for each phase.
    for phase in PHASES {
        let of_phase = |line: &&&str| line.split_whitespace().nth(2) == Some(phase);
        assert_eq!(lines(&said.err).iter().filter(of_phase).count(), 1, "{phase}: {}", said.err);
    }
    assert!(!said.err.contains('\u{1b}') && !said.err.contains('\r'), "{:?}", said.err);

    let report = lab.report("out");
    let names: Vec<_> = report["phases"].as_array().expect("a list").iter().map(|p| &p["name"]).collect();
    assert_eq!(names, PHASES.map(Value::from).iter().collect::<Vec<_>>());
    let schema = include_str!("../../../../schemas/report.schema.json");
    let schema: Value = serde_json::from_str(schema).expect("the schema is JSON");
    let validator = jsonschema::validator_for(&schema).expect("it is a schema");
    let wrong: Vec<String> = validator.iter_errors(&report).map(|error| error.to_string()).collect();
    assert!(wrong.is_empty(), "{wrong:?}");
    let page = std::fs::read_to_string(lab.path("out/report.html")).expect("it is there");
    assert!(page.contains("PASS") && page.trim_end().ends_with("</html>"));
    let suites = elements(&lab.path("out/junit.xml"));
    assert_eq!((suites["testsuite"], suites.get("failure")), (1, None), "{suites:?}");
}

#[test]
fn programs_get_json_and_pipelines_no_progress() {
    let lab = Lab::new();
    let mut arguments = lab.prove_arguments("out", &passing().text());
    arguments.extend(["--format", "json", "--gate", "--seed", "7"].map(str::to_owned));
    let said = lab.run(&arguments).code(0);
    assert_eq!(said.err, "");
    let verdicts: Value = serde_json::from_str(&said.out).expect("JSON and nothing else");
    let first = &verdicts[0];
    assert_eq!((&first["name"], &first["outcome"]), (&"small".into(), &"PASS".into()), "{first}");
    assert_eq!((&first["exitCode"], &first["folder"]), (&0.into(), &"out".into()), "{first}");
    assert_eq!(lab.report("out")["run"]["seed"], 7);
}

#[test]
fn a_gate_gets_one_line_for_each_experiment() {
    let lab = Lab::new();
    let passes = Document { name: "passes", ..Document::default() };
    let fails = Document { name: "fails", flags: "--lose, \"20\"", ..Document::default() };
    let last =
        Document { name: "last", ready_within: "300ms", flags: "--never-ready", ..Document::default() };
    let suite = [passes, fails, last].map(|document| document.text()).join("---\n");
    let mut arguments = lab.prove_arguments("out", &suite);
    arguments.push("--gate".to_owned());
    let said = lab.run(&arguments).code(1);
    assert_eq!(said.err, "");
    let out = lines(&said.out);
    assert_eq!(out.len(), 4, "{said:?}");
    let begins = ["PASS  passes: ", "FAIL  fails: ", "INCONCLUSIVE  last: ", "FAIL: 1 of 3"];
    for (line, begin) in out.iter().zip(begins) {
        assert!(line.starts_with(begin), "{line}");
    }
    // Each has its folder, and all have one file for the pipeline.
    for folder in ["out/1-passes", "out/2-fails", "out/3-last"] {
        assert!(lab.path(folder).join("report.html").is_file(), "{folder}");
    }
    let suites = elements(&lab.path("out/junit.xml"));
    assert_eq!(suites["testsuite"], 3, "{suites:?}");
    assert!(suites["failure"] >= 2, "{suites:?}");
}

#[test]
fn only_runs_what_it_names_and_the_folder_has_a_name_by_itself() {
    let lab = Lab::new();
    let other = Document { name: "other", flags: "--refuse", ..Document::default() };
    let suite = [passing(), other].map(|document| document.text()).join("---\n");
    let mut arguments = lab.prove_arguments("out", &suite);
    arguments.truncate(arguments.len() - 2);
    arguments.extend(["--only", "small"].map(str::to_owned));
    let said = lab.run(&arguments).code(0);
    assert!(said.out.contains("steadfast-runs/") && said.out.contains("-small/report.html"), "{said:?}");
    assert_eq!(std::fs::read_dir(lab.path("steadfast-runs")).expect("it is there").count(), 1);
}

#[test]
fn whoever_closes_the_streams_does_not_end_the_run() {
    let lab = Lab::new();
    let arguments = lab.prove_arguments("out", &passing().text());
    let status = std::process::Command::new("sh")
        .args(["-c", "\"$@\" >&- 2>&-", "sh", env!("CARGO_BIN_EXE_steadfast")])
        .args(&arguments)
        .current_dir(lab.path("."))
        .env("STEADFAST_STATE_DIR", lab.state())
        .status();
    assert_eq!(status.expect("there is a shell").code(), Some(0));
    assert_eq!(lab.report("out")["verdict"]["outcome"], "PASS");
}

#[test]
fn load_alone_prints_what_it_saw() {
    let lab = Lab::new();
    let mut ledger = std::process::Command::new(crate::lab::examples().join("ledger"))
        .arg("--addr-file")
        .arg(lab.path("addr"))
        .env("STEADFAST_STATE_DIR", lab.state())
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("it starts");
    crate::lab::eventually(|| match lab.path("addr").exists() {
        true => Ok(()),
        false => Err("it has no address".to_owned()),
    });
    let address = std::fs::read_to_string(lab.path("addr")).expect("it is there");
    let url = format!("http://{address}/events");
    let load = |format: &str| -> Said {
        lab.run(["load", &url, "--rate", "50/s", "--for", "1s", "--seed", "1", "--format", format]).code(0)
    };
    load("human").out_has(&["arrivals in", "valid", "p99"]);
    let (first, second) = (load("json"), load("json"));
    assert_eq!(first.err, "");
    let seen = |said: &Said| -> Value { serde_json::from_str(&said.out).expect("JSON") };
    let (first, second) = (seen(&first), seen(&second));
    assert_eq!(first["scheduled"], second["scheduled"], "the same seed draws the same arrivals");
    assert_eq!(first["valid"], true);
    assert_eq!(first["steps"][0]["failed"], 0, "{first}");
    ledger.kill().expect("it is ours");
    ledger.wait().expect("it is ours");
}

/// Counts the elements of an XML file by name, after seeing that it is well-formed: each start has its end, and text
/// and attributes hold no character that must be escaped.
fn elements(path: &std::path::Path) -> BTreeMap<String, usize> {
    let text = std::fs::read_to_string(path).expect("it is there");
    let (mut open, mut count) = (Vec::new(), BTreeMap::new());
    let mut rest = text.trim_start();
    while let Some((before, after)) = rest.split_once('<') {
        assert!(open.is_empty() || !before.contains('>'), "text: {before}");
        let (tag, next) = after.split_once('>').expect("a tag has an end");
        rest = next;
        if tag.starts_with('?') {
            continue;
        }
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop().as_deref(), Some(name), "{path:?}");
            continue;
        }
        assert_eq!(tag.matches('"').count() % 2, 0, "attributes: {tag}");
        for (at, _) in tag.match_indices('&') {
            let entity = ["&amp;", "&lt;", "&gt;", "&quot;", "&apos;", "&#"];
            assert!(entity.iter().any(|entity| tag[at..].starts_with(entity)), "entity: {tag}");
        }
        let name = tag.split_whitespace().next().expect("a tag has a name").trim_end_matches('/').to_owned();
        *count.entry(name.clone()).or_default() += 1;
        if !tag.ends_with('/') {
            open.push(name);
        }
    }
    assert!(open.is_empty() && rest.trim().is_empty(), "{open:?} {rest}");
    count
}
