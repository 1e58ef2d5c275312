//! The generator against servers that behave well and servers that do not.

mod support;

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use http::Method;
use parking_lot::Mutex;
use steadfast_base::Backoff;
use steadfast_base::units::{Percentage, Rate};
use steadfast_load::{
    CancellationToken, Capture, CommandResult, Plan, RetryOn, RetryPolicy, Step, Tally, Targets, run,
    run_blocking,
};
use support::{Log, Reply, Request, Server};

fn plan(server: &Server, rate: u64, millis: u64) -> Plan {
    Plan::single(&server.url(), Rate::per_second_of(rate), Duration::from_millis(millis)).expect("a plan")
}

fn drive(plan: Plan, log: &Arc<Log>) -> steadfast_load::Summary {
    run_blocking(plan, Targets::new(), log.clone(), &CancellationToken::new()).expect("a run")
}

const PATIENCE: Duration = Duration::from_secs(10);

fn until(what: &str, is: impl Fn() -> bool) {
    let began = Instant::now();
    while !is() {
        assert!(began.elapsed() < PATIENCE, "waited for: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

async fn eventually(what: &str, is: impl Fn() -> bool) {
    let waiting = async {
        while !is() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, waiting).await.is_ok(), "waited for: {what}");
}

fn results(log: &Log) -> Vec<CommandResult> {
    log.commands.lock().iter().map(|command| command.result).collect()
}

#[test]
fn every_arrival_is_dispatched_once_and_on_schedule() {
    let server = Server::start(|_| Reply::status(200, "hello").now());
    let log = Arc::new(Log::default());
    for threads in [1, 2] {
        log.commands.lock().clear();
        let summary = drive(Plan { threads: Some(threads), ..plan(&server, 500, 600) }, &log);
        assert_eq!((summary.scheduled, summary.dispatched, summary.abandoned), (300, 300, 0));
        assert!(summary.is_valid(), "{summary:?}");
        let commands = log.commands.lock();
        assert!(
            commands.iter().all(|c| c.result == CommandResult::Succeeded { status: 200 }),
            "{commands:?}"
        );
        assert!(commands.iter().all(|c| c.intended == Duration::from_millis(2) * c.sequence as u32));
        let sequences: HashSet<u64> = commands.iter().map(|c| c.sequence).collect();
        assert_eq!(sequences, (0..300).collect());
        assert_eq!(commands.iter().map(|c| c.id).collect::<HashSet<_>>().len(), 300);
    }
    let connections = server.connections.load(Ordering::SeqCst);
    assert!(connections < 100, "connections are kept: {connections} for 600 requests");
}

/// The sum of what was asked for and never waited is what coordinated omission hides.
#[test]
fn a_stall_is_seen_by_all_who_would_have_come() {
    let begin = Arc::new(Mutex::new(None));
    let server = Server::start(move |_| {
        let begin = *begin.lock().get_or_insert_with(Instant::now);
        // From 300 to 800 ms nothing is answered; whoever asks then waits for the end of it.
        let now = begin.elapsed().as_millis() as u64;
        let wait = if (300..800).contains(&now) { 800 - now } else { 0 };
        Reply::status(200, "").after(Duration::from_millis(wait))
    });
    let log = Arc::new(Log::default());
    let summary = drive(plan(&server, 200, 1_200), &log);
    assert!(summary.is_valid(), "a slow server does not make the load invalid: {summary:?}");
    let commands = log.commands.lock();
    let slow = |over: u64| commands.iter().filter(|c| c.latency() >= Duration::from_millis(over)).count();
    // 200/s × 500 ms arrive in the stall and wait 250 ms on average: 80 of them 100 ms or more, 20 400 ms or more.
    assert!((70..=110).contains(&slow(100)), "{}", slow(100));
    assert!((12..=45).contains(&slow(400)), "{}", slow(400));
}

/// With one connection the generator's own limit delays requests; that shows in latency and in the schedule.
#[test]
fn waiting_for_a_connection_counts_as_latency_and_against_the_schedule() {
    let server = Server::start(|_| Reply::status(200, "").after(Duration::from_millis(20)));
    let log = Arc::new(Log::default());
    let summary = drive(Plan { connections_max: 1, ..plan(&server, 100, 600) }, &log);
    assert_eq!(server.connections.load(Ordering::SeqCst), 1);
    assert!(!summary.is_valid(), "{summary:?}");
    assert!(summary.lateness_max > Duration::from_millis(300), "{summary:?}");
    let longest = log.commands.lock().iter().map(|c| c.latency()).max();
    assert!(longest > Some(Duration::from_millis(300)), "{longest:?}");
}

#[test]
fn arrivals_beyond_the_bound_are_counted_and_not_dispatched() {
    let server = Server::start(|_| Reply::status(200, "").after(Duration::from_millis(500)));
    let log = Arc::new(Log::default());
    let summary = drive(Plan { in_flight_max: 5, ..plan(&server, 100, 300) }, &log);
    assert_eq!((summary.scheduled, summary.dispatched), (30, 5));
    assert!(!summary.is_valid());
    assert_eq!(log.commands.lock().len(), 5);
    assert_eq!(log.arrivals.lock().iter().filter(|a| a.dispatched.is_none()).count(), 25);
}

#[test]
fn failures_are_told_apart() {
    let cases: [(Reply, Duration, CommandResult); 7] = [
        (Reply::status(503, ""), Duration::ZERO, CommandResult::Failed { status: 503 }),
        (Reply::status(409, ""), Duration::ZERO, CommandResult::Refused { status: 409 }),
        (Reply::status(302, ""), Duration::ZERO, CommandResult::Refused { status: 302 }),
        (Reply::raw(""), Duration::ZERO, CommandResult::ConnectionLost),
        (
            Reply::raw("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf"),
            Duration::ZERO,
            CommandResult::ConnectionLost,
        ),
        (Reply::raw("SSH-2.0-x\r\n\r\n"), Duration::ZERO, CommandResult::Garbled),
        (Reply::status(200, ""), Duration::from_secs(3), CommandResult::TimedOut),
    ];
    for (reply, delay, expected) in cases {
        let server = Server::start(move |_| reply.clone().after(delay));
        let log = Arc::new(Log::default());
        let mut plan = plan(&server, 100, 50);
        plan.steps[0].timeout = Duration::from_millis(200);
        let summary = drive(plan, &log);
        assert!(summary.is_valid(), "what a server does is no fault of the load: {summary:?}");
        assert_eq!(results(&log), [expected; 5]);
    }
    let gone = Server::start(|_| Reply::status(200, "").now());
    let plan = plan(&gone, 100, 50);
    drop(gone);
    let log = Arc::new(Log::default());
    let summary = drive(plan, &log);
    assert!(summary.is_valid(), "{summary:?}");
    assert_eq!(results(&log), [CommandResult::ConnectFailed; 5]);
    assert!(log.commands.lock().iter().all(|c| !c.is_unknown()));
}

/// Servers close idle connections without a word; that is no failure of theirs.
#[test]
fn a_connection_that_was_closed_while_idle_is_replaced() {
    let server = Server::start(|_| Reply { close: true, ..Reply::status(200, "hello") }.now());
    let log = Arc::new(Log::default());
    drive(plan(&server, 50, 1_000), &log);
    // One that is used again before the news of its end arrived is lost, as it would be to any client.
    let lost = results(&log).iter().filter(|r| !r.is_success()).count();
    assert!(lost <= 10, "{lost} of 50 were lost");
}

#[test]
fn answers_without_a_length_and_in_chunks_are_read_to_their_end() {
    for bytes in [
        "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{\"id\": \"x\"}",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\n{\"id\r\n7\r\n\": \"x\"}\r\n0\r\n\r\n",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 11\r\n\r\n{\"id\": \"x\"}",
    ] {
        let server = Server::start(move |_| Reply::raw(bytes).now());
        let log = Arc::new(Log::default());
        let mut plan = plan(&server, 100, 50);
        plan.steps[0].capture.push(Capture { name: "id".to_owned(), path: "$.id".parse().expect("a path") });
        drive(plan, &log);
        let commands = log.commands.lock();
        assert_eq!(commands.len(), 5);
        assert!(commands.iter().all(|c| c.captured.get("id") == Some("x")), "{bytes}: {commands:?}");
    }
}

#[test]
fn a_scenario_captures_and_repeats_under_one_key() {
    let seen: Arc<Mutex<Vec<Request>>> = Arc::default();
    let log_of_server = seen.clone();
    let creates = AtomicUsize::new(0);
    let server = Server::start(move |request| {
        log_of_server.lock().push(request.clone());
        let reply = if request.line().starts_with("POST /orders HTTP") {
            match creates.fetch_add(1, Ordering::SeqCst) % 3 {
                0 => Reply::status(503, ""),
                1 => Reply::raw(""),
                _ => Reply::status(201, &format!(r#"{{"order": {{"id": {:?}}}}}"#, request.body)),
            }
        } else {
            Reply::status(202, "")
        };
        reply.now()
    });
    let template = |text: &str| text.parse().expect("a template");
    let mut create = Step::new("create", Method::POST, template("${orders.url}/orders"));
    create.headers.push(("Idempotency-Key".to_owned(), template("${uuid}")));
    create.body = Some(template("o-${seq}"));
    create.capture.push(Capture { name: "id".to_owned(), path: "$.order.id".parse().expect("a path") });
    let mut confirm = Step::new("confirm", Method::POST, template("${orders.url}/orders/${id}/confirm"));
    confirm.headers.push(("Idempotency-Key".to_owned(), template("${uuid}")));
    confirm.success = "202".parse().expect("a set");
    let mut never = Step::new("never", Method::GET, template("${orders.url}/never"));
    never.weight = Percentage::ZERO;
    let mut plan =
        Plan::new(Rate::per_second_of(20), Duration::from_millis(500), vec![create, confirm, never]);
    plan.retry = RetryPolicy {
        max: 2,
        on: vec![RetryOn::Status(503), RetryOn::Reset],
        backoff: Backoff { initial: Duration::from_millis(5), ..Backoff::default() },
    };
    plan.connections_max = 1;
    let log = Arc::new(Log::default());
    let targets = Targets::from([("orders.url", server.url())]);
    run_blocking(plan, targets, log.clone(), &CancellationToken::new()).expect("a run");

    let (created, confirmed) = (log.of_step(0), log.of_step(1));
    assert_eq!((created.len(), confirmed.len(), log.of_step(2).len()), (10, 10, 0));
    for (create, confirm) in created.iter().zip(&confirmed) {
        assert_eq!((create.result, create.attempts), (CommandResult::Succeeded { status: 201 }, 3));
        assert_eq!(create.captured.get("id"), Some(format!("o-{}", create.sequence).as_str()));
        assert_eq!(confirm.result, CommandResult::Succeeded { status: 202 });
        assert_eq!(confirm.captured.get("id"), create.captured.get("id"));
        assert_eq!(confirm.intended, create.finished, "a later step counts from the end of the one before");
        assert_ne!(confirm.id, create.id);
        let requests = seen.lock();
        let of = |key: &str| requests.iter().filter(|r| r.header("idempotency-key") == Some(key)).count();
        assert_eq!((of(&create.id.to_string()), of(&confirm.id.to_string())), (3, 1));
        let path = format!("POST /orders/o-{}/confirm HTTP/1.1", confirm.sequence);
        assert!(requests.iter().any(|r| r.line() == path));
    }
}

#[test]
fn what_a_lost_answer_leaves_unknown_stays_unknown() {
    let calls = AtomicUsize::new(0);
    let server = Server::start(move |_| {
        let first = calls.fetch_add(1, Ordering::SeqCst) == 0;
        if first { Reply::raw("").now() } else { Reply::status(409, "").now() }
    });
    let mut plan = plan(&server, 10, 100);
    plan.retry = RetryPolicy { max: 1, on: vec![RetryOn::Reset], backoff: Backoff::default() };
    let log = Arc::new(Log::default());
    drive(plan, &log);
    let commands = log.commands.lock();
    assert_eq!(commands[0].result, CommandResult::Refused { status: 409 });
    assert!(!commands[0].result.is_unknown() && commands[0].is_unknown());
}

#[test]
fn a_server_that_was_restarted_elsewhere_is_found_again() {
    let first = Server::start(|_| Reply::status(200, "1").now());
    let second = Server::start(|_| Reply::status(200, "2").now());
    let targets = Targets::from([("a.url", first.url())]);
    let url = "${a.url}/x".parse().expect("a template");
    let mut plan = Plan::new(
        Rate::per_second_of(200),
        Duration::from_millis(900),
        vec![Step::new("get", Method::GET, url)],
    );
    plan.retry = RetryPolicy {
        max: 20,
        on: vec![RetryOn::Connect, RetryOn::Reset],
        backoff: Backoff { initial: Duration::from_millis(20), ..Backoff::default() },
    };
    let (log, given) = (Arc::new(Log::default()), targets.clone());
    let running = std::thread::spawn({
        let log = log.clone();
        move || run_blocking(plan, given, log, &CancellationToken::new()).expect("a run")
    });
    until("the first serves", || log.commands.lock().len() >= 40);
    targets.remove("a.url");
    drop(first);
    let gone = log.commands.lock().len();
    // Time for 20 arrivals, which nobody is told of before their requests are dispatched.
    std::thread::sleep(Duration::from_millis(100));
    targets.set("a.url", second.url());
    let summary = running.join().expect("no panic");
    assert!(summary.is_valid(), "{summary:?}");
    let commands = log.commands.lock();
    assert_eq!(commands.len(), 180);
    assert!(commands.iter().all(|c| c.result.is_success()), "{commands:?}");
    let repeated = commands[gone..].iter().filter(|c| c.attempts > 1).count();
    assert!(repeated >= 10, "{repeated} were repeated while the target was gone");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_stops_arrivals_and_waits_for_what_is_in_flight() {
    let server = Server::start(|_| Reply::status(200, "").after(Duration::from_millis(200)));
    let (log, cancel) = (Arc::new(Log::default()), CancellationToken::new());
    let running = tokio::spawn(run(plan(&server, 100, 60_000), Targets::new(), log.clone(), cancel.clone()));
    eventually("some arrive", || log.arrivals.lock().len() >= 10).await;
    cancel.cancel();
    let summary = running.await.expect("no panic").expect("a run");
    assert!(summary.cancelled && summary.scheduled < 100, "{summary:?}");
    assert_eq!(summary.abandoned, 0);
    assert_eq!(log.commands.lock().len() as u64, summary.scheduled);
    assert!(results(&log).iter().all(|r| r.is_success()));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_end_in_time_is_reported_as_abandoned() {
    let server = Server::start(|_| Reply::status(200, "").after(Duration::from_secs(60)));
    let log = Arc::new(Log::default());
    let mut short = plan(&server, 100, 100);
    short.drain = Duration::from_millis(50);
    short.steps[0].timeout = Duration::from_secs(30);
    let summary = run(short, Targets::new(), log.clone(), CancellationToken::new()).await.expect("a run");
    assert_eq!((summary.dispatched, summary.abandoned), (10, 10));
    assert_eq!(results(&log), [CommandResult::Abandoned; 10]);
    assert!(log.commands.lock().iter().all(|c| c.is_unknown()));

    // What was still waiting for a connection then was never sent.
    let log = Arc::new(Log::default());
    let mut one = plan(&server, 100, 100);
    (one.connections_max, one.drain) = (1, Duration::from_millis(50));
    let summary = run(one, Targets::new(), log.clone(), CancellationToken::new()).await.expect("a run");
    assert_eq!((summary.scheduled, summary.dispatched, summary.abandoned), (10, 1, 1));
    let count = |result| results(&log).into_iter().filter(|r| *r == result).count();
    assert_eq!((count(CommandResult::Abandoned), count(CommandResult::Unsent)), (1, 9));
    assert_eq!(log.arrivals.lock().iter().filter(|a| a.dispatched.is_none()).count(), 9);

    // Abandoned is also what is in flight when nobody waits for the run any longer; its threads are gone then.
    let log = Arc::new(Log::default());
    let long = run(plan(&server, 100, 60_000), Targets::new(), log.clone(), CancellationToken::new());
    let enough = eventually("some arrive", || log.arrivals.lock().len() >= 10);
    tokio::select! {
        _ = long => panic!("it cannot have ended"),
        () = enough => {}
    }
    assert_eq!(Arc::strong_count(&log), 1, "the generator has let go of the recorder");
    assert!(log.commands.lock().len() >= 10);
    assert!(results(&log).iter().all(|r| *r == CommandResult::Abandoned));
}

#[test]
fn a_tally_adds_up() {
    let server = Server::start(|request| {
        let status = if request.line().contains("/0") { 500 } else { 200 };
        Reply::status(status, "").after(Duration::from_millis(10))
    });
    let url = format!("{}/${{seq}}", server.url());
    let plan = Plan::single(&url, Rate::per_second_of(100), Duration::from_millis(100)).expect("a plan");
    let tally = Arc::new(Tally::new(&plan));
    run_blocking(plan, Targets::new(), tally.clone(), &CancellationToken::new()).expect("a run");
    let step = tally.step(0);
    assert_eq!((step.total, step.succeeded), (10, 9));
    assert_eq!(
        step.results.iter().map(|(k, v)| (k.as_str(), *v)).collect::<Vec<_>>(),
        [("status 200", 9), ("status 500", 1)]
    );
    assert!(step.percentile(50.0) >= Duration::from_millis(10) && step.max() < Duration::from_secs(1));
}
