//! A process that waits for the death of `steadfast` and then undoes what it left.
//!
//! It is the same program, started again with a hidden subcommand in a session of its own, so that Ctrl-C does not
//! reach it. A socket joins the two. `steadfast` says `done` on it when all is undone; if the socket closes without
//! that word, `steadfast` is dead, by whatever cause.

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use super::perform::settle;
use super::state::read_registration;
use super::{Error, UndoLog};

const READY: &[u8] = b"ready\n";
const DONE: &[u8] = b"done\n";
const START_WITHIN: Duration = Duration::from_secs(10);
const END_WITHIN: Duration = Duration::from_secs(5);

/// How the watchdog is started.
#[derive(Debug, Clone)]
pub struct WatchdogCommand {
    /// The program, which calls [`watchdog_main`] when it is given `arguments`.
    pub program: PathBuf,
    /// What comes before the arguments of [`watchdog_main`].
    pub arguments: Vec<OsString>,
}

impl WatchdogCommand {
    /// Returns the program that runs now with the argument `watchdog`.
    ///
    /// # Errors
    /// The path of the program cannot be found out.
    pub fn this_program() -> std::io::Result<Self> {
        Ok(Self { program: std::env::current_exe()?, arguments: vec!["watchdog".into()] })
    }
}

/// The watchdog of a run, seen from the run. Dropped without [`Watchdog::dismiss`] it undoes all that is open.
#[derive(Debug)]
pub struct Watchdog {
    child: Child,
    line: UnixStream,
}

impl Watchdog {
    /// Starts the watchdog of the run that writes `log` and returns when it watches.
    ///
    /// # Errors
    /// It does not watch within ten seconds; then nothing may be injected.
    pub fn start(log: &UndoLog, command: &WatchdogCommand) -> Result<Self, Error> {
        let failed = |problem: String| Error::Watchdog { problem };
        let (ours, theirs) = UnixStream::pair().map_err(|error| failed(error.to_string()))?;
        let output_path = log.path().with_file_name("run.watchdog");
        let output = OpenOptions::new().create(true).append(true).open(&output_path);
        let output = output.map_err(Error::file("opening", &output_path))?;
        let mut builder = Command::new(&command.program);
        builder.args(&command.arguments).arg(log.registration());
        builder.stdin(OwnedFd::from(theirs)).stdout(Stdio::null()).stderr(output);
        leave_session(&mut builder);
        let spawned = builder.spawn();
        let child = spawned.map_err(|error| failed(format!("{}: {error}", command.program.display())))?;
        // The builder still holds the watchdog's end; with it open, its death would not be seen.
        drop(builder);
        let mut this = Self { child, line: ours };
        this.await_ready().map_err(|error| {
            let _ = this.child.kill();
            let _ = this.child.wait();
            failed(format!("{error}; see {}", output_path.display()))
        })?;
        Ok(this)
    }

    /// Tells whether the watchdog still watches.
    pub fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Sends the watchdog home and waits for its end for at most five seconds. To be called when
    /// [`UndoLog::end`] has left nothing open; else drop it, and it tries again what the run could not undo.
    pub fn dismiss(mut self) {
        let _ = self.line.write_all(DONE);
        let deadline = Instant::now() + END_WITHIN;
        while self.is_alive() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(2));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    fn await_ready(&mut self) -> std::io::Result<()> {
        self.line.set_read_timeout(Some(START_WITHIN))?;
        let mut word = [0; READY.len()];
        self.line.read_exact(&mut word)?;
        if word == READY { Ok(()) } else { Err(std::io::Error::other("it answers in another language")) }
    }
}

/// What the hidden subcommand `watchdog` of the program does; `arguments` are those after its name.
///
/// It returns when `steadfast` has said that all is undone, or when it is dead and all it left is undone. Then the
/// code is 0; it is 6 if something could not be undone, and 2 if the arguments are wrong.
pub fn watchdog_main(arguments: &[OsString]) -> ExitCode {
    let [registration] = arguments else {
        say("usage: watchdog REGISTRATION; it is started by a run");
        return ExitCode::from(2);
    };
    let registration = Path::new(registration);
    let Some(begun) = read_registration(registration) else {
        say(&format!("{} is not the registration of a run", registration.display()));
        return ExitCode::from(2);
    };
    let word = listen();
    if word == DONE {
        return ExitCode::SUCCESS;
    }
    say(&format!("steadfast ({}) is dead, undoing what run {} left", begun.owner, begun.run));
    match settle(&begun, registration, "watchdog") {
        Ok(settled) => {
            for one in &settled {
                match &one.result {
                    Ok(how) => say(&format!("undone: {} ({how})", one.what)),
                    Err(problem) => say(&format!("NOT undone: {}: {problem}", one.what)),
                }
            }
            let clean = settled.iter().all(|one| one.result.is_ok());
            if clean { ExitCode::SUCCESS } else { ExitCode::from(6) }
        }
        Err(error) => {
            say(&format!("NOT undone: {error}"));
            ExitCode::from(6)
        }
    }
}

/// Says that it watches, then reads until the other end says the word or is closed.
fn listen() -> Vec<u8> {
    let mut heard = Vec::new();
    let Ok(line) = std::io::stdin().as_fd().try_clone_to_owned() else { return heard };
    let mut line = UnixStream::from(line);
    let _ = line.write_all(READY);
    let mut buffer = [0; 64];
    while heard != DONE {
        match line.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => heard.extend_from_slice(&buffer[..count]),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(_) => break,
        }
    }
    heard
}

fn say(text: &str) {
    // The run's folder may be gone; the undoing matters more than the words.
    let _ = writeln!(std::io::stderr(), "{text}");
}

#[allow(unsafe_code, reason = "a session of its own can only be made between fork and exec")]
fn leave_session(command: &mut Command) {
    // SAFETY: setsid is async-signal-safe, and the closure neither allocates nor locks.
    unsafe {
        command.pre_exec(|| rustix::process::setsid().map(drop).map_err(std::io::Error::from));
    }
}
