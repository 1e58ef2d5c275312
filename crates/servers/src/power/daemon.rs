//! The process that serves the file system, and what it is told through its standard input.
//!
//! It is another process than the one that uses the files: a thread that touches a mapped file holds its process's
//! memory while it waits for an answer, and nobody in that process can give it who needs memory.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use steadfast_base::Seed;

use super::Cut;
use super::mounted::Mounted;
use crate::Error;

const PATH: &str = "STEADFAST_POWER_PATH";
const ANSWER: &str = "power: ";
const DONE: &str = "done";

/// What the process does that serves the file system; nothing, in any other one. A test calls it whose name
/// [`PowerCutFs::mount`](super::PowerCutFs::mount) is given.
///
/// # Panics
/// Whoever has started it does not listen.
pub fn serve_if_asked() {
    let Some(path) = std::env::var_os(PATH).map(PathBuf::from) else { return };
    let answer = |done: std::io::Result<()>| {
        let text = done.map_or_else(|error| error.to_string(), |()| DONE.to_owned());
        // On a line of its own, for the harness of the tests writes there too.
        std::io::stdout().write_all(format!("\n{ANSWER}{text}\n").as_bytes()).expect("somebody listens");
    };
    let mut mounted = match Mounted::new(path) {
        Ok(mounted) => mounted,
        Err(error) => return answer(Err(error)),
    };
    answer(Ok(()));
    // It ends with whoever has started it, also when that is killed.
    for order in std::io::stdin().lock().lines().map_while(Result::ok) {
        answer(obey(&mut mounted, &order));
    }
    drop(mounted);
    // Those who have something open in it are not waited for.
    std::process::exit(0);
}

fn obey(mounted: &mut Mounted, order: &str) -> std::io::Result<()> {
    let invalid = |_| std::io::Error::from(std::io::ErrorKind::InvalidInput);
    match order.split_once(' ').unwrap_or((order, "")) {
        ("sync", _) => mounted.sync_all(),
        ("lie", _) => mounted.lie_about_sync(),
        ("drop", _) => mounted.cut(Cut::DropAll),
        ("tear", seed) => mounted.cut(Cut::Torn(seed.parse::<Seed>().map_err(invalid)?)),
        ("keep", _) => mounted.cut(Cut::KeepAll),
        ("restore", _) => return mounted.restore(),
        _ => return Err(std::io::ErrorKind::InvalidInput.into()),
    }
    Ok(())
}

/// The process, as its owner sees it.
#[derive(Debug)]
pub(super) struct Daemon {
    pub(super) child: Child,
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Daemon {
    pub(super) fn start(test: &str, path: &Path) -> Result<Self, Error> {
        let failed = |source| Error::Mount { source };
        let mut command = Command::new(std::env::current_exe().map_err(failed)?);
        command.args(["--exact", test, "--nocapture"]).env(PATH, path);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().map_err(failed)?;
        let gone = || failed(std::io::Error::other("no pipe"));
        let orders = Some(child.stdin.take().ok_or_else(gone)?);
        let answers = BufReader::new(child.stdout.take().ok_or_else(gone)?);
        let mut daemon = Self { child, orders, answers };
        daemon.wait()?;
        Ok(daemon)
    }

    /// Has something done, and waits until it is.
    pub(super) fn order(&mut self, order: &str) -> Result<(), Error> {
        let failed = |source| Error::Mount { source };
        let gone = || failed(std::io::Error::other("the process that serves it was told to end"));
        let orders = self.orders.as_mut().ok_or_else(gone)?;
        orders.write_all(format!("{order}\n").as_bytes()).map_err(failed)?;
        self.wait()
    }

    fn wait(&mut self) -> Result<(), Error> {
        let said = self.answers.by_ref().lines().map_while(Result::ok);
        let answer = said.into_iter().find_map(|line| line.strip_prefix(ANSWER).map(str::to_owned));
        match answer.as_deref() {
            Some(DONE) => Ok(()),
            other => {
                let problem = other.unwrap_or("the process that serves it ended; is there such a test?");
                Err(Error::Mount { source: std::io::Error::other(problem.to_owned()) })
            }
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // Its input ends, and with it the process, which unmounts first.
        self.orders = None;
        let _ = self.child.wait();
    }
}
