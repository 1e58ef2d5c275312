//! Without the environment variable there is no injector, no thread and no socket.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use steadfast_fault::Injector;

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime")
}

/// Is run in a process of its own by the test below, since an environment belongs to a process.
#[test]
fn child_that_reads_its_environment() {
    let injector = runtime().block_on(async { Injector::from_env() }).expect("an injector or none");
    let threads = || {
        let threads = std::fs::read_dir("/proc/self/task").expect("threads").flatten();
        let names = threads.flat_map(|thread| std::fs::read_to_string(thread.path().join("comm")));
        names.filter(|name| name.starts_with("fault-")).count()
    };
    let asked = std::env::var_os(steadfast_fault::SOCKET_ENV).is_some_and(|path| !path.is_empty());
    assert_eq!(injector.is_some(), asked);
    let patience = Instant::now() + Duration::from_secs(5);
    // A thread takes its name when it starts to run.
    while asked && threads() == 0 {
        assert!(Instant::now() < patience, "no thread serves the socket");
    }
    assert_eq!(threads() > 0, asked);
}

#[test]
fn without_the_variable_there_is_no_injector_and_no_thread() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("fault.sock");
    for (value, asked) in [(None, false), (Some(Path::new("")), false), (Some(path.as_path()), true)] {
        let mut child = Command::new(std::env::current_exe().expect("a path"));
        child.args(["--exact", "child_that_reads_its_environment"]).env_remove(steadfast_fault::SOCKET_ENV);
        if let Some(value) = value {
            child.env(steadfast_fault::SOCKET_ENV, value);
        }
        let output = child.output().expect("a child");
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && text.contains("1 passed"), "asked {asked}: {text}");
        assert!(!path.exists());
    }
}
