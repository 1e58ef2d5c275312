//! Processes are started, watched, stopped and never left behind. Every process here is a real one.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use steadfast_lab::system::{
    Address, Death, End, Error, Identity, ProcessConfig, Readiness, Scope, Signal, System, SystemConfig,
};
use steadfast_lab::undo::{StateDir, UndoLog};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc::UnboundedReceiver;

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

    /// The next death that is told.
    async fn death(&mut self) -> Death {
        let death = tokio::time::timeout(Duration::from_secs(10), self.deaths.recv()).await;
        death.expect("it is told").expect("the system is there")
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }
}

fn shell(name: &str, script: &str) -> ProcessConfig {
    ProcessConfig::new(name, ["sh", "-c", script])
}

async fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let wait = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), wait).await.unwrap_or_else(|_| panic!("never: {what}"));
}

/// The pid that a script wrote into a file, once it is there, as the process that has it.
async fn process_in(file: &Path) -> Identity {
    let mut found = None;
    eventually("a pid is written", || {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        found = text.strip_suffix('\n').and_then(|pid| pid.parse().ok()).and_then(Identity::of);
        found.is_some()
    })
    .await;
    found.expect("just found")
}

/// Answers each connection with the next status, the last one for ever.
async fn http_server(statuses: &'static [u16]) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(async move {
        for n in 0.. {
            let Ok((mut connection, _)) = listener.accept().await else { return };
            let status = statuses[n.min(statuses.len() - 1)];
            let mut request = [0; 4096];
            let _ = connection.read(&mut request).await;
            let answer = format!("HTTP/1.1 {status} X\r\ncontent-length: 2\r\nconnection: close\r\n\r\nno");
            let _ = connection.write_all(answer.as_bytes()).await;
        }
    });
    address
}

#[tokio::test]
async fn http_readiness_is_awaited_through_the_address_file() {
    let bench = Bench::new();
    let address = http_server(&[503, 503, 200]).await;
    let file = bench.path().join("a.addr");
    std::fs::write(&file, "127.0.0.1:1").expect("an address of an earlier start");
    let config = ProcessConfig {
        address: Address::File(file),
        ready: Readiness::Http { path: "/ready".into() },
        ..shell("a", &format!("echo {address} > new; mv new a.addr; exec sleep 1000"))
    };
    let process = bench.system.start(config).await.expect("it gets ready");
    assert_eq!(process.url(), Some(format!("http://{address}")));
    assert_eq!(process.end(), End::Running);
    let before = process.identity().expect("it runs");
    process.restart().await.expect("it gets ready again");
    assert_ne!(process.identity(), Some(before));
    assert!(!before.is_alive());
    assert_eq!(process.starts(), 2);
    bench.system.stop().await.expect("it stops");
    assert_eq!(process.end(), End::Stopped);
    assert!(bench.undo.end().expect("written").is_empty());
}

#[tokio::test]
async fn grpc_health_is_awaited() {
    let bench = Bench::new();
    let (reporter, service) = tonic_health::server::health_reporter();
    reporter.set_service_status("", tonic_health::ServingStatus::NotServing).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    drop(listener);
    tokio::spawn(tonic::transport::Server::builder().add_service(service).serve(address));
    let config = ProcessConfig {
        address: Address::File(bench.path().join("g.addr")),
        ready: Readiness::GrpcHealth { service: String::new() },
        ready_within: Duration::from_millis(700),
        ..shell("g", &format!("echo {address} > new; mv new g.addr; exec sleep 1000"))
    };
    let error = bench.system.start(config).await.expect_err("it does not serve yet");
    assert!(matches!(&error, Error::NotReady { problem, .. } if problem.contains("NOT_SERVING")), "{error}");
    reporter.set_service_status("", tonic_health::ServingStatus::Serving).await;
    let process = bench.system.process("g").expect("it was started");
    process.await_ready().await.expect("it serves");
}

#[tokio::test]
async fn one_that_ends_before_it_is_ready_says_its_last_words() {
    let bench = Bench::new();
    let config = ProcessConfig {
        address: Address::File(bench.path().join("a.addr")),
        ..shell("a", "echo address in use >&2; exit 7")
    };
    let error = bench.system.start(config).await.expect_err("it ended");
    let Error::Exited { status, output, .. } = &error else { panic!("{error}") };
    assert_eq!(
        (status.as_str(), output.as_slice()),
        ("exited with 7", ["address in use".to_owned()].as_slice())
    );
}

#[tokio::test]
async fn one_that_is_never_ready_is_given_up_in_time_and_killed_with_the_system() {
    let bench = Bench::new();
    let config = ProcessConfig {
        address: Address::File(bench.path().join("a.addr")),
        ready_within: Duration::from_millis(200),
        ..shell("a", "echo waiting for a database; exec sleep 1000")
    };
    let error = bench.system.start(config).await.expect_err("it has no address");
    assert!(error.to_string().contains("waiting for a database"), "{error}");
    let identity = bench.system.process("a").and_then(|process| process.identity()).expect("it runs");
    drop(bench);
    assert!(!identity.is_alive());
}

#[tokio::test]
async fn a_server_that_is_there_already_is_not_taken_for_the_process() {
    let bench = Bench::new();
    let url = format!("http://{}/", http_server(&[200]).await);
    let config = ProcessConfig {
        address: Address::Url(url),
        ready: Readiness::Http { path: "/".into() },
        ..shell("a", "exec sleep 1000")
    };
    assert!(matches!(bench.system.start(config).await, Err(Error::AddressInUse { .. })));
}

#[tokio::test]
async fn a_missing_program_is_named_with_where_it_was_looked_for() {
    let bench = Bench::new();
    let error =
        bench.system.start(ProcessConfig::new("a", ["no-such-program"])).await.expect_err("there is none");
    assert!(error.to_string().contains("no-such-program") && error.to_string().contains("/bin"), "{error}");
}

#[tokio::test]
async fn only_deaths_that_nobody_here_caused_are_reported() {
    let mut bench = Bench::new();
    let stopped = bench.system.start(shell("stopped", "exec sleep 1000")).await.expect("it runs");
    let killed = bench.system.start(shell("killed", "exec sleep 1000")).await.expect("it runs");
    let died = bench.system.start(shell("died", "while [ ! -e go ]; do sleep 0.01; done; echo oh; exit 3"));
    let died = died.await.expect("it runs");
    stopped.stop().await.expect("it stops");
    killed.kill(Signal::Kill, Scope::Main).await.expect("it is killed");
    std::fs::write(bench.path().join("go"), "").expect("written");
    let death = bench.death().await;
    assert_eq!((death.process.as_str(), death.status.as_str()), ("died", "exited with 3"));
    assert!(death.was_ready);
    assert_eq!(death.output, ["oh"]);
    assert_eq!((stopped.end(), killed.end()), (End::Stopped, End::Killed));
    assert_eq!(died.end(), End::Died("exited with 3".into()));
    assert!(bench.deaths.try_recv().is_err());
    assert!(matches!(killed.kill(Signal::Kill, Scope::Main).await, Err(Error::NotRunning { .. })));
}

#[tokio::test]
async fn a_stopped_process_is_asked_before_it_is_killed() {
    let bench = Bench::new();
    let script = "trap 'echo bye; exit 0' TERM; touch ready; while :; do sleep 0.01; done";
    let process = bench.system.start(shell("a", script)).await.expect("it runs");
    eventually("the trap is set", || bench.path().join("ready").exists()).await;
    let identity = process.identity().expect("it runs");
    Signal::Stop.send(identity).expect("it is ours");
    eventually("it is stopped", || identity.is_stopped()).await;
    process.stop().await.expect("it stops");
    assert_eq!(process.last_lines(), ["bye"]);
}

#[tokio::test]
async fn one_that_will_not_stop_is_killed() {
    let bench = Bench::new();
    let mut config = shell("a", "trap '' TERM; touch ready; while :; do sleep 0.01; done");
    config.stop.within = Duration::from_millis(100);
    let process = bench.system.start(config).await.expect("it runs");
    eventually("the trap is set", || bench.path().join("ready").exists()).await;
    process.stop().await.expect("it is killed");
    assert_eq!(process.end(), End::Stopped);
    assert_eq!(process.identity(), None);
}

#[tokio::test]
async fn descendants_go_with_the_process_also_those_that_left_its_session() {
    let bench = Bench::new();
    let script =
        "sleep 1000 & echo $! > near; setsid sh -c 'echo $$ > far; exec sleep 1000' & exec sleep 1000";
    let process = bench.system.start(shell("a", script)).await.expect("it runs");
    let near = process_in(&bench.path().join("near")).await;
    let far = process_in(&bench.path().join("far")).await;
    assert!(process.members(Scope::Worker).is_ok());
    assert!(process.members(Scope::Group).expect("it runs").contains(&near));
    process.kill(Signal::Kill, Scope::Group).await.expect("it is killed");
    assert!(!near.is_alive());
    assert!(far.is_alive(), "it left the session; the sweep at the end finds it");
    bench.system.stop().await.expect("none is left");
    assert!(!far.is_alive());
}

#[tokio::test]
async fn descendants_of_one_that_died_by_itself_are_stopped_too() {
    let mut bench = Bench::new();
    let script = "sleep 1000 & echo $! > near; while [ ! -e go ]; do sleep 0.01; done";
    let process = bench.system.start(shell("a", script)).await.expect("it runs");
    let near = process_in(&bench.path().join("near")).await;
    std::fs::write(bench.path().join("go"), "").expect("written");
    bench.death().await;
    assert!(near.is_alive());
    process.stop().await.expect("none is left");
    assert!(!near.is_alive());
}

#[tokio::test]
async fn nothing_is_started_once_the_system_is_stopped() {
    let bench = Bench::new();
    let process = bench.system.start(shell("a", "exec sleep 1000")).await.expect("it runs");
    bench.system.stop().await.expect("it stops");
    assert!(matches!(process.start().await, Err(Error::Closed { .. })));
}
