//! Three times what a server can serve, in virtual time: with load shedding, and without, where it collapses.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use steadfast_base::{Class, Classify, Context, Deadline, Priority, Rng, Seed, TraceContext};
use steadfast_guard::Rejection;
use steadfast_guard::shed::{Shed, ShedLayer, ShedPolicy};
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, sleep_until};
use tower::{Layer, Service, ServiceExt, service_fn};

const MS: Duration = Duration::from_millis(1);
/// How many requests the server works on at a time, and how long each takes, give or take a fifth.
const PERMITS: usize = 32;
const SERVICE_TIME: Duration = Duration::from_millis(20);
/// What the server can serve, in requests per second.
const CAPACITY: f64 = PERMITS as f64 / 0.020;
/// How long callers wait for an answer.
const PATIENCE: Duration = Duration::from_millis(200);

/// A request with a deadline and a priority.
#[derive(Clone)]
struct Ask {
    deadline: Deadline,
    priority: Priority,
}

impl Context for Ask {
    fn deadline(&self) -> Option<Deadline> {
        Some(self.deadline)
    }
    fn trace(&self) -> Option<TraceContext> {
        None
    }
    fn key(&self) -> Option<&str> {
        None
    }
    fn operation(&self) -> &str {
        "ask"
    }
    fn priority(&self) -> Priority {
        self.priority
    }
}

#[derive(Debug, Clone)]
struct Refused;

impl From<Rejection> for Refused {
    fn from(_: Rejection) -> Self {
        Self
    }
}

impl Classify for Refused {
    fn classify(&self) -> Class {
        Class::Transient
    }
}

/// A server that works through what it was given, first in, first out, also for callers that have gone.
fn server(
    rng: Rng,
) -> impl Service<Ask, Response = (), Error = Refused, Future: Send> + Clone + Send + 'static {
    let (permits, rng) = (Arc::new(Semaphore::new(PERMITS)), Arc::new(Mutex::new(rng)));
    service_fn(move |_: Ask| {
        let time = SERVICE_TIME.mul_f64(0.8 + 0.4 * rng.lock().unit());
        let permits = Arc::clone(&permits);
        async move {
            let _permit = permits.acquire_owned().await.map_err(|_| Refused)?;
            sleep(time).await;
            Ok(())
        }
    })
}

/// What callers saw.
#[derive(Debug, Default, Clone, PartialEq)]
struct Seen {
    asked: u32,
    /// How long those took that were answered in time.
    served: Vec<Duration>,
    /// The same of those that matter most, and how many of them asked.
    asked_most: u32,
    served_most: u32,
}

impl Seen {
    fn per_second(&self, length: Duration) -> f64 {
        self.served.len() as f64 / length.as_secs_f64()
    }

    fn p99(&self) -> Duration {
        let mut sorted = self.served.clone();
        sorted.sort_unstable();
        sorted[(sorted.len() * 99).div_ceil(100) - 1]
    }
}

/// Sends requests at random moments, `rate` per second, for `length`, whatever becomes of them. One in five matters
/// most.
async fn offer<S>(service: &S, rng: &mut Rng, rate: f64, length: Duration) -> Seen
where
    S: Service<Ask, Response = (), Error = Refused> + Clone + Send + 'static,
    S::Future: Send,
{
    let seen = Arc::new(Mutex::new(Seen::default()));
    let start = Instant::now();
    let mut at = 0.0;
    loop {
        at -= (1.0 - rng.unit()).ln() / rate;
        let due = Duration::from_secs_f64(at);
        if due >= length {
            break;
        }
        sleep_until(start + due).await;
        let priority = if rng.chance(0.2) { Priority::CriticalPlus } else { Priority::Critical };
        let matters_most = priority == Priority::CriticalPlus;
        seen.lock().asked += 1;
        seen.lock().asked_most += u32::from(matters_most);
        let (service, seen, asked) = (service.clone(), Arc::clone(&seen), Instant::now());
        // A task of the server, which does not end because the caller has gone.
        tokio::spawn(async move {
            let answer = service.oneshot(Ask { deadline: Deadline::within(PATIENCE), priority }).await;
            let took = asked.elapsed();
            if answer.is_ok() && took <= PATIENCE {
                let mut seen = seen.lock();
                seen.served.push(took);
                seen.served_most += u32::from(matters_most);
            }
        });
    }
    sleep(PATIENCE).await;
    seen.lock().clone()
}

/// Offers four fifths of the capacity, and then three times the capacity for `length`.
async fn overload<S>(service: S, seed: Seed, length: Duration) -> Seen
where
    S: Service<Ask, Response = (), Error = Refused> + Clone + Send + 'static,
    S::Future: Send,
{
    let mut rng = seed.stream("arrivals");
    offer(&service, &mut rng, 0.8 * CAPACITY, Duration::from_secs(5)).await;
    offer(&service, &mut rng, 3.0 * CAPACITY, length).await
}

async fn unloaded(seed: Seed) -> Seen {
    let mut rng = seed.stream("arrivals");
    offer(&server(seed.stream("server")), &mut rng, 0.1 * CAPACITY, Duration::from_secs(5)).await
}

fn guarded(
    seed: Seed,
) -> (impl Service<Ask, Response = (), Error = Refused, Future: Send> + Clone + Send + 'static, Shed) {
    let shed = Shed::new("server", ShedPolicy::default(), seed);
    (ShedLayer::new(shed.clone()).layer(server(seed.stream("server"))), shed)
}

#[tokio::test(start_paused = true)]
async fn with_shedding_nearly_all_that_can_be_served_is_served_in_time() {
    const LENGTH: Duration = Duration::from_secs(15);
    for seed in [1, 2].map(Seed::new) {
        let unloaded = unloaded(seed).await.p99();
        let (service, shed) = guarded(seed);
        let seen = overload(service, seed, LENGTH).await;
        let (goodput, p99) = (seen.per_second(LENGTH) / CAPACITY, seen.p99());
        eprintln!(
            "seed {seed}: goodput {:.1} % of capacity, p99 {p99:?} ({unloaded:?} unloaded), {:?}",
            100.0 * goodput,
            shed.snapshot()
        );
        assert!(goodput >= 0.9, "{goodput}");
        assert!(p99 <= 2 * unloaded, "{p99:?}, {unloaded:?} unloaded");
        // A fifth of three times the capacity is less than the capacity.
        let most = f64::from(seen.served_most) / f64::from(seen.asked_most);
        assert!(most >= 0.99, "what matters most is served: {most}");
    }
}

#[tokio::test(start_paused = true)]
async fn without_guards_it_collapses() {
    const LENGTH: Duration = Duration::from_secs(15);
    let seed = Seed::new(1);
    let seen = overload(server(seed.stream("server")), seed, LENGTH).await;
    let goodput = seen.per_second(LENGTH) / CAPACITY;
    eprintln!("goodput {:.1} % of capacity without guards", 100.0 * goodput);
    assert!(goodput <= 0.1, "{goodput}: everything is served, and nearly everything too late");
}

#[tokio::test(start_paused = true)]
async fn the_same_seed_gives_the_same_run() {
    let seed = Seed::new(7);
    let mut seen = Vec::new();
    for _ in 0..2 {
        seen.push(overload(guarded(seed).0, seed, 500 * MS).await);
    }
    assert!(!seen[0].served.is_empty());
    assert_eq!(seen[0], seen[1]);
}
