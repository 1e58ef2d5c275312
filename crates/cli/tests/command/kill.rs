//! `steadfast prove` killed with SIGKILL at any moment leaves no process, and the next run works.

use std::time::{Duration, Instant};

use steadfast_base::Seed;

use crate::document::{Document, PAUSE, long};
use crate::lab::{Lab, eventually, signal};

/// Within which time all must be gone.
const GONE_WITHIN: Duration = Duration::from_secs(5);

#[test]
fn killed_at_any_moment_it_leaves_no_process() {
    let rounds = if std::env::var_os("STEADFAST_FULL").is_some() { 20 } else { 3 };
    let seed = std::env::var("STEADFAST_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.map_or_else(Seed::random, Seed::new);
    let mut rng = seed.rng();
    let lab = Lab::new();
    for round in 0..rounds {
        // Admission, start, baseline and inject are over within this time; the ledger is paused from 1 s on.
        let after = Duration::from_millis(rng.below(2500));
        let what = format!("round {round}, killed after {after:?}, STEADFAST_SEED={}", seed.value());
        eprintln!("{what}");
        let mut running = lab.start(lab.prove_arguments(&format!("killed-{round}"), &long().text()));
        std::thread::sleep(after);
        assert!(running.is_running(), "{what}");
        running.kill();
        let began = Instant::now();
        lab.await_nothing_left(GONE_WITHIN);
        eprintln!("  nothing is left after {:?}", began.elapsed());
    }
    let next = Document { faults: PAUSE, ..Document::default() };
    lab.prove(&next.text()).code(0).out_has(&["PASS"]);
    lab.run(["recover", "--list"]).code(0).out_has(&["nothing is left"]);
}

#[test]
fn killed_with_its_watchdog_it_is_recovered() {
    let lab = Lab::new();
    let running = lab.start_prove(&long().text());
    eventually(|| {
        match lab.processes().iter().filter(|(_, command)| command.contains("sleep 600")).count() {
            2 => Ok(()),
            count => Err(format!("{count} grandchildren")),
        }
    });
    let watchdogs: Vec<i32> = lab
        .processes()
        .into_iter()
        .filter(|(_, command)| command.contains("steadfast watchdog "))
        .map(|(pid, _)| pid)
        .collect();
    let [watchdog] = watchdogs[..] else { panic!("one watchdog: {:?}", lab.processes()) };
    signal(watchdog, "KILL");
    running.kill();
    // The kernel kills the ledger with whoever started it. Its child and the one that left its session stay.
    eventually(|| match lab.processes() {
        left if left.len() == 2 && left.iter().all(|(_, command)| command.contains("sleep")) => Ok(()),
        left => Err(format!("{left:?}")),
    });
    lab.run(["recover", "--list"]).code(0).out_has(&["out (dead", "ledger"]);
    assert_eq!(lab.processes().len(), 2, "listing touches nothing");
    let said = lab.run(["recover", "--format", "json", "--list"]).code(0);
    let listed: serde_json::Value = serde_json::from_str(&said.out).expect("JSON");
    assert_eq!((&listed[0]["run"], &listed[0]["live"]), (&"out".into(), &false.into()), "{listed}");

    lab.run(["recover"]).code(0).out_has(&["out: undone", "ledger"]);
    lab.await_nothing_left(GONE_WITHIN);
    lab.run(["recover", "--list"]).code(0).out_has(&["nothing is left"]);
    lab.run(["recover"]).code(0).out_has(&["nothing is left to undo"]);
}
