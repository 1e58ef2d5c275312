//! How many instructions a call through each guard executes, counted by callgrind and compared with what is on file.
//!
//! Unlike times, counts are the same on a busy machine: what has become dearer is found where tests run. They depend
//! on the compiler, on the versions in `Cargo.lock` and on the processor's kind, so the file names the compiler.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};

use crate::{command, setup};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Writes what is counted instead of comparing it.
    #[arg(long)]
    renew: bool,
}

/// The counts on file.
const FILE: &str = "crates/guard/instructions.json";

/// How much more a call may execute than is on file: a share, and a few instructions where there are few.
const SHARE_MAX: f64 = 0.05;
const MORE_MAX: f64 = 3.0;

/// Each guard is run twice; what differs is the calls alone.
const CALLS: [u32; 2] = [1000, 3000];

/// What is on file.
#[derive(Debug, Serialize, Deserialize)]
struct Counts {
    /// The compiler that they hold for, as it names itself.
    rustc: String,
    /// The machine that they hold for.
    target: String,
    /// Instructions per call by guard, those of the guarded service and of the loop around it included.
    per_call: BTreeMap<String, f64>,
}

/// What came of it.
pub(crate) enum Outcome {
    /// In a line.
    Passed(String),
    /// Why nothing was compared.
    Skipped(String),
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    if arguments.renew {
        let counts = count(&setup::obtain(&setup::VALGRIND)?)?;
        let text = serde_json::to_string_pretty(&counts)?;
        std::fs::write(command::root().join(FILE), format!("{text}\n"))?;
        eprintln!("instructions: {} counts are in {FILE}", counts.per_call.len());
        return Ok(());
    }
    match check()? {
        Outcome::Passed(what) => eprintln!("instructions: {what}"),
        Outcome::Skipped(why) => eprintln!("skipped instructions: {why}"),
    }
    Ok(())
}

/// Counts and compares. On CI's machine nothing is skipped.
pub(crate) fn check() -> anyhow::Result<Outcome> {
    let on_file = std::fs::read(command::root().join(FILE)).with_context(|| format!("cannot read {FILE}"))?;
    let on_file: Counts = serde_json::from_slice(&on_file).with_context(|| format!("cannot parse {FILE}"))?;
    let valgrind = match setup::obtain(&setup::VALGRIND) {
        Ok(valgrind) => valgrind,
        Err(why) if setup::must_have() => return Err(why.context("valgrind is missing")),
        Err(why) => return Ok(Outcome::Skipped(format!("valgrind is missing: {why:#}"))),
    };
    let (rustc, target) = compiler()?;
    if (&rustc, &target) != (&on_file.rustc, &on_file.target) {
        let why = format!(
            "{FILE} is of {} on {}, and this is {rustc} on {target}; renew it by `cargo xtask instructions --renew`",
            on_file.rustc, on_file.target
        );
        return if setup::must_have() { Err(anyhow::anyhow!(why)) } else { Ok(Outcome::Skipped(why)) };
    }
    compare(&on_file.per_call, &count(&valgrind)?.per_call).map(Outcome::Passed)
}

/// Says in a line that nothing has become dearer, or what has.
fn compare(on_file: &BTreeMap<String, f64>, counted: &BTreeMap<String, f64>) -> anyhow::Result<String> {
    let mut wrong = Vec::new();
    let mut fewer = Vec::new();
    for (guard, now) in counted {
        let Some(before) = on_file.get(guard) else {
            wrong.push(format!("{guard}: {now:.0}, and none is on file"));
            continue;
        };
        let allowed = (before * SHARE_MAX).max(MORE_MAX);
        if now - before > allowed {
            wrong.push(format!("{guard}: {now:.0} instructions a call, {before:.0} are on file"));
        } else if before - now > allowed {
            fewer.push(format!("{guard}: {now:.0} instead of {before:.0}"));
        }
    }
    let gone = on_file.keys().filter(|guard| !counted.contains_key(*guard));
    wrong.extend(gone.map(|guard| format!("{guard}: on file, and not counted")));
    if !wrong.is_empty() {
        bail!(
            "{}\nif that is meant, renew {FILE} by `cargo xtask instructions --renew` and say why in the commit",
            wrong.join("\n")
        );
    }
    let note =
        if fewer.is_empty() { String::new() } else { format!("; renew {FILE}, for {}", fewer.join(", ")) };
    Ok(format!("{} guards execute no more per call than is on file{note}", counted.len()))
}

/// Builds the example and counts what each of its guards executes.
fn count(valgrind: &Path) -> anyhow::Result<Counts> {
    let example = build()?;
    let names = command::output(Command::new(&example))?;
    let names = String::from_utf8(names.stdout)?;
    let mut per_call = BTreeMap::new();
    for name in names.lines() {
        let [few, many] = CALLS.map(|calls| collected(valgrind, &example, name, calls));
        let per = (many? as f64 - few? as f64) / f64::from(CALLS[1] - CALLS[0]);
        per_call.insert(name.to_owned(), (per * 10.0).round() / 10.0);
    }
    let (rustc, target) = compiler()?;
    Ok(Counts { rustc, target, per_call })
}

fn build() -> anyhow::Result<PathBuf> {
    let mut build = command::cargo(&["build", "--locked", "--release", "-p", "steadfast-guard"]);
    build.args(["--example", "instructions"]);
    command::run(build)?;
    Ok(command::target().join("release/examples/instructions"))
}

/// Returns the instructions that the example executes in all.
fn collected(valgrind: &Path, example: &Path, name: &str, calls: u32) -> anyhow::Result<u64> {
    let mut run = Command::new(valgrind);
    run.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(example)
        .arg(name)
        .arg(calls.to_string());
    let output = command::output(run)?;
    let printed = String::from_utf8_lossy(&output.stderr);
    let collected = printed.lines().find_map(|line| line.split_once("Collected : ")?.1.trim().parse().ok());
    collected.with_context(|| format!("callgrind has counted nothing: {printed}"))
}

/// Returns how the compiler names itself, and the machine it compiles for.
fn compiler() -> anyhow::Result<(String, String)> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = command::output(command::command(rustc, &["--version", "--verbose"]))?;
    let text = String::from_utf8(output.stdout)?;
    let version = text.lines().next().context("rustc does not say its version")?;
    let host =
        text.lines().find_map(|line| line.strip_prefix("host: ")).context("rustc does not say its host")?;
    Ok((version.to_owned(), host.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(counts: &[(&str, f64)]) -> BTreeMap<String, f64> {
        counts.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
    }

    #[test]
    fn what_has_become_dearer_is_named() {
        let on_file = counts(&[("breaker", 100.0), ("retry", 40.0)]);
        assert!(compare(&on_file, &counts(&[("breaker", 105.0), ("retry", 43.0)])).is_ok());
        let why = compare(&on_file, &counts(&[("breaker", 105.2), ("retry", 40.0)])).expect_err("5.2 % more");
        assert!(why.to_string().starts_with("breaker: 105 instructions a call, 100 are on file"), "{why}");
        assert!(compare(&on_file, &counts(&[("breaker", 100.0), ("retry", 43.1)])).is_err());
    }

    #[test]
    fn a_guard_that_is_new_or_gone_is_named() {
        let on_file = counts(&[("breaker", 100.0)]);
        assert!(compare(&on_file, &counts(&[("breaker", 100.0), ("retry", 1.0)])).is_err());
        assert!(compare(&on_file, &counts(&[])).is_err());
    }

    #[test]
    fn what_has_become_cheaper_is_said() {
        let on_file = counts(&[("breaker", 100.0)]);
        let said = compare(&on_file, &counts(&[("breaker", 90.0)])).expect("no more than on file");
        assert!(said.ends_with("for breaker: 90 instead of 100"), "{said}");
    }
}
