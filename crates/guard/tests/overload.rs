//! Three times what a server can serve, in virtual time: with load shedding, and without, where it collapses.

use std::time::Duration;

use steadfast_base::{Priority, Seed};
use steadfast_guard::shed::{Shed, ShedLayer, ShedPolicy};
use steadfast_guard::testing::overload::{Ask, Load, Remote, Seen, Server};
use steadfast_guard::testing::{Failure, bare::Done};
use tower::{Layer, Service};

const SECOND: Duration = Duration::from_secs(1);

fn server(seed: Seed) -> Server {
    Server::new(32, Duration::from_millis(20), seed)
}

/// Offers four fifths of the capacity, and then three times the capacity for `length`.
async fn overload<S>(service: S, capacity: f64, seed: Seed, length: Duration) -> Seen
where
    S: Service<Ask, Response = Done, Error = steadfast_guard::Error<Failure>> + Clone + Send + 'static,
    S::Future: Send,
{
    let mut rng = seed.stream("arrivals");
    Load { rate: 0.8 * capacity, ..Load::default() }.offer(&service, &mut rng).await;
    Load { rate: 3.0 * capacity, length, ..Load::default() }.offer(&service, &mut rng).await
}

async fn unloaded(seed: Seed) -> Duration {
    let server = server(seed);
    let load = Load { rate: 0.1 * server.capacity(), ..Load::default() };
    let seen = load.offer(&server, &mut seed.stream("arrivals")).await;
    seen.latency(0.99).expect("nearly all are served")
}

#[tokio::test(start_paused = true)]
async fn with_shedding_nearly_all_that_can_be_served_is_served_in_time() {
    for seed in [1, 2].map(Seed::new) {
        let (unloaded, server) = (unloaded(seed).await, server(seed));
        let shed = Shed::new("server", ShedPolicy::default(), seed);
        let service = Remote::new(ShedLayer::new(shed.clone()).layer(server.clone()));
        let seen = overload(service, server.capacity(), seed, 15 * SECOND).await;
        let goodput = seen.goodput() / server.capacity();
        let p99 = seen.latency(0.99).expect("calls are served");
        eprintln!(
            "seed {seed}: goodput {:.1} % of capacity, p99 {p99:?} ({unloaded:?} unloaded), {:?}",
            100.0 * goodput,
            shed.snapshot()
        );
        assert!(goodput >= 0.9, "{goodput}");
        assert!(p99 <= 2 * unloaded, "{p99:?}, {unloaded:?} unloaded");
        // A fifth of three times the capacity is less than the capacity.
        let most = seen.served_share(Priority::CriticalPlus);
        assert!(most >= 0.99, "what matters most is served: {most}");
    }
}

#[tokio::test(start_paused = true)]
async fn without_guards_it_collapses() {
    let seed = Seed::new(1);
    let server = server(seed);
    let seen = overload(Remote::new(server.clone()), server.capacity(), seed, 15 * SECOND).await;
    let goodput = seen.goodput() / server.capacity();
    eprintln!("goodput {:.1} % of capacity without guards", 100.0 * goodput);
    assert!(goodput <= 0.1, "{goodput}: everything is served, and nearly everything too late");
}

#[tokio::test(start_paused = true)]
async fn the_same_seed_gives_the_same_run() {
    let seed = Seed::new(7);
    let mut seen = Vec::new();
    for _ in 0..2 {
        let server = server(seed);
        let shed = Shed::new("server", ShedPolicy::default(), seed);
        let service = Remote::new(ShedLayer::new(shed).layer(server.clone()));
        seen.push(overload(service, server.capacity(), seed, SECOND / 2).await);
    }
    assert!(seen[0].goodput() > 0.0);
    assert_eq!(seen[0], seen[1]);
}
