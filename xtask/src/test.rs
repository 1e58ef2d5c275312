//! Every test: cargo's, the failing twins, and the experiment on a process that is not ours.

use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::Context;
use serde::Deserialize;

use crate::instructions::Outcome;
use crate::prove::{DRIVERS, Profile, build, documents, says_nothing, steadfast};
use crate::servers::Servers;
use crate::{command, instructions, servers, setup};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Also runs the slow extras: the kill tests twenty times, the crash tests at full length, and the models of
    /// the bus and of cells by `loom`.
    #[arg(long)]
    full: bool,
}

/// The verdict that a document must end with.
struct Expected {
    /// The exit code.
    code: i32,
    /// Words that the reason must contain.
    reason: Vec<String>,
}

#[derive(Default)]
struct Tally {
    passed: u32,
    failed: u32,
    skipped: u32,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let started = Instant::now();
    let mut tally = Tally::default();
    let nginx = setup::obtain(&setup::NGINX);

    let servers = servers::obtain();
    tally.skipped += u32::try_from(servers.skipped.len())?;
    for why in &servers.failed {
        tally.failed += 1;
        eprintln!("FAILED {why}");
    }

    // Before cargo's tests, some of which count by callgrind too.
    match instructions::check() {
        Ok(Outcome::Passed(what)) => tally.count("instructions of guards", &Ok(what)),
        Ok(Outcome::Skipped(why)) => {
            tally.skipped += 1;
            eprintln!("skipped instructions of guards: {why}");
        }
        Err(why) => tally.count("instructions of guards", &Err(why)),
    }

    build(Profile::Dev)?;
    match command::run(tests(arguments, &servers)) {
        Ok(()) => tally.passed += 1,
        Err(why) => {
            tally.failed += 1;
            eprintln!("FAILED cargo test: {why:#}");
        }
    }

    if arguments.full {
        match command::run(model()) {
            Ok(()) => tally.passed += 1,
            Err(why) => {
                tally.failed += 1;
                eprintln!("FAILED model of the bus: {why:#}");
            }
        }
    }

    eprintln!("\nexperiments");
    let folders = [
        "specs/orders/failing",
        "specs/orders/guards",
        "specs/orders/guards/failing",
        "specs/orders/notices",
        "specs/orders/stores",
    ];
    for folder in folders {
        for file in documents(&command::root().join(folder))? {
            let name = file.display().to_string();
            match word(&file, "needs")?.as_deref().and_then(|server| servers.missing(server)) {
                None => tally.count(&name, &experiment(&file, &expected(&file)?, &servers)),
                Some(why) => {
                    tally.skipped += 1;
                    eprintln!("skipped {name}: {why}");
                }
            }
        }
    }
    for file in documents(&command::root().join("specs/nginx"))? {
        let name = file.display().to_string();
        match &nginx {
            Ok(_) => tally.count(&name, &experiment(&file, &expected(&file)?, &servers)),
            Err(why) if setup::must_have() => {
                tally.count(&name, &Err(anyhow::anyhow!("nginx is missing: {why:#}")));
            }
            Err(why) => {
                tally.skipped += 1;
                eprintln!("skipped {name}: nginx is missing: {why:#}");
            }
        }
    }
    eprintln!("took {:.1} min", started.elapsed().as_secs_f64() / 60.0);
    eprintln!(
        "tests and experiments: {} passed, {} failed, {} skipped",
        tally.passed, tally.failed, tally.skipped
    );
    if tally.failed > 0 {
        anyhow::bail!("{} failed", tally.failed);
    }
    Ok(())
}

/// Makes the call of cargo that runs every test but those of servers that are skipped.
fn tests(arguments: &Arguments, servers: &Servers) -> std::process::Command {
    let mut tests = command::cargo(&["test", "--locked", "--workspace", "--no-fail-fast"]);
    // The umbrella too, for the guides are its doctests; the services' own, for the experiments use the same binaries.
    tests.args(["--features", "steadfast-backends/full,steadfast/full", "--features", DRIVERS, "--"]);
    for skipped in &servers.skipped {
        tests.args(["--skip", skipped]);
    }
    tests.envs(servers.environment.iter().map(|(variable, program)| (variable, program)));
    if arguments.full {
        tests.env("STEADFAST_FULL", "1");
    }
    tests
}

/// Makes the call of cargo that checks the queues of the bus, and cells, under every order of steps. It has a target
/// folder of its own, for it compiles everything another way.
fn model() -> std::process::Command {
    let mut model = command::cargo(&["test", "--locked", "--release", "-p", "steadfast-core", "--lib"]);
    model.args(["--", "bus::hub::model", "cell::model"]);
    model.env("RUSTFLAGS", "--cfg loom");
    model.env("CARGO_TARGET_DIR", command::root().join("target/loom"));
    model
}

impl Tally {
    fn count(&mut self, name: &str, result: &anyhow::Result<String>) {
        match result {
            Ok(seen) => {
                self.passed += 1;
                eprintln!("ok      {name}: {seen}");
            }
            Err(why) => {
                self.failed += 1;
                eprintln!("FAILED  {name}: {why:#}");
            }
        }
    }
}

/// Returns what a document must end with: a failure whose reason holds the words of its line `# expect: WORD, WORD`,
/// else a pass.
fn expected(file: &std::path::Path) -> anyhow::Result<Expected> {
    let Some(words) = word(file, "expect")? else { return Ok(Expected { code: 0, reason: Vec::new() }) };
    Ok(Expected { code: 1, reason: words.split(',').map(|word| word.trim().to_owned()).collect() })
}

/// Returns what a document's line `# NAME: …` says.
fn word(file: &std::path::Path, name: &str) -> anyhow::Result<Option<String>> {
    let text = std::fs::read_to_string(command::root().join(file))?;
    let start = format!("# {name}: ");
    Ok(text.lines().find_map(|line| line.strip_prefix(&start)).map(|rest| rest.trim().to_owned()))
}

#[derive(Deserialize)]
struct Report {
    verdict: Verdict,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Verdict {
    exit_code: i32,
    reason: String,
}

/// Runs one experiment, once more if its first run has shown nothing.
fn experiment(file: &std::path::Path, expected: &Expected, servers: &Servers) -> anyhow::Result<String> {
    match run_once(file, expected, servers)? {
        Seen::Expected(seen) => Ok(seen),
        Seen::Nothing(first) => {
            eprintln!("once more, for it has shown nothing: {first}");
            match run_once(file, expected, servers)? {
                Seen::Expected(seen) => Ok(seen),
                Seen::Nothing(second) => anyhow::bail!("twice it has shown nothing: {second}"),
            }
        }
    }
}

enum Seen {
    /// What was expected, in words.
    Expected(String),
    /// An exit code that says nothing about the system.
    Nothing(String),
}

fn run_once(file: &std::path::Path, expected: &Expected, servers: &Servers) -> anyhow::Result<Seen> {
    let out = tempfile::tempdir()?;
    // PostgreSQL runs as another user, who must be able to enter.
    std::fs::set_permissions(&out, std::fs::Permissions::from_mode(0o755))?;
    let folder = out.path().join("run");
    let mut command = steadfast(Profile::Dev, &["prove"]);
    for (variable, program) in &servers.environment {
        command.env(variable, program);
        // Documents name a server by its program.
        if let Some(folder) = program.parent().filter(|_| program.is_file()) {
            command.arg("--bin-dir").arg(folder);
        }
    }
    command.arg("--out").arg(&folder).arg(file).stdout(Stdio::piped()).stderr(Stdio::piped());
    let output = output_within(command, Duration::from_secs(240))?;
    let printed =
        || format!("{}{}", String::from_utf8_lossy(&output.stderr), String::from_utf8_lossy(&output.stdout));
    let report = find_report(&folder).with_context(printed)?;
    let verdict = serde_json::from_slice::<Report>(&report)?.verdict;
    let seen = format!("exit {}: {}", verdict.exit_code, verdict.reason);
    if output.status.code().is_some_and(says_nothing) {
        return Ok(Seen::Nothing(seen));
    }
    if output.status.code() != Some(expected.code) || verdict.exit_code != expected.code {
        anyhow::bail!(
            "expected exit {}, the command ended with {}: {seen}\n{}",
            expected.code,
            output.status,
            printed()
        );
    }
    if let Some(missing) = expected.reason.iter().find(|word| !verdict.reason.contains(word.as_str())) {
        anyhow::bail!("the reason does not name `{missing}`: {seen}");
    }
    Ok(Seen::Expected(seen))
}

/// Finds `report.json` in the run's folder or, for a suite, in its only subfolder.
fn find_report(folder: &std::path::Path) -> anyhow::Result<Vec<u8>> {
    let direct = folder.join("report.json");
    if direct.exists() {
        return Ok(std::fs::read(direct)?);
    }
    for entry in std::fs::read_dir(folder)?.flatten() {
        let nested = entry.path().join("report.json");
        if nested.exists() {
            return Ok(std::fs::read(nested)?);
        }
    }
    anyhow::bail!("no report.json in {}", folder.display())
}

/// Runs a command to its end, or kills it when it takes longer than `limit`.
fn output_within(
    mut command: std::process::Command,
    limit: Duration,
) -> anyhow::Result<std::process::Output> {
    let child = command.spawn().context("cannot start steadfast; is it built?")?;
    let pid = child.id();
    let (done, waiting) = std::sync::mpsc::channel::<()>();
    let killer = std::thread::spawn(move || {
        if waiting.recv_timeout(limit) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
            eprintln!("taking longer than {limit:?}: ending it");
            let _ = std::process::Command::new("kill").arg(pid.to_string()).status();
        }
    });
    let output = child.wait_with_output();
    drop(done);
    let _ = killer.join();
    Ok(output?)
}
