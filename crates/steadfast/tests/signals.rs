//! Signals end a service in order, and a second one at once, also when its runtime is stalled.
//!
//! Each test starts this program again, as the service: a signal goes to a whole process.

use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use steadfast::base::units::HumanDuration;
use steadfast::guard::{Scope, ScopePolicy};
use steadfast::runtime::{RuntimeConfig, run};
use steadfast::shutdown::{Limits, Phase, Sequence};

const SERVICE: &str = "STEADFAST_TEST_SERVICE";

/// What the service does; it says `ready` before and `draining` after the first signal.
fn serve(kind: &str) -> ExitCode {
    let config = RuntimeConfig {
        workers: std::num::NonZeroUsize::new(1),
        drain: HumanDuration(Duration::from_millis(if kind == "slow" { 100 } else { 60_000 })),
        ..RuntimeConfig::default()
    };
    let kind = kind.to_owned();
    run(&config, move |shutdown| async move {
        eprintln!("ready");
        if kind == "stalled" {
            std::thread::sleep(Duration::from_secs(60));
        }
        shutdown.cancelled().await;
        eprintln!("draining");
        match kind.as_str() {
            "orderly" => Ok::<_, Box<dyn std::error::Error + Send + Sync>>(()),
            "failing" => Err("no disk".into()),
            "sequence" => sequence(false).await,
            "stuck in sequence" => sequence(true).await,
            _ => std::future::pending().await,
        }
    })
}

/// Ends by four phases, each of which says so; `deaf`: a task that does not hear that its scope is closed.
async fn sequence(deaf: bool) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let scope = Scope::new("service", ScopePolicy::default());
    let token = scope.token();
    drop(scope.spawn_until_closed("relay", async move {
        if deaf {
            std::future::pending::<()>().await;
        }
        token.cancelled().await;
    })?);
    let mut sequence = Sequence::new(Limits::default());
    for (phase, said) in [
        (Phase::Close, "store closed"),
        (Phase::Flush, "outbox flushed"),
        (Phase::StopTaking, "listener stopped"),
    ] {
        sequence.add(phase, said, async move {
            eprintln!("{said}");
            Ok(())
        });
    }
    sequence.add(Phase::Drain, "tasks", async move {
        scope.close(Duration::from_millis(100)).await.into_result()?;
        eprintln!("tasks drained");
        Ok(())
    });
    Ok(sequence.run().await?)
}

/// Not a test of its own: the body of the process that the others start.
#[test]
fn service() {
    if let Ok(kind) = std::env::var(SERVICE) {
        // A service that misses its signal must fail the test, and not hang it.
        std::thread::spawn(|| {
            std::thread::sleep(Duration::from_secs(15));
            std::process::exit(99);
        });
        let code = serve(&kind);
        std::process::exit(if code == ExitCode::SUCCESS { 0 } else { 1 });
    }
}

struct Service {
    child: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStderr>>,
}

impl Service {
    fn start(kind: &str) -> Self {
        let program = std::env::current_exe().expect("this program");
        let mut child = Command::new(program)
            .args(["--exact", "service", "--nocapture"])
            .env(SERVICE, kind)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        let stderr = child.stderr.take().expect("it is piped");
        let mut service = Self { child, lines: BufReader::new(stderr).lines() };
        service.wait_for("ready");
        service
    }

    fn wait_for(&mut self, expected: &str) {
        let line = self.lines.by_ref().map_while(Result::ok).find(|line| line.contains(expected));
        assert!(line.is_some(), "the service ended without {expected:?}");
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, signal).expect("it is our child");
    }

    fn end(mut self) -> ExitStatus {
        let give_up = Instant::now() + Duration::from_secs(10);
        loop {
            if let Some(status) = self.child.try_wait().expect("it is our child") {
                return status;
            }
            assert!(Instant::now() < give_up, "the service does not end");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn either_signal_ends_it_in_order() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut service = Service::start("orderly");
        service.signal(signal);
        service.wait_for("draining");
        let status = service.end();
        assert_eq!((status.code(), status.signal()), (Some(0), None));
    }
}

#[test]
fn an_error_while_draining_is_told() {
    let mut service = Service::start("failing");
    service.signal(Signal::TERM);
    service.wait_for("error: no disk");
    assert_eq!(service.end().code(), Some(1));
}

#[test]
fn draining_has_a_deadline() {
    let mut service = Service::start("slow");
    service.signal(Signal::TERM);
    service.wait_for("still under way 100ms after the shutdown was asked for");
    assert_eq!(service.end().code(), Some(1));
}

#[test]
fn it_stops_taking_then_drains_then_flushes_then_closes() {
    let mut service = Service::start("sequence");
    service.signal(Signal::TERM);
    for said in ["draining", "listener stopped", "tasks drained", "outbox flushed", "store closed"] {
        service.wait_for(said);
    }
    assert_eq!(service.end().code(), Some(0));
}

#[test]
fn a_task_that_does_not_end_is_named_with_its_place_and_the_store_is_closed() {
    let mut service = Service::start("stuck in sequence");
    service.signal(Signal::TERM);
    service.wait_for("store closed");
    service.wait_for("drain tasks: 1 aborted: relay (crates/steadfast/tests/signals.rs:");
    assert_eq!(service.end().code(), Some(1));
}

#[test]
fn a_second_signal_ends_at_once() {
    for (second, code) in [(Signal::TERM, 143), (Signal::INT, 130)] {
        let mut service = Service::start("hanging");
        service.signal(Signal::TERM);
        service.wait_for("draining");
        service.signal(second);
        assert_eq!(service.end().code(), Some(code));
    }
}

#[test]
fn a_stalled_runtime_can_be_ended() {
    let service = Service::start("stalled");
    service.signal(Signal::TERM);
    // The first cannot be told from outside, for the only worker sleeps; two at once may be merged into one.
    let pid = Pid::from_child(&service.child);
    let repeat = std::thread::spawn(move || {
        for _ in 0..200 {
            std::thread::sleep(Duration::from_millis(10));
            if kill_process(pid, Signal::TERM).is_err() {
                break;
            }
        }
    });
    assert_eq!(service.end().code(), Some(143));
    repeat.join().expect("it ends");
}
