//! Channels to a real gRPC server, whose connections are cut and frozen.

#[path = "../disturber/mod.rs"]
mod disturber;
#[path = "../supervised/mod.rs"]
mod supervised;

use std::time::Duration;

use disturber::{Disturber, Mode};
use steadfast_backends::grpc::Channels;
use steadfast_guard::pool_health::{Health, PoolHealthPolicy, Probe};
use supervised::{failures, found, supervise};
use tokio_util::task::AbortOnDropHandle;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Endpoint, Server};
use tonic_health::ServingStatus;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::server::{HealthReporter, health_reporter};

const SIZE: usize = 4;
const INTERVAL: Duration = Duration::from_millis(100);
/// Two rounds, each with its checks and a new connection, and a second for a machine that has much to do.
const FOUND_WITHIN: Duration = Duration::from_millis(2 * (120 + 200 + 200) + 1000);

struct Bench {
    disturber: Disturber,
    channels: Channels,
    reporter: HealthReporter,
    _server: AbortOnDropHandle<()>,
}

impl Bench {
    async fn new() -> Self {
        let (reporter, service) = health_reporter();
        reporter.set_service_status("shop.Inventory", ServingStatus::Serving).await;
        let incoming = TcpIncoming::bind("127.0.0.1:0".parse().expect("an address")).expect("a port is free");
        let address = incoming.local_addr().expect("it is bound");
        let serving = async move {
            let serving = Server::builder().add_service(service).serve_with_incoming(incoming);
            serving.await.expect("it serves");
        };
        let server = AbortOnDropHandle::new(tokio::spawn(serving));
        let disturber = Disturber::start(address).await;
        let endpoint = Endpoint::from_shared(format!("http://{}", disturber.address())).expect("a URL");
        let channels = Channels::new(endpoint, SIZE, "shop.Inventory");
        let bench = Self { disturber, channels, reporter, _server: server };
        assert_eq!(bench.failures(SIZE).await, 0);
        assert_eq!(bench.disturber.accepted(), SIZE);
        bench
    }

    fn supervise(&self) -> (Probe, AbortOnDropHandle<()>) {
        let policy = PoolHealthPolicy { interval: INTERVAL, ..PoolHealthPolicy::default() };
        supervise(self.channels.clone(), policy)
    }

    /// Calls often; says how often no answer came in good time.
    async fn failures(&self, calls: usize) -> usize {
        let ask = async || {
            let mut client = HealthClient::new(self.channels.get());
            client.check(HealthCheckRequest::default()).await.is_ok()
        };
        failures(calls, ask).await
    }
}

#[tokio::test]
async fn frozen_channels_are_replaced_before_callers_meet_them() {
    let bench = Bench::new().await;
    let (probe, _running) = bench.supervise();
    bench.disturber.change(2, Mode::Frozen);
    let took = found(&probe, |snapshot| snapshot.evicted == 2).await;
    assert!(took <= FOUND_WITHIN, "{took:?}");
    assert_eq!(bench.failures(20).await, 0);
    assert_eq!((probe.snapshot().evicted, probe.snapshot().size), (2, SIZE as u64));
}

#[tokio::test]
async fn without_a_supervisor_callers_meet_them_again_and_again() {
    let bench = Bench::new().await;
    bench.disturber.change(2, Mode::Frozen);
    assert_eq!(bench.failures(2 * SIZE).await, 4);
}

#[tokio::test]
async fn all_frozen_with_a_server_that_is_well_are_replaced_all() {
    let bench = Bench::new().await;
    let (probe, _running) = bench.supervise();
    bench.disturber.change(SIZE, Mode::Frozen);
    let took = found(&probe, |snapshot| snapshot.evicted == SIZE as u64).await;
    assert!(took <= FOUND_WITHIN, "{took:?}");
    assert_eq!(probe.snapshot().opened_failed, 0);
    assert_eq!(bench.failures(20).await, 0);
}

#[tokio::test]
async fn channels_that_were_cut_are_well_after_a_few_rounds() {
    let bench = Bench::new().await;
    let (probe, _running) = bench.supervise();
    bench.disturber.cut();
    let rounds = probe.snapshot().rounds;
    let took = found(&probe, |snapshot| snapshot.rounds >= rounds + 2).await;
    assert!(took <= FOUND_WITHIN, "{took:?}");
    assert_eq!(bench.failures(20).await, 0);
    found(&probe, |snapshot| snapshot.health == Health::Healthy).await;
}

#[tokio::test]
async fn a_server_that_does_not_serve_is_unhealthy_until_it_does() {
    let bench = Bench::new().await;
    let (probe, _running) = bench.supervise();
    bench.reporter.set_service_status("shop.Inventory", ServingStatus::NotServing).await;
    found(&probe, |snapshot| snapshot.health == Health::Unhealthy && snapshot.rounds >= 3).await;
    let snapshot = probe.snapshot();
    assert!(snapshot.evicted <= snapshot.rounds && snapshot.kept > 0, "{snapshot:?}");
    assert!(
        snapshot.last_error.as_deref().is_some_and(|error| error.contains("NOT_SERVING")),
        "{snapshot:?}"
    );
    bench.reporter.set_service_status("shop.Inventory", ServingStatus::Serving).await;
    found(&probe, |snapshot| snapshot.health == Health::Healthy).await;
}

#[tokio::test]
async fn a_slow_server_is_unhealthy_and_most_of_its_channels_stay() {
    let bench = Bench::new().await;
    let (probe, _running) = bench.supervise();
    bench.disturber.change_all(Mode::Slow(Duration::from_millis(150)));
    found(&probe, |snapshot| snapshot.health == Health::Unhealthy && snapshot.rounds >= 3).await;
    let snapshot = probe.snapshot();
    assert!(snapshot.evicted <= snapshot.rounds && snapshot.kept > 0, "{snapshot:?}");
    bench.disturber.change_all(Mode::Pass);
    found(&probe, |snapshot| snapshot.health == Health::Healthy).await;
    assert_eq!(bench.failures(20).await, 0);
}
