//! The main job: prove the orders service.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, bail};

use crate::command;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Does not try again where a run was INCONCLUSIVE or INVALID.
    #[arg(long)]
    once: bool,
    /// Further arguments for `steadfast prove`, such as `--only NAME` or `--seed N`.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    rest: Vec<String>,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let profile = Profile::Release;
    build(profile)?;
    let specs = documents(&command::root().join("specs/orders"))?;
    let prove = || -> anyhow::Result<i32> {
        let mut command = steadfast(profile, &["prove"]);
        command.args(&specs).args(&arguments.rest);
        let status = command.status()?;
        status.code().with_context(|| format!("steadfast ended with {status}"))
    };
    let mut code = prove()?;
    if says_nothing(code) && !arguments.once {
        eprintln!(
            "\nexit code {code} says nothing about the system; once more, in case the machine was too busy"
        );
        code = prove()?;
    }
    // The command has said why; its exit code is the pipeline's.
    if code == 0 { Ok(()) } else { std::process::exit(code) }
}

/// Says whether an exit code is INCONCLUSIVE or INVALID: the run has shown nothing, neither good nor bad, which a busy
/// machine is enough to cause.
pub(crate) fn says_nothing(code: i32) -> bool {
    matches!(code, 4 | 5)
}

/// The features by which the orders service speaks to stores and brokers; the main job needs none.
pub(crate) const DRIVERS: &str = "orders/sqlite,orders/postgres,orders/redis,orders/nats,orders/kafka";

/// How binaries are built.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Profile {
    /// Optimised.
    Release,
    /// As tests are built.
    Dev,
}

impl Profile {
    fn folder(self) -> &'static str {
        match self {
            Self::Release => "release",
            Self::Dev => "debug",
        }
    }
}

/// Builds the command and the reference services.
pub(crate) fn build(profile: Profile) -> anyhow::Result<()> {
    let mut arguments = vec!["build", "--locked", "-p", "steadfast-cli", "-p", "orders", "--bins"];
    match profile {
        Profile::Release => arguments.push("--release"),
        Profile::Dev => arguments.extend(["--features", DRIVERS]),
    }
    command::run(command::cargo(&arguments))
}

/// Makes a call of the built command that finds the built services.
pub(crate) fn steadfast(profile: Profile, arguments: &[&str]) -> Command {
    let folder = command::target().join(profile.folder());
    let mut command = command::command(folder.join("steadfast"), arguments);
    command.arg("--bin-dir").arg(folder);
    command
}

/// Lists the documents of a folder in order of their names.
pub(crate) fn documents(folder: &Path) -> anyhow::Result<Vec<std::path::PathBuf>> {
    let mut files: Vec<_> = std::fs::read_dir(folder)?
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .collect();
    files.sort();
    if files.is_empty() {
        bail!("no document in {}", folder.display());
    }
    // Shown to people, so relative to where they stand.
    let root = command::root();
    Ok(files.into_iter().map(|f| f.strip_prefix(&root).map_or(f.clone(), Path::to_owned)).collect())
}
