//! Counts the instructions that an idle layer adds to a call, with callgrind.
//!
//! The example is built with optimisation, its dependencies as the tests have them. It runs with and without the
//! layer, which differ by nothing but the calls; what the program does besides is a few instructions more or less.

use std::process::Command;

const CALLS: u32 = 10_000;

/// What an idle layer may add within a stack of layers, in instructions per call.
const COMPOSED_MAX: f64 = 10.0;

/// Builds the example as a release does and returns its path.
fn build() -> String {
    let profile = |setting: &str| format!("profile.dev.package.steadfast-fault.{setting}");
    let output = Command::new(env!("CARGO"))
        .args(["build", "--offline", "--quiet", "--message-format=json", "--package", "steadfast-fault"])
        .args(["--example", "idle_cost", "--config", &profile("opt-level=3")])
        .args(["--config", &profile("debug-assertions=false"), "--config", &profile("overflow-checks=false")])
        // As in a release, the crate is compiled as one: parts that are compiled apart are not inlined.
        .args(["--config", &profile("codegen-units=1")])
        .env("CARGO_INCREMENTAL", "0")
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let messages = String::from_utf8(output.stdout).expect("text");
    let mut executables = messages.lines().filter_map(|line| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        message["executable"].as_str().map(str::to_owned)
    });
    executables.next_back().expect("the path of the example")
}

/// Returns the instructions that the example executes.
fn count(example: &str, variant: [&str; 3]) -> f64 {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null", example])
        .args(variant)
        .arg(CALLS.to_string())
        .output()
        .expect("valgrind runs");
    let report = String::from_utf8_lossy(&output.stderr);
    let collected = report.lines().find_map(|line| line.split_once("Collected : ")?.1.trim().parse().ok());
    collected.unwrap_or_else(|| panic!("no count in {report}"))
}

#[test]
fn an_idle_layer_adds_at_most_ten_instructions_to_a_call() {
    if Command::new("valgrind").arg("--version").output().is_err() {
        eprintln!("skipped an_idle_layer_adds_at_most_ten_instructions_to_a_call: valgrind is not installed");
        return;
    }
    let example = build();
    let added = |edge, size| {
        let [idle, bare] = ["idle", "bare"].map(|variant| count(&example, [variant, edge, size]));
        (idle - bare) / f64::from(CALLS)
    };
    for size in ["small", "large"] {
        let composed = added("composed", size);
        eprintln!("an idle layer adds {composed:.1} instructions to a call with a {size} future");
        assert!(composed <= COMPOSED_MAX, "{composed} instructions are added to a call with a {size} future");
    }
    eprintln!("as a function of its own it adds {:.1}", added("apart", "small"));
}
