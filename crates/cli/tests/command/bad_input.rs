//! Wrong input ends with 2, says where, what and how to mend it, and starts nothing.

use crate::document::Document;
use crate::lab::{Lab, Said, examples};

/// Validates and proves a file with this content; both must refuse it in the same words.
#[track_caller]
fn refused(content: impl AsRef<[u8]>, says: &[&str]) -> Said {
    let lab = Lab::new();
    let file = lab.write("it.yaml", content);
    let file = file.to_str().expect("a plain path");
    let validated = lab.run(["validate", file]).code(2).err_has(says);
    let proved = lab.run(["prove", file, "--out", "out"]).code(2).err_has(says);
    assert_eq!(validated.err, proved.err);
    assert!(validated.out.is_empty() && proved.out.is_empty(), "{validated:?} {proved:?}");
    assert!(!lab.path("out").exists(), "no folder for what does not run");
    proved
}

/// A small document with `from` replaced by `to`, and the place of `to`.
fn with(from: &str, to: &str) -> (String, String) {
    let text = Document::default().text();
    assert!(text.contains(from), "{from}");
    let text = text.replacen(from, to, 1);
    let before = &text[..text.find(to).expect("it is there now")];
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    (text, format!("it.yaml:{line}:{column}: "))
}

#[test]
fn an_unknown_field_names_the_nearest_known_one() {
    let (text, place) = with("phases:", "phase:");
    refused(text, &[&place, "phase", "unknown field", "did you mean `phases`?"]);
}

#[test]
fn an_unknown_unit_names_the_known_ones() {
    let (text, _) = with("rate: 50/s", "rate: 50/fortnight");
    refused(text, &["it.yaml:12:", "load.arrivals[0].rate", "fortnight"]);
    let (text, _) = with("inject: 1s", "inject: 1 parsec");
    refused(text, &["it.yaml:10:", "phases.inject", "parsec"]);
}

#[test]
fn an_unknown_step_target_or_variable_names_the_nearest_known_one() {
    let (text, _) = with("{step: record, during", "{step: rekord, during");
    refused(text, &["objectives[0].step", "`rekord`", "`record`"]);
    let (text, _) =
        with("faults: []", "faults: [{name: f, at: 1s, for: 1s, target: legder, kill: {signal: SIGKILL}}]");
    refused(text, &["faults[0].target", "`legder`", "`ledger`"]);
    let (text, _) = with("${ledger.url}/records", "${leger.url}/records");
    refused(text, &["it.yaml:17:", "leger.url", "ledger.url"]);
}

#[test]
fn what_is_designed_and_not_built_is_refused_by_name() {
    let (text, place) =
        with("faults: []", "faults: [{name: f, at: 1s, for: 1s, target: ledger, proxy: {latency: 100ms}}]");
    let line = place.trim_start_matches("it.yaml:").split(':').next().expect("a line").to_owned();
    refused(text, &[&format!("it.yaml:{line}:"), "`proxy` is designed but not built yet"]);
}

#[test]
fn what_is_no_document_is_told_so() {
    refused("", &["it.yaml:"]);
    refused([0u8, 159, 146, 150, 255, 0, 7], &["it.yaml:"]);
    refused(b"metadata: {name: \"caf\xe9\"}\n", &["it.yaml:1:", "UTF-8"]);
    refused("metadata: [}\n", &["it.yaml:1:"]);
    refused("just text\n", &["it.yaml:1:1:"]);
    let (text, _) = with("kind: Experiment", "kind: Experiment\nkind: Experiment");
    refused(text, &["it.yaml:3:1:", "kind"]);
}

#[test]
fn depth_and_aliases_have_bounds() {
    refused(
        format!("metadata: {}{}", "[".repeat(100_000), "]".repeat(100_000)),
        &["it.yaml:1:", "recursion limit"],
    );
    refused(format!("metadata: {}", "{a: ".repeat(5_000)), &["it.yaml:1:"]);
    let bomb: String = (0..40)
        .map(|n| match n {
            0 => "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned(),
            n => format!("a{n}: &a{n} [{}]\n", vec![format!("*a{}", n - 1); 10].join(", ")),
        })
        .collect();
    refused(bomb, &["it.yaml:", "alias"]);
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let lab = Lab::new();
    lab.run(["validate", "nowhere.yaml"]).code(2).err_has(&["nowhere.yaml: "]);
    lab.run(["prove", "nowhere.yaml"]).code(2).err_has(&["nowhere.yaml: "]);
    lab.run(["prove", "."]).code(2).err_has(&[".: "]);
    assert!(!lab.path("steadfast-runs").exists());
    let (text, _) = with("body: \"{}\"", "bodyFile: no-such.json");
    refused(text, &["bodyFile", "no-such.json"]);
}

#[test]
fn everything_wrong_in_all_files_is_told_at_once() {
    let lab = Lab::new();
    lab.write("a.yaml", with("phases:", "phase:").0);
    lab.write("b.yaml", with("rate: 50/s", "rate: 50").0);
    let said = lab.run(["validate", "a.yaml", "b.yaml", "c.yaml"]).code(2);
    // A line begins with its place, so that an editor can follow it.
    let begins: Vec<&str> = said.err.lines().filter_map(|line| line.split(':').next()).collect();
    for file in ["a.yaml", "b.yaml", "c.yaml"] {
        assert!(begins.contains(&file), "{said:?}");
    }
}

#[test]
fn a_wrong_command_line_shows_the_usage() {
    let lab = Lab::new();
    lab.run::<&str>([]).code(2).err_has(&["Usage: steadfast <COMMAND>", "Exit codes"]);
    lab.run(["prove"]).code(2).err_has(&["<FILE>"]);
    lab.run(["prove", "--fast", "it.yaml"]).code(2).err_has(&["--fast", "Usage"]);
    lab.run(["prve"]).code(2).err_has(&["prove"]);
    lab.run(["prove", "--seed", "x", "it.yaml"]).code(2).err_has(&["--seed"]);
    lab.run(["load", "--rate", "5 apples", "http://127.0.0.1:9"]).code(2).err_has(&["--rate", "apples"]);
    lab.run(["load", "no-such.yaml"]).code(2).err_has(&["no-such.yaml"]);
}

#[test]
fn help_and_version_are_answers() {
    let lab = Lab::new();
    lab.run(["--help"]).code(0).out_has(&["130 interrupted"]);
    lab.run(["--version"]).code(0).out_has(&["steadfast 0."]);
    for command in ["prove", "validate", "recover", "load"] {
        lab.run([command, "--help"]).code(0).out_has(&["Usage: steadfast", "--format"]);
    }
}

#[test]
fn only_takes_names_that_are_there() {
    let lab = Lab::new();
    let file = lab.write("it.yaml", Document::default().text());
    let file = file.to_str().expect("a plain path");
    let said = lab.run(["prove", file, "--only", "smal", "--out", "out"]).code(2);
    said.err_has(&["no experiment is called `smal`", "small"]);
    assert!(!lab.path("out").exists());
}

#[test]
fn a_folder_that_exists_is_not_written_over() {
    let lab = Lab::new();
    std::fs::create_dir(lab.path("out")).expect("made");
    lab.write("out/report.json", "kept");
    lab.prove(&Document::default().text()).code(2).err_has(&["out", "exists", "--out"]);
    let kept = std::fs::read_to_string(lab.path("out/report.json")).expect("it is there");
    assert_eq!(kept, "kept");
    let names = std::fs::read_dir(lab.path("out")).expect("it is there").count();
    assert_eq!(names, 1);
}

#[test]
fn a_state_folder_that_cannot_be_used_is_told_before_anything_is_made() {
    let lab = Lab::new();
    lab.write("state", "not a folder");
    lab.prove(&Document::default().text()).code(2).err_has(&["state"]);
    assert!(!lab.path("out").exists());
    lab.run(["recover"]).code(2).err_has(&["state"]);
}

#[test]
fn a_program_that_is_nowhere_is_refused_before_anything_starts() {
    let lab = Lab::new();
    let text = Document::default().text().replace("[ledger,", "[no-such-ledger,");
    let said = lab.prove(&text).code(3).err_has(&["no-such-ledger"]);
    assert!(said.out.contains("REFUSED") && said.out.contains("no-such-ledger"), "{said:?}");
    let said = lab.run(["validate", "out.yaml"]).code(0).out_has(&["is valid", "refused", "no-such-ledger"]);
    assert!(said.err.is_empty(), "{said:?}");
    let bin = examples();
    lab.write("good.yaml", Document::default().text());
    let said = lab.run(["validate", "good.yaml", "--bin-dir", bin.to_str().expect("plain")]).code(0);
    assert!(!said.out.contains("refused"), "{said:?}");
}
