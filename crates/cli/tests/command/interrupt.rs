//! Ctrl-C and SIGTERM: the first undoes and says so, the second ends at once and leaves the rest to the watchdog.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use crate::document::long;
use crate::lab::{Lab, Running, eventually, examples, signal};

/// Runs until the ledger is paused, and returns the pid of the ledger.
fn paused(lab: &Lab, document: &str) -> (Running, i32) {
    let running = lab.start_prove(document);
    let mut ledger = 0;
    eventually(|| {
        let found = lab.processes().into_iter().find(|(_, command)| command.contains("--addr-file"));
        ledger = found.map(|(pid, _)| pid).ok_or("no ledger")?;
        state(ledger).filter(|state| *state == 'T').map(drop).ok_or_else(|| "not paused".to_owned())
    });
    (running, ledger)
}

/// The letter by which the kernel names a process's state.
fn state(pid: i32) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit(") ").next()?.chars().next()
}

#[test]
fn the_first_signal_undoes_and_says_so() {
    for name in ["INT", "TERM"] {
        let lab = Lab::new();
        let (running, _) = paused(&lab, &long().text());
        let began = Instant::now();
        signal(running.pid(), name);
        let said = running.end().code(130);
        assert!(began.elapsed() < Duration::from_secs(20), "{name}: {:?}", began.elapsed());
        // Nothing is left when it has ended, not only some time later.
        assert_eq!(lab.processes(), vec![], "{name}");
        let said = said.err_has(&["interrupted", "undone    freeze, verified"]);
        let said = said.out_has(&["INTERRUPTED", "report.html"]);
        assert!(said.out.contains("undone"), "{said:?}");
        assert_eq!(lab.report("out")["verdict"]["exitCode"], 130);
        lab.run(["recover", "--list"]).code(0).out_has(&["nothing is left"]);
    }
}

#[test]
fn the_second_signal_ends_at_once_and_the_watchdog_undoes() {
    let lab = Lab::new();
    // Stopping this one in peace takes ten seconds: the shell ignores SIGTERM, and what it executes does too.
    let ledger = examples().join("ledger");
    let deaf = format!(r#"[sh, -c, "trap '' TERM; exec \"$0\" \"$@\"", "{}","#, ledger.display());
    let (running, _) = paused(&lab, &long().text().replace("[ledger,", &deaf));
    signal(running.pid(), "INT");
    eventually(|| match std::fs::read_to_string(lab.path("out/run.undo")) {
        Ok(log) if log.contains("undone") => Ok(()),
        log => Err(format!("nothing is undone yet: {log:?}")),
    });
    let began = Instant::now();
    signal(running.pid(), "TERM");
    running.end().code(130).err_has(&["ended at once; the watchdog undoes what is open"]);
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    lab.await_nothing_left(Duration::from_secs(5));
    eventually(|| match lab.run(["recover", "--list"]).code(0).out {
        out if out.contains("nothing is left") => Ok(()),
        out => Err(out),
    });
}

#[test]
fn a_signal_while_the_system_starts_ends_the_run() {
    let lab = Lab::new();
    let document = crate::document::Document { flags: "--never-ready", ..Default::default() };
    let running = lab.start_prove(&document.text());
    eventually(|| match lab.path("out/ledger.addr").exists() {
        true => Ok(()),
        false => Err("it has not started".to_owned()),
    });
    signal(running.pid(), "INT");
    running.end().code(130).out_has(&["INTERRUPTED"]);
    assert_eq!(lab.processes(), vec![]);
}

#[test]
fn load_ends_with_what_is_in_flight_and_at_once_when_asked_twice() {
    let lab = Lab::new();
    // It takes connections and never answers.
    let mute = TcpListener::bind("127.0.0.1:0").expect("some port is free");
    let url = format!("http://{}/", mute.local_addr().expect("it is bound"));
    let running = lab.start(["load", &url, "--rate", "20/s", "--for", "50s"]);
    mute.set_nonblocking(true).expect("it can be");
    let mut connection = None;
    eventually(|| {
        connection = Some(mute.accept().map_err(|error| format!("it does not come: {error}"))?);
        Ok(())
    });
    let began = Instant::now();
    signal(running.pid(), "INT");
    // Two signals that wait for their process are one: the second is sent until it is heard.
    let pid = running.pid();
    let again = std::thread::spawn(move || {
        while state(pid).is_some_and(|state| state != 'Z') {
            signal(pid, "INT");
            std::thread::sleep(Duration::from_millis(50));
        }
    });
    running.end().code(130).err_has(&["ended at once"]);
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
    again.join().expect("it ends");
}
