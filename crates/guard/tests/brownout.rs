//! A server that is five times as slow for a minute, in virtual time: how much is repeated meanwhile, and how soon all is
//! well after it. Callers that repeat without a budget keep it down.

use std::sync::Arc;
use std::time::Duration;

use steadfast_base::{Budget, Seed};
use steadfast_guard::testing::overload::{Ask, Load, Remote, Seen, Server};
use steadfast_guard::testing::{Failure, bare::Done};
use steadfast_guard::{
    Breaker, BreakerLayer, BreakerPolicy, DeadlineLayer, Error, RetryLayer, RetryPolicy, Shed, ShedLayer,
    ShedPolicy,
};
use tokio::time::sleep;
use tower::{Layer, Service, ServiceBuilder};

const SECOND: Duration = Duration::from_secs(1);
/// When the brown-out begins and ends, and the end of the run.
const BEGINS: Duration = Duration::from_secs(10);
const ENDS: Duration = Duration::from_secs(70);
const LENGTH: Duration = Duration::from_secs(90);

fn server() -> Server {
    Server::new(16, Duration::from_millis(20), Seed::new(1))
}

/// What callers saw, and how many calls came in during the brown-out for each that was made.
struct Run {
    seen: Seen,
    amplification: f64,
}

impl Run {
    /// Returns the first whole second after the brown-out from which on nearly all are served.
    fn recovered_after(&self) -> Option<u32> {
        let is_well = |second: u32| {
            let seen = self.seen.between(ENDS + second * SECOND, ENDS + (second + 1) * SECOND);
            seen.goodput() >= 0.95 * seen.offered()
        };
        let seconds = (LENGTH - ENDS).as_secs() as u32;
        (0..seconds).find(|first| (*first..seconds).all(is_well))
    }
}

async fn brown_out<S>(service: S, server: &Server, received: impl Fn() -> u64) -> Run
where
    S: Service<Ask, Response = Done, Error = Error<Failure>> + Clone + Send + 'static,
    S::Future: Send,
{
    let load = Load {
        rate: 0.7 * server.capacity(),
        length: LENGTH,
        patience: Duration::from_millis(300),
        ..Load::default()
    };
    let mut rng = Seed::new(1).stream("arrivals");
    let weather = async {
        sleep(BEGINS).await;
        let before = received();
        server.slow_down(5.0);
        sleep(ENDS - BEGINS).await;
        server.slow_down(1.0);
        received() - before
    };
    let (seen, received) = tokio::join!(load.offer(&service, &mut rng), weather);
    let made = seen.between(BEGINS, ENDS).calls.len();
    Run { seen, amplification: received as f64 / made as f64 }
}

#[tokio::test(start_paused = true)]
async fn with_guards_all_is_well_as_soon_as_it_ends() {
    let server = server();
    let shed = Shed::new("server", ShedPolicy::default(), Seed::new(1));
    let remote = Remote::new(ShedLayer::new(shed).layer(server.clone()));
    // Less than a tenth, for what was saved before the brown-out is spent in it too.
    let budget = Arc::new(Budget::new(0.08, 0));
    let service = ServiceBuilder::new()
        .layer(DeadlineLayer::new(Duration::from_millis(5), SECOND))
        .layer(RetryLayer::new(RetryPolicy::default(), budget, Seed::new(1)))
        .service(remote.clone());
    let run = brown_out(service, &server, || remote.received()).await;
    let (during, still) = (run.seen.between(BEGINS, ENDS), server.capacity() / 5.0);
    eprintln!(
        "recovered after {:?} s, {:.3} calls for each, {:.0} of {still:.0} per second are served meanwhile",
        run.recovered_after(),
        run.amplification,
        during.goodput()
    );
    assert!(run.amplification <= 1.1, "{}", run.amplification);
    assert!(during.goodput() >= 0.9 * still, "what can be served is served: {}", during.goodput());
    assert!(run.recovered_after().is_some_and(|seconds| seconds <= 5), "{:?}", run.recovered_after());
}

/// A server that sheds is not one that is down, whatever a breaker before it sees of refusals.
#[tokio::test(start_paused = true)]
async fn a_breaker_does_not_shut_out_what_a_shedding_server_can_still_do() {
    let server = server();
    let shed = Shed::new("server", ShedPolicy::default(), Seed::new(1));
    let remote = Remote::new(ShedLayer::new(shed).layer(server.clone()));
    let breaker = Breaker::new("server", BreakerPolicy::default());
    let service = ServiceBuilder::new()
        .layer(DeadlineLayer::new(Duration::from_millis(5), SECOND))
        .layer(RetryLayer::new(RetryPolicy::default(), Arc::new(Budget::new(0.08, 0)), Seed::new(1)))
        .layer(BreakerLayer::new(breaker.clone()))
        .service(remote.clone());
    let run = brown_out(service, &server, || remote.received()).await;
    let (during, still) = (run.seen.between(BEGINS, ENDS), server.capacity() / 5.0);
    eprintln!(
        "recovered after {:?} s, {:.0} of {still:.0} per second are served meanwhile",
        run.recovered_after(),
        during.goodput()
    );
    assert!(during.goodput() >= 0.9 * still, "what can be served is served: {}", during.goodput());
    assert!(run.recovered_after().is_some_and(|seconds| seconds <= 5), "{:?}", run.recovered_after());
    assert!(breaker.counts().succeeded > 0, "it saw the calls");
}

#[tokio::test(start_paused = true)]
async fn callers_that_repeat_without_a_budget_keep_it_down() {
    let server = server();
    let policy = RetryPolicy { attempt_timeout: Some(Duration::from_millis(100)), ..RetryPolicy::default() };
    let remote = Remote::new(server.clone());
    let retry = RetryLayer::new(policy, Arc::new(Budget::new(10.0, 1000)), Seed::new(1));
    let run = brown_out(retry.layer(remote.clone()), &server, || remote.received()).await;
    let after = run.seen.between(LENGTH - 5 * SECOND, LENGTH);
    eprintln!(
        "{:.2} calls for each; {:.0} of {:.0} are served 15 s after it ended",
        run.amplification,
        after.goodput(),
        after.offered()
    );
    assert!(run.amplification >= 2.0, "{}", run.amplification);
    assert_eq!(run.recovered_after(), None);
}
