use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use axum::routing::get;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use steadfast_guard::{
    Bulkhead, BulkheadPolicy, Registry, Scope, ScopePolicy, Workers, WorkersPolicy,
    workers::memory::ProcessMemory,
};
use tower::ServiceExt;

use super::*;

const SECRET: &str = "2f0b6a1c9d4e8f73";

fn diagnostics() -> Diagnostics {
    Diagnostics::new(Token::new(SECRET).expect("a token"))
}

struct Answer {
    status: StatusCode,
    kind: String,
    text: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).expect("JSON")
    }
}

async fn ask_with(router: &Router, path: &str, authorization: Option<&str>) -> Answer {
    let mut request = Request::get(path);
    if let Some(authorization) = authorization {
        request = request.header("authorization", authorization);
    }
    let Ok(response) = router.clone().oneshot(request.body(Body::empty()).expect("a request")).await;
    let (head, body) = response.into_parts();
    let bytes = body.collect().await.expect("a body").to_bytes();
    Answer {
        status: head.status,
        kind: head.headers.get("content-type").map_or("", |kind| kind.to_str().expect("text")).to_owned(),
        text: String::from_utf8(bytes.to_vec()).expect("text"),
    }
}

async fn ask(router: &Router, path: &str) -> Answer {
    ask_with(router, path, Some(&format!("Bearer {SECRET}"))).await
}

#[tokio::test]
async fn without_the_token_there_is_nothing() {
    let router = diagnostics().router();
    for path in
        ["/diagnostics", "/diagnostics/scopes", "/diagnostics/runtime", "/diagnostics/profile?seconds=30"]
    {
        for shown in [None, Some("Bearer"), Some("Bearer 2f0b6a1c9d4e8f7"), Some("Basic 2f0b6a1c9d4e8f73")] {
            assert_eq!(
                ask_with(&router, path, shown).await.status,
                StatusCode::UNAUTHORIZED,
                "{path} {shown:?}"
            );
        }
    }
    assert_eq!(
        ask_with(&router, "/diagnostics", Some("bearer 2f0b6a1c9d4e8f73")).await.status,
        StatusCode::OK
    );
}

struct Own;

impl Diagnose for Own {
    fn kind(&self) -> &'static str {
        "caches"
    }
    fn name(&self) -> &str {
        "prices"
    }
    fn snapshot(&self) -> Value {
        json!({"entries": 7})
    }
}

#[tokio::test]
async fn a_task_that_blocks_its_thread_is_named() {
    let (diagnostics, scope) = (diagnostics(), Scope::new("work", ScopePolicy::default()));
    diagnostics.register_scope(&scope);
    let waits = scope.spawn_until_closed("waits", tokio::task::yield_now()).expect("there is room");
    let blocks = async { std::thread::sleep(Duration::from_millis(20)) };
    scope.spawn_until_closed("blocks", blocks).expect("there is room").await.expect("it ends");
    waits.await.expect("it ends");
    let scopes = ask(&diagnostics.router(), "/diagnostics/scopes").await.json();
    let polls = &scopes["shown"][0]["polls"];
    assert_eq!((&polls["blocks"]["count"], &polls["blocks"]["slow"]), (&json!(1), &json!(1)), "{polls}");
    assert!(polls["blocks"]["maxUs"].as_u64() >= Some(20_000), "{polls}");
    assert_eq!(polls["waits"]["count"], 2, "{polls}");
}

#[tokio::test]
async fn lists_what_was_registered_and_keeps_none_of_it_alive() {
    let diagnostics = diagnostics();
    let (scope, breakers) = (Scope::new("work", ScopePolicy::default()), Registry::default());
    let workers = Workers::start("images", WorkersPolicy::default(), Arc::new(ProcessMemory::new()));
    diagnostics.register_scope(&scope);
    diagnostics.register_breakers(breakers.clone());
    diagnostics.register_workers(&workers);
    diagnostics.register(Bulkhead::new("reports", BulkheadPolicy::default()));
    diagnostics.register(Own);
    breakers.breaker("payment", steadfast_guard::BreakerPolicy::default()).open();
    let task = scope.spawn_until_closed("relay", std::future::pending::<()>()).expect("there is room");
    let router = diagnostics.router();

    let kinds = ask(&router, "/diagnostics").await.json();
    assert_eq!(
        kinds["kinds"],
        json!({"breakers": 1, "bulkheads": 1, "caches": 1, "scopes": 1, "workers": 1})
    );
    let scopes = ask(&router, "/diagnostics/scopes").await.json();
    let shown = &scopes["shown"][0];
    assert_eq!((&shown["name"], &shown["alive"]), (&json!("work"), &json!(1)), "{scopes}");
    assert_eq!(shown["oldestTasks"][0]["name"], "relay");
    assert!(shown["oldestTasks"][0]["spawnedAt"].as_str().expect("a place").contains("diagnostics/tests.rs"));
    let breakers = ask(&router, "/diagnostics/breakers").await.json();
    assert_eq!(
        (&breakers["shown"][0]["name"], &breakers["shown"][0]["phase"]),
        (&json!("payment"), &json!("open"))
    );
    assert_eq!(ask(&router, "/diagnostics/workers").await.json()["shown"][0]["quota"], 268_435_456);
    assert_eq!(ask(&router, "/diagnostics/bulkheads").await.json()["shown"][0]["concurrencyMax"], 32);
    assert_eq!(
        ask(&router, "/diagnostics/caches").await.json(),
        json!({"kind": "caches", "count": 1, "shown": [{"name": "prices", "entries": 7}]})
    );
    assert_eq!(ask(&router, "/diagnostics/nothing").await.status, StatusCode::NOT_FOUND);

    drop(scope);
    assert!(task.await.is_err(), "its scope is gone, and it with it");
}

#[cfg(feature = "core")]
#[tokio::test]
async fn shows_the_queues_of_a_bus() {
    let (diagnostics, bus) = (diagnostics(), Arc::new(steadfast_core::bus::Bus::new()));
    diagnostics.register_bus("events", &bus);
    let topic = bus.topic::<u32>("orders").expect("a topic");
    let _view = topic.subscribe("view", 8).expect("a subscription");
    topic.try_publish(7).expect("there is room");
    let topics = ask(&diagnostics.router(), "/diagnostics/topics").await.json();
    let subscription = &topics["shown"][0]["topics"][0]["subscriptions"][0];
    assert_eq!((&subscription["queued"], &subscription["capacity"]), (&json!(1), &json!(8)), "{topics}");
    drop(bus);
    let router = diagnostics.router();
    assert_eq!(ask(&router, "/diagnostics/topics").await.json()["shown"][0]["topics"], json!([]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_runtime_shows_who_is_kept_waiting() {
    let router = diagnostics().router();
    let calm = ask(&router, "/diagnostics/runtime?seconds=0.2").await.json();
    assert_eq!((&calm["workers"], &calm["allocations"]), (&json!(2), &Value::Null), "{calm}");
    // Both workers are held for longer than any noise.
    let hold = || tokio::spawn(async { std::thread::sleep(Duration::from_millis(400)) });
    let (stalled, _, _, _) =
        tokio::join!(ask(&router, "/diagnostics/runtime?seconds=0.5"), hold(), hold(), hold());
    let stalled = stalled.json();
    assert!(stalled["timerToPollMicros"]["max"].as_u64() > Some(100_000), "{stalled}");
    assert_eq!(ask(&router, "/diagnostics/runtime?minutes=1").await.status, StatusCode::BAD_REQUEST);
}

/// Keeps a processor busy by a function whose name can be found again.
#[inline(never)]
fn burns_processor_time(until: &AtomicBool) -> u64 {
    let mut state = 7_u64;
    while !until.load(Ordering::Relaxed) {
        for n in 0..10_000_u64 {
            state = std::hint::black_box(state.rotate_left(7) ^ n);
        }
    }
    state
}

/// One test of all that profiles, for a process has one profiler: it names what burns, one at a time whoever asks, and
/// a service goes on meanwhile.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hammering_the_endpoint_does_not_hurt_the_service() {
    let service = Router::new().route("/work", get(async || "done"));
    let router = service.merge(diagnostics().router());
    let is_over = Arc::new(AtomicBool::new(false));
    let (burning, hammering) = (Arc::clone(&is_over), Arc::clone(&is_over));
    let burner = std::thread::spawn(move || burns_processor_time(&burning));

    // Sixteen who ask for everything all the time, among them some without the token.
    let hammers: Vec<_> = (0..16)
        .map(|n| {
            let (router, is_over) = (router.clone(), Arc::clone(&hammering));
            tokio::spawn(async move {
                let mut seen = std::collections::BTreeMap::<u16, u64>::new();
                while !is_over.load(Ordering::Relaxed) {
                    let path = [
                        "/diagnostics",
                        "/diagnostics/runtime?seconds=0.1",
                        "/diagnostics/profile?seconds=30&perSecond=9999999",
                    ][n % 3];
                    let token = format!("Bearer {}", if n % 4 == 3 { "another-token-here" } else { SECRET });
                    // A client that goes away ends what it asked for.
                    let asked = ask_with(&router, path, Some(&token));
                    if let Ok(answer) = tokio::time::timeout(Duration::from_millis(200), asked).await {
                        *seen.entry(answer.status.as_u16()).or_default() += 1;
                    }
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                seen
            })
        })
        .collect();

    // How late the machine lets a thread go on that asks for nothing else is no fault of the endpoint.
    let waiting = Arc::clone(&is_over);
    let machine = std::thread::spawn(move || {
        let mut latest = Duration::ZERO;
        while !waiting.load(Ordering::Relaxed) {
            let begin = Instant::now();
            std::thread::sleep(Duration::from_millis(2));
            latest = latest.max(begin.elapsed());
        }
        latest
    });
    let (mut slowest, begin, mut done) = (Duration::ZERO, Instant::now(), 0);
    while begin.elapsed() < Duration::from_secs(2) || done <= 100 {
        assert!(begin.elapsed() < Duration::from_secs(30), "only {done} calls");
        let asked = Instant::now();
        assert_eq!(ask_with(&router, "/work", None).await.text, "done");
        slowest = slowest.max(asked.elapsed());
        done += 1;
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    is_over.store(true, Ordering::Relaxed);
    let seconds = begin.elapsed().as_secs_f64();
    let latest = machine.join().expect("it does not panic");
    assert!(
        slowest < Duration::from_secs(1) + 2 * latest,
        "of {done} calls the slowest took {slowest:?}; threads go on {latest:?} late"
    );
    let mut seen = std::collections::BTreeMap::<u16, u64>::new();
    for hammer in hammers {
        for (status, count) in hammer.await.expect("it does not panic") {
            *seen.entry(status).or_default() += count;
        }
    }
    burner.join().expect("it does not panic");
    assert_eq!(seen.keys().copied().collect::<Vec<_>>(), [200, 401, 429], "{seen:?}");
    let most = (50.0 * seconds).ceil() as u64;
    assert!(seen[&200] <= most, "lists 10 a second and a burst, the runtime ten times a second: {seen:?}");

    // Nobody asks any more: the sampler is free again.
    is_over.store(false, Ordering::Relaxed);
    let burning = Arc::clone(&is_over);
    let burner = std::thread::Builder::new().name("burner-3".to_owned());
    let burner = burner.spawn(move || burns_processor_time(&burning)).expect("a thread");
    let folded = ask(&router, "/diagnostics/profile?seconds=1&format=folded").await;
    let svg = ask(&router, "/diagnostics/profile?seconds=0.5&perSecond=200").await;
    is_over.store(true, Ordering::Relaxed);
    burner.join().expect("it does not panic");
    assert_eq!((folded.status, svg.status), (StatusCode::OK, StatusCode::OK), "{}", folded.text);
    let line = folded.text.lines().find(|line| line.contains("burns_processor_time"));
    assert!(line.is_some_and(|line| line.starts_with("burner;")), "{}", folded.text);
    assert!(!folded.text.contains("diagnostics::sampler"), "the sampler itself is left out: {}", folded.text);
    assert_eq!(svg.kind, "image/svg+xml");
    assert!(svg.text.contains("burns_processor_time"), "{}", svg.text);
    if let Ok(file) = std::env::var("STEADFAST_FLAME_GRAPH") {
        std::fs::write(file, svg.text).expect("it can be written");
    }
}
