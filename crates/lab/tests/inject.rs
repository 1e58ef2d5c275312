//! Faults are injected, observed, undone and seen to be undone.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use steadfast_fault::control::Client;
use steadfast_fault::{Fault, Injector as Target, LeaseState};
use steadfast_lab::inject::{Active, Dose, Injector, Kill, KillConfig, LeasedFault, Pause};
use steadfast_lab::system::{Death, End, Process, ProcessConfig, Scope, System, SystemConfig};
use steadfast_lab::undo::{StateDir, UndoLog};
use tokio::sync::mpsc::UnboundedReceiver;
use tower::{Layer as _, Service as _};

const HOUR: Duration = Duration::from_secs(3600);
const UNDO_WITHIN: Duration = Duration::from_millis(700);

struct Bench {
    folder: tempfile::TempDir,
    undo: Arc<UndoLog>,
    system: System,
    deaths: UnboundedReceiver<Death>,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let state = StateDir::at(&folder.path().join("state")).expect("it is ours");
        let undo = UndoLog::create(&state, folder.path(), "test").expect("it can be written");
        let config = SystemConfig { folder: folder.path().to_owned(), bin_dirs: Vec::new() };
        let (system, deaths) = System::new(config, Arc::clone(&undo)).expect("a thread");
        Self { folder, undo, system, deaths }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    async fn shell(&self, script: &str) -> Process {
        self.system.start(ProcessConfig::new("target", ["sh", "-c", script])).await.expect("it runs")
    }

    /// A process beside which the test itself serves the control socket.
    async fn linked(&self) -> Process {
        let socket = Some(self.path().join("control"));
        let config =
            ProcessConfig { control_socket: socket, ..ProcessConfig::new("target", ["sleep", "1000"]) };
        self.system.start(config).await.expect("it runs")
    }

    fn begin(&self, injector: impl Injector + 'static, lasts: Duration) -> Active {
        Active::begin("fault", Box::new(injector), lasts, UNDO_WITHIN, Arc::clone(&self.undo))
            .expect("a thread")
    }

    fn refuse(&self, process: &Process) -> LeasedFault {
        let fault: Fault = serde_json::from_str(r#"{"http": {"status": 503}}"#).expect("a fault");
        LeasedFault::new(process, "refuse", self.undo.marker(), fault, None).expect("it is linked")
    }

    fn client(&self) -> Client {
        Client::new(self.path().join("control"))
    }

    fn undo_log(&self) -> String {
        std::fs::read_to_string(self.path().join("run.undo")).expect("it is there")
    }
}

async fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let wait = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), wait).await.unwrap_or_else(|_| panic!("never: {what}"));
}

fn calls(dose: &Dose) -> &steadfast_fault::Dose {
    let Dose::Calls(dose) = dose else { panic!("{dose:?}") };
    dose
}

/// Makes `count` calls through the layer of `target`.
async fn call(target: &Target, count: usize) {
    let answer = |_: http::Request<()>| async {
        Ok::<_, std::convert::Infallible>(http::Response::new(String::new()))
    };
    let mut service = target.layer().layer(tower::service_fn(answer));
    for _ in 0..count {
        let _ = service.call(http::Request::new(())).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_is_renewed_counted_and_revoked() {
    let bench = Bench::new();
    let process = bench.linked().await;
    let target = Target::listen(&bench.path().join("control")).expect("it listens");
    let active = bench.begin(bench.refuse(&process), HOUR);
    active.injected().await.expect("it answers");
    assert!(bench.undo_log().contains("revoke"), "the undo is on disk while the fault is in force");
    call(&target, 10).await;
    eventually("the dose is seen", || calls(&active.observation().dose).affected == 10).await;
    let held_ms = || target.leases().iter().map(|lease| lease.held_ms).sum::<u64>();
    eventually("it is held for longer than a lease lasts that nobody renews", || held_ms() > 3200).await;
    call(&target, 5).await;
    active.end();
    let outcome = active.undone().await;
    assert_eq!(
        calls(&outcome.observation.dose).affected,
        15,
        "also after the first lease would have expired"
    );
    assert_eq!(outcome.undone.as_deref(), Ok("the target lists no active lease of it"));
    assert_eq!((outcome.problems, outcome.observation.spans.len()), (vec![], 1));
    let leases = bench.client().list().expect("it answers");
    assert!(leases.len() == 1 && leases[0].state == LeaseState::Revoked, "{leases:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_was_started_again_gets_its_fault_again() {
    let bench = Bench::new();
    let process = bench.linked().await;
    let target = Target::listen(&bench.path().join("control")).expect("it listens");
    let active = bench.begin(bench.refuse(&process), HOUR);
    active.injected().await.expect("it answers");
    call(&target, 3).await;
    eventually("the dose is seen", || calls(&active.observation().dose).affected == 3).await;
    drop(target);
    let target = Target::listen(&bench.path().join("control")).expect("it listens");
    eventually("it is injected again", || target.leases().len() == 1).await;
    call(&target, 4).await;
    active.end();
    let outcome = active.undone().await;
    assert_eq!(calls(&outcome.observation.dose).affected, 7);
    assert_eq!(outcome.observation.spans.len(), 2);
    assert!(outcome.undone.is_ok(), "{outcome:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_is_gone_holds_no_fault() {
    let bench = Bench::new();
    let process = bench.linked().await;
    let target = Target::listen(&bench.path().join("control")).expect("it listens");
    let active = bench.begin(bench.refuse(&process), HOUR);
    active.injected().await.expect("it answers");
    drop(target);
    active.end();
    assert_eq!(active.undone().await.undone.as_deref(), Ok("the target does not run any more"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_never_answers_is_neither_injected_nor_restored() {
    let bench = Bench::new();
    let process = bench.linked().await;
    let _deaf = std::os::unix::net::UnixListener::bind(bench.path().join("control")).expect("a socket");
    let active = bench.begin(bench.refuse(&process), HOUR);
    let why = active.injected().await.expect_err("nobody answers");
    assert!(why.contains("no answer in time"), "{why}");
    // Whether the target took the fault cannot be known, so it counts as there.
    assert!(active.undone().await.undone.is_err());
    assert_eq!(bench.undo.still_open().len(), 2, "the process and the lease");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_process_is_started_again_each_time() {
    let mut bench = Bench::new();
    let process = bench.shell("sleep 1000 & sleep 1000").await;
    let (first, short) = (process.identity(), Duration::from_millis(100));
    let config = KillConfig { restart_after: Some(short), every: Some(3 * short), ..KillConfig::default() };
    let active = bench.begin(Kill::new(process.clone(), config), HOUR);
    let kills = |dose: &Dose| match dose {
        Dose::Kills { kills, .. } => *kills,
        _ => 0,
    };
    eventually("three kills", || kills(&active.observation().dose) >= 3).await;
    active.end();
    let outcome = active.undone().await;
    assert!(outcome.undone.as_ref().is_ok_and(|how| how.contains("is ready")), "{outcome:?}");
    let kills = kills(&outcome.observation.dose);
    assert_eq!(process.starts(), kills + 1);
    assert_eq!(outcome.observation.spans.len(), kills as usize);
    assert!(outcome.observation.spans[0].duration() >= short);
    assert!(process.identity().is_some() && process.identity() != first);
    assert!(bench.deaths.try_recv().is_err(), "none of it is a finding");
    bench.system.stop().await.expect("it stops");
    assert!(bench.undo.end().expect("it can be written").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_that_falls_due_at_the_end_is_left_out() {
    let bench = Bench::new();
    let process = bench.shell("sleep 1000").await;
    let every = Duration::from_millis(500);
    let config =
        KillConfig { restart_after: Some(Duration::ZERO), every: Some(every), ..KillConfig::default() };
    let outcome = bench.begin(Kill::new(process.clone(), config), every).undone().await;
    assert!(matches!(outcome.observation.dose, Dose::Kills { kills: 1, .. }), "{outcome:?}");
    bench.system.stop().await.expect("it stops");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_does_not_come_back_is_not_restored() {
    let mut bench = Bench::new();
    let script = "if [ -e once ]; then echo no; exit 1; fi; touch once; exec sleep 1000";
    let mut config = ProcessConfig::new("target", ["sh", "-c", script]);
    config.address = steadfast_lab::system::Address::File(bench.path().join("addr"));
    config.env.push(("PATH".to_owned(), std::env::var("PATH").expect("it is set")));
    std::fs::create_dir(bench.path().join("bin")).expect("a folder");
    let started = bench.system.start(ProcessConfig { ready_within: Duration::from_millis(300), ..config });
    assert!(started.await.is_err(), "it never has an address");
    let process = bench.system.process("target").expect("it was started");
    let active = bench.begin(Kill::new(process.clone(), KillConfig::default()), Duration::ZERO);
    let outcome = active.undone().await;
    assert!(outcome.undone.as_ref().is_err_and(|why| why.contains("no")), "{outcome:?}");
    assert!(matches!(process.end(), End::Died(_)));
    let death = tokio::time::timeout(Duration::from_secs(10), bench.deaths.recv()).await.expect("it is told");
    assert_eq!(death.expect("its starts failed").status, "exited with 1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_worker_is_left_to_its_process() {
    let bench = Bench::new();
    let process = bench.shell("while :; do sleep 1000; done").await;
    let main = process.identity();
    let worker = || process.members(Scope::Worker).ok().map(|workers| workers[0]);
    eventually("it has a worker", || worker().is_some()).await;
    let first = worker().expect("it has one");
    let config = KillConfig { scope: Scope::Worker, ..KillConfig::default() };
    let active = bench.begin(Kill::new(process.clone(), config), Duration::ZERO);
    let outcome = active.undone().await;
    assert!(outcome.undone.is_ok(), "{outcome:?}");
    eventually("another worker", || worker().is_some_and(|worker| worker != first)).await;
    assert_eq!((process.starts(), process.identity()), (1, main));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_is_stopped_and_goes_on() {
    let bench = Bench::new();
    let process = bench.shell("sleep 1000 & sleep 1000").await;
    eventually("it has a child", || process.members(Scope::Worker).is_ok()).await;
    let worker = process.members(Scope::Worker).expect("it has a child")[0];
    let active = bench.begin(Pause::new(process.clone(), Scope::Worker), Duration::from_millis(300));
    active.injected().await.expect("it is stopped");
    assert!(worker.is_stopped());
    assert!(!process.identity().expect("it runs").is_stopped());
    assert!(bench.undo_log().contains(&format!("\"pid\":{}", worker.pid)));
    let outcome = active.undone().await;
    assert!(worker.is_alive() && !worker.is_stopped());
    let Dose::Paused { processes: 1, paused } = outcome.observation.dose else { panic!("{outcome:?}") };
    assert!(paused >= Duration::from_millis(250), "{paused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_fault_is_undone() {
    let bench = Bench::new();
    let process = bench.shell("exec sleep 1000").await;
    let identity = process.identity().expect("it runs");
    let active = bench.begin(Pause::new(process, Scope::Group), HOUR);
    active.injected().await.expect("it is stopped");
    assert!(identity.is_stopped());
    drop(active);
    assert!(identity.is_alive() && !identity.is_stopped());
}
