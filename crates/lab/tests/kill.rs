//! `steadfast` killed with SIGKILL at any moment leaves no process and no active fault.
//!
//! The test starts its own program as a small run (a system with descendants, under a fault), kills it at random
//! moments, and looks for what is left. The same program is the watchdog.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use steadfast_base::Seed;
use steadfast_fault::control::Client;
use steadfast_fault::{Fault, Injector, LeaseState};
use steadfast_lab::inject::{Active, Kill, KillConfig, LeasedFault, Pause};
use steadfast_lab::system::{
    Address, Identity, ProcessConfig, Readiness, Scope, Signal, System, SystemConfig,
};
use steadfast_lab::undo::{RunLock, StateDir, UndoLog, Watchdog, WatchdogCommand, recover, watchdog_main};

/// Within which time all must be gone.
const GONE_WITHIN: Duration = Duration::from_secs(5);
const HOUR: Duration = Duration::from_secs(3600);

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    match arguments.first().and_then(|word| word.to_str()) {
        Some("as-watchdog") => watchdog_main(&arguments[1..]),
        Some("as-target") => target(),
        Some("as-run") => run(Path::new(&arguments[1]), arguments[2].to_str().expect("a word")),
        // As of the usual test program: a filter, or the wish to see a list.
        Some(word) if word == "--list" || !(word.starts_with('-') || "kill".contains(word)) => {
            ExitCode::SUCCESS
        }
        _ => {
            let full = std::env::var_os("STEADFAST_FULL").is_some();
            let seed = std::env::var("STEADFAST_SEED").ok().and_then(|seed| seed.parse().ok());
            test_all(if full { 20 } else { 5 }, seed.map_or_else(Seed::random, Seed::new));
            ExitCode::SUCCESS
        }
    }
}

/// This program as the watchdog.
fn watchdog_command() -> WatchdogCommand {
    let program = std::env::current_exe().expect("it runs");
    WatchdogCommand { program, arguments: vec!["as-watchdog".into()] }
}

fn test_all(rounds: u32, seed: Seed) {
    eprintln!("{rounds} rounds, STEADFAST_SEED={}", seed.value());
    let mut rng = seed.rng();
    for round in 0..rounds {
        let after = Duration::from_millis(rng.below(900));
        killed_run_leaves_nothing(&format!("round {round}, killed after {after:?}"), |_| {
            std::thread::sleep(after);
        });
    }
    killed_run_leaves_nothing("killed once all is in force", await_in_force);
    killed_with_its_watchdog_it_is_recovered();
    a_lease_does_not_outlive_its_run();
    a_watchdog_that_does_not_watch_is_an_error();
    if rounds > 5 {
        a_stopped_target_gets_its_fault_again_when_it_goes_on();
    }
    eprintln!("ok");
}

fn killed_run_leaves_nothing(what: &str, wait: impl FnOnce(&Run)) {
    let mut run = Run::start();
    wait(&run);
    run.kill();
    run.await_nothing_left(what);
    let state = StateDir::at(&run.state()).expect("it is ours");
    let left = || recover::list(&state).expect("it can be read");
    // A run that died before it had a watchdog had done nothing yet; the next run forgets it.
    let settled = || left().iter().all(|one| !one.live && one.open.is_empty());
    eventually(&format!("{what}: the run is settled, but {:?}", left()), settled);
    assert!(
        recover::undo_all(&state).expect("it can be read").iter().all(recover::Recovered::is_clean),
        "{what}"
    );
    assert!(left().is_empty(), "{what}: {:?}", left());
    RunLock::acquire(&state, "host", "next").expect("the lock went with its holder");
    eprintln!("{what}: nothing is left");
}

fn killed_with_its_watchdog_it_is_recovered() {
    let mut run = Run::start();
    await_in_force(&run);
    let state = StateDir::at(&run.state()).expect("it is ours");
    let live = recover::list(&state).expect("it can be read");
    assert!(live[0].live && live[0].open.len() >= 3, "{live:?}");
    assert!(recover::undo_all(&state).expect("it can be read").is_empty(), "a live run is left alone");

    let watchdogs = run.processes(|command| command.contains("\0as-watchdog\0"));
    assert_eq!(watchdogs.len(), 1, "one watchdog");
    kill(watchdogs[0]);
    eventually("the watchdog is dead", || {
        run.processes(|command| command.contains("\0as-watchdog\0")).is_empty()
    });
    let direct = run.children();
    assert!(direct.len() >= 2, "the processes of the system: {direct:?}");
    run.kill();
    // The kernel kills what was started directly; the descendants wait for the next run.
    eventually("what it started is dead", || direct.iter().all(|process| !process.is_alive()));
    assert!(
        !run.left().is_empty(),
        "descendants outlive a run that has no watchdog: that is what is recovered"
    );
    let recovered = recover::undo_all(&state).expect("it can be read");
    assert!(recovered.len() == 1 && recovered[0].is_clean(), "{recovered:?}");
    run.await_nothing_left("recovered");
    assert!(recover::list(&state).expect("it can be read").is_empty());
    eprintln!("killed with its watchdog: recovered");
}

/// The target here is not of the system (as one that is attached to): it lives on, the fault in it does not.
fn a_lease_does_not_outlive_its_run() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let mut run = Run::start();
    await_in_force(&run);
    let socket = run.folder.path().join("linked.sock");
    let _runtime = runtime.enter();
    let target = Injector::listen(&socket).expect("it listens");
    let client = Client::new(&socket);
    let active = || {
        let leases = client.list().expect("it answers");
        leases.iter().filter(|lease| lease.state == LeaseState::Active).count()
    };
    std::fs::write(run.folder.path().join("linked"), "").expect("written");
    eventually("the fault is in the target", || active() == 1);
    run.kill();
    eventually("the fault is out of the target", || active() == 0);
    let leases = client.list().expect("it answers");
    assert!(
        leases.iter().all(|lease| lease.state == LeaseState::Revoked),
        "by the watchdog, not by expiry: {leases:?}"
    );
    run.await_nothing_left("after its lease was revoked");
    drop(target);
    eprintln!("killed with a lease: revoked");
}

fn a_watchdog_that_does_not_watch_is_an_error() {
    let folder = tempfile::tempdir().expect("a folder");
    let state = StateDir::at(&folder.path().join("state")).expect("it is ours");
    let undo = UndoLog::create(&state, folder.path(), "run").expect("it can be written");
    for program in ["/bin/false", "/no/such/program"] {
        let command = WatchdogCommand { program: program.into(), arguments: Vec::new() };
        let error = Watchdog::start(&undo, &command).expect_err("it does not watch");
        assert!(error.to_string().contains("the watchdog did not start"), "{error}");
    }
    let mut watchdog = Watchdog::start(&undo, &watchdog_command()).expect("it watches");
    assert!(watchdog.is_alive());
    assert!(undo.end().expect("it can be written").is_empty());
    watchdog.dismiss();
    assert!(recover::list(&state).expect("it can be read").is_empty());
}

/// A linked target is stopped for longer than its lease lasts, ended by its own clock, and injected anew.
fn a_stopped_target_gets_its_fault_again_when_it_goes_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let state = StateDir::at(&folder.path().join("state")).expect("it is ours");
    let undo = UndoLog::create(&state, folder.path(), "run").expect("it can be written");
    let config = SystemConfig { folder: folder.path().to_owned(), bin_dirs: Vec::new() };
    let (system, _deaths) = System::new(config, undo.clone()).expect("a thread");
    let begin = |name: &str, injector, lasts| {
        Active::begin(name, injector, lasts, HOUR, undo.clone()).expect("a thread")
    };
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let outcome = runtime.block_on(async {
        let program = std::env::current_exe().expect("it runs").to_str().expect("a plain name").to_owned();
        let mut config = ProcessConfig::new("linked", [program.as_str(), "as-target"]);
        config.control_socket = Some(state.socket("run", "linked"));
        let linked = system.start(config).await.expect("it runs");
        let fault: Fault = serde_json::from_str(r#"{"http": {"status": 503}}"#).expect("a fault");
        let lease = LeasedFault::new(&linked, "refuse", undo.marker(), fault, None).expect("it is linked");
        let refuse = begin("refuse", Box::new(lease), HOUR);
        refuse.injected().await.expect("it answers");
        let freeze = begin("freeze", Box::new(Pause::new(linked, Scope::Main)), Duration::from_secs(4));
        assert_eq!(freeze.undone().await.undone.as_deref(), Ok("/proc shows none of them stopped"));
        let again = async {
            while refuse.observation().spans.len() < 2 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), again).await.expect("it is injected anew");
        refuse.end();
        let outcome = refuse.undone().await;
        system.stop().await.expect("it stops");
        outcome
    });
    assert!(outcome.undone.is_ok() && outcome.problems[0].contains("no answer in time"), "{outcome:?}");
    eprintln!("a target stopped for longer than its lease: injected anew");
}

/// A linked process that only serves its control endpoint.
fn target() -> ExitCode {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let _entered = runtime.enter();
    let _injector = Injector::from_env().expect("it listens");
    std::thread::sleep(HOUR);
    ExitCode::SUCCESS
}

/// A run under test, and all that can be found of it.
struct Run {
    folder: tempfile::TempDir,
    child: Child,
    /// In the arguments of every process of its system, and nowhere else.
    token: String,
}

impl Run {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let nanos = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .expect("after 1970")
            .as_nanos();
        let token = format!("1000.{nanos}");
        let program = std::env::current_exe().expect("it runs");
        let mut command = Command::new(program);
        command.arg("as-run").arg(folder.path()).arg(&token).stdout(Stdio::null());
        let child = command.spawn().expect("it can be started");
        Self { folder, child, token }
    }

    fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    fn kill(&mut self) {
        self.child.kill().expect("it is ours");
        self.child.wait().expect("it is ours");
    }

    /// The processes that name the run's folder or its token in their arguments, or its token in their environment.
    fn left(&self) -> Vec<i32> {
        let own = i32::try_from(std::process::id()).expect("pids are positive i32");
        let folder = self.folder.path().to_str().expect("a plain name").to_owned();
        let mut left = self.processes(|command| command.contains(&folder) || command.contains(&self.token));
        left.retain(|pid| *pid != own);
        left
    }

    /// What the run itself has started.
    fn children(&self) -> Vec<Identity> {
        let started_by_run = |pid: &i32| {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            let parent = stat.rsplit_once(") ").and_then(|(_, rest)| rest.split(' ').nth(1)?.parse().ok());
            parent == Some(self.child.id())
        };
        let pids = self.left().into_iter().filter(started_by_run);
        pids.filter_map(Identity::of).filter(|process| process.is_alive()).collect()
    }

    fn processes(&self, wanted: impl Fn(&str) -> bool) -> Vec<i32> {
        let folder = self.folder.path().to_str().expect("a plain name");
        let belongs = |pid: &i32| {
            let read = |file: &str| std::fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
            let (command, environment) = (read("cmdline"), read("environ"));
            let command = format!("\0{}", String::from_utf8_lossy(&command));
            let environment = String::from_utf8_lossy(&environment).into_owned();
            let all = format!("{command}\0{environment}");
            (all.contains(folder) || all.contains(&self.token)) && wanted(&all)
        };
        let entries = std::fs::read_dir("/proc").expect("proc is mounted").flatten();
        let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
        // A process that has ended and was not waited for has no command line any more.
        pids.filter(belongs).collect()
    }

    fn await_nothing_left(&self, what: &str) {
        eventually(&format!("{what}: nothing is left, but {:?}", self.left()), || self.left().is_empty());
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.left().into_iter().for_each(kill);
    }
}

fn await_in_force(run: &Run) {
    eventually("all is in force", || run.folder.path().join("in-force").exists());
}

fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + GONE_WITHIN;
    while !condition() {
        assert!(Instant::now() < deadline, "not within {GONE_WITHIN:?}: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn kill(pid: i32) {
    if let Some(process) = Identity::of(pid) {
        Signal::Kill.send(process).expect("it is ours");
    }
}

/// The run that is killed: three processes with descendants, one of them paused, one killed again and again, and,
/// when the file `linked` appears, a lease in a target that is not of the system.
fn run(folder: &Path, token: &str) -> ExitCode {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let state = StateDir::at(&folder.join("state")).expect("it is ours");
        let _lock = RunLock::acquire(&state, "host", "run").expect("it is free");
        let undo = UndoLog::create(&state, folder, "run").expect("it can be written");
        let _watchdog = Watchdog::start(&undo, &watchdog_command()).expect("it starts");
        let config = SystemConfig { folder: folder.to_owned(), bin_dirs: Vec::new() };
        let (system, _deaths) = System::new(config, undo.clone()).expect("a thread");
        let plain = format!("sleep {token} & sleep {token}");
        let escaping = format!("setsid sleep {token} & sleep {token} & sleep {token}");
        let begin =
            |name: &str, injector| Active::begin(name, injector, HOUR, HOUR, undo.clone()).expect("a thread");

        let paused = system.start(ProcessConfig::new("paused", ["sh", "-c", &plain])).await.expect("it runs");
        let freeze = begin("freeze", Box::new(Pause::new(paused, Scope::Group)));
        let killed =
            system.start(ProcessConfig::new("killed", ["sh", "-c", &escaping])).await.expect("it runs");
        let quickly = Duration::from_millis(40);
        let config =
            KillConfig { restart_after: Some(quickly), every: Some(2 * quickly), ..KillConfig::default() };
        let crash = begin("crash", Box::new(Kill::new(killed, config)));
        let linked = ProcessConfig {
            address: Address::Url("http://127.0.0.1:1".to_owned()),
            ready: Readiness::Running,
            control_socket: Some(folder.join("linked.sock")),
            ..ProcessConfig::new("linked", ["sleep", token])
        };
        let linked = system.start(linked).await.expect("it runs");
        freeze.injected().await.expect("it is paused");
        crash.injected().await.expect("it is killed");
        std::fs::write(folder.join("in-force"), "").expect("written");
        while !folder.join("linked").exists() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let fault: Fault = serde_json::from_str(r#"{"http": {"status": 503}}"#).expect("a fault");
        let lease = LeasedFault::new(&linked, "refuse", undo.marker(), fault, None).expect("it is linked");
        let refuse = begin("refuse", Box::new(lease));
        refuse.injected().await.expect("it answers");
        std::future::pending::<ExitCode>().await
    })
}
