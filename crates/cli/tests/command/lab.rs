//! A folder with a state folder of its own, in which the command is run and after which nothing may be left.

use std::ffi::OsStr;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::Value;

/// No command of these tests takes longer.
const ENDS_WITHIN: Duration = Duration::from_secs(60);

/// Where a test works. What it starts carries the folder's name in its environment, so that it is found again.
pub(crate) struct Lab {
    folder: tempfile::TempDir,
}

/// What a command that has ended said.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// A command under way.
pub(crate) struct Running {
    child: Child,
    out: Option<JoinHandle<String>>,
    err: Option<JoinHandle<String>>,
}

impl Lab {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a folder") }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.path("state")
    }

    /// Writes a file and returns where it is.
    pub(crate) fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, text).expect("written");
        path
    }

    /// Starts `steadfast` with `arguments` in the folder.
    pub(crate) fn start<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Running {
        let mut command = Command::new(env!("CARGO_BIN_EXE_steadfast"));
        command.args(arguments).current_dir(self.folder.path());
        command.env("STEADFAST_STATE_DIR", self.state()).env_remove("RUST_LOG");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the command starts");
        let out = read_all(child.stdout.take().expect("it is piped"));
        let err = read_all(child.stderr.take().expect("it is piped"));
        Running { child, out: Some(out), err: Some(err) }
    }

    /// Runs `steadfast` with `arguments` to its end.
    pub(crate) fn run<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Said {
        self.start(arguments).end()
    }

    /// Runs `steadfast prove` on one document, its output in the folder `out`.
    pub(crate) fn prove(&self, document: &str) -> Said {
        self.run(self.prove_arguments("out", document))
    }

    /// Starts what [`Lab::prove`] runs.
    pub(crate) fn start_prove(&self, document: &str) -> Running {
        self.start(self.prove_arguments("out", document))
    }

    pub(crate) fn prove_arguments(&self, out: &str, document: &str) -> Vec<String> {
        let file = self.write(&format!("{out}.yaml"), document);
        let text = |path: &Path| path.display().to_string();
        vec!["prove".into(), text(&file), "--bin-dir".into(), text(&examples()), "--out".into(), out.into()]
    }

    /// Reads the report that a run has left in the folder `out`.
    pub(crate) fn report(&self, out: &str) -> Value {
        let path = self.path(out).join("report.json");
        let text = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        serde_json::from_slice(&text).expect("the report is JSON")
    }

    /// Returns pid and command line of every live process that was started from here.
    pub(crate) fn processes(&self) -> Vec<(i32, String)> {
        let mark = self.folder.path().as_os_str().as_encoded_bytes();
        let marked = |pid: i32| {
            let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            environment.windows(mark.len()).any(|window| window == mark)
        };
        let entries = std::fs::read_dir("/proc").expect("it is mounted");
        let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
        pids.filter(|pid| marked(*pid))
            .map(|pid| {
                let words = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
                (pid, String::from_utf8_lossy(&words).replace('\0', " "))
            })
            .collect()
    }

    /// Waits until no process that was started from here is left.
    pub(crate) fn await_nothing_left(&self, within: Duration) {
        eventually_within(within, || match self.processes() {
            left if left.is_empty() => Ok(()),
            left => Err(format!("still there: {left:?}")),
        });
    }
}

impl Drop for Lab {
    /// A test that has failed leaves nothing behind either.
    fn drop(&mut self) {
        for (pid, _) in self.processes() {
            signal(pid, "KILL");
        }
    }
}

impl Running {
    pub(crate) fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).expect("a pid")
    }

    pub(crate) fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Kills it with SIGKILL and takes its end.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("it is ours");
        self.child.wait().expect("it is ours");
    }

    /// Waits for its end.
    pub(crate) fn end(mut self) -> Said {
        let status = self.wait();
        let text = |reader: Option<JoinHandle<String>>| match reader {
            Some(reader) => reader.join().expect("it reads"),
            None => String::new(),
        };
        Said { code: status.code(), out: text(self.out.take()), err: text(self.err.take()) }
    }

    fn wait(&mut self) -> ExitStatus {
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("it is ours") {
                return status;
            }
            if began.elapsed() > ENDS_WITHIN {
                let _ = self.child.kill();
                let _ = self.child.wait();
                panic!("the command did not end within {ENDS_WITHIN:?}");
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Said {
    /// Asserts the exit code and that nothing panicked.
    #[track_caller]
    pub(crate) fn code(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self:#?}");
        assert!(!self.err.contains("panicked"), "{self:#?}");
        self
    }

    /// Asserts that standard error holds each of `texts`.
    #[track_caller]
    pub(crate) fn err_has(self, texts: &[&str]) -> Self {
        for text in texts {
            assert!(self.err.contains(text), "no {text:?} in: {}", self.err);
        }
        self
    }

    /// Asserts that standard output holds each of `texts`.
    #[track_caller]
    pub(crate) fn out_has(self, texts: &[&str]) -> Self {
        for text in texts {
            assert!(self.out.contains(text), "no {text:?} in: {}\n{}", self.out, self.err);
        }
        self
    }
}

/// The folder of the example programs, which `cargo test` builds beside the command.
pub(crate) fn examples() -> PathBuf {
    let folder = Path::new(env!("CARGO_BIN_EXE_steadfast")).with_file_name("examples");
    assert!(folder.join("ledger").is_file(), "build it: cargo build -p steadfast-cli --example ledger");
    folder
}

/// Sends a signal by name, without a line of unsafe code.
pub(crate) fn signal(pid: i32, name: &str) {
    let _ = Command::new("kill")
        .args([format!("-{name}"), pid.to_string()])
        .stderr(Stdio::null())
        .status()
        .expect("every system has kill");
}

/// Waits until `look` finds what it looks for; a busy machine is given half a minute.
#[track_caller]
pub(crate) fn eventually(look: impl FnMut() -> Result<(), String>) {
    eventually_within(Duration::from_secs(30), look);
}

#[track_caller]
pub(crate) fn eventually_within(within: Duration, mut look: impl FnMut() -> Result<(), String>) {
    let began = Instant::now();
    loop {
        match look() {
            Ok(()) => return,
            Err(problem) if began.elapsed() > within => panic!("not within {within:?}: {problem}"),
            Err(_) => std::thread::sleep(Duration::from_millis(10)),
        }
    }
}

fn read_all(mut stream: impl Read + Send + 'static) -> JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = stream.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    })
}
