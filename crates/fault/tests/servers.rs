//! The layer within real servers: axum and tonic on one port, asked over the loopback.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use axum::Router;
use axum::routing::get;
use steadfast_fault::{Fault, Injector, LeaseId};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tonic::Code;
use tonic::service::Routes;
use tonic::transport::Endpoint;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

async fn serve(injector: &Injector) -> SocketAddr {
    let (_reporter, health) = tonic_health::server::health_reporter();
    let calls = Routes::new(health).into_axum_router();
    let router =
        Router::new().route("/orders", get(|| async { "orders" })).merge(calls).layer(injector.layer());
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

/// Asks for `/orders` and returns the whole answer.
async fn ask(address: SocketAddr) -> String {
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    let request = b"GET /orders HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    stream.write_all(request).await.expect("written");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an answer");
    answer
}

fn inject(injector: &Injector, name: &str, fault: &str) -> LeaseId {
    let id: LeaseId = name.parse().expect("an id");
    let fault: Fault = serde_json::from_str(fault).expect("a fault");
    injector.inject(&id, fault, Duration::from_secs(60), None).expect("a lease");
    id
}

#[tokio::test]
async fn each_protocol_meets_its_own_faults() {
    let injector = Injector::detached();
    let address = serve(&injector).await;
    let endpoint = Endpoint::from_shared(format!("http://{address}")).expect("an address");
    let mut client = HealthClient::new(endpoint.connect().await.expect("a connection"));
    let check = HealthCheckRequest::default();
    assert!(ask(address).await.starts_with("HTTP/1.1 200 OK"));
    client.check(check.clone()).await.expect("healthy");

    let refuse = inject(&injector, "refuse", r#"{"grpc":{"status":"UNAVAILABLE","method":"Check"}}"#);
    let status = client.check(check.clone()).await.expect_err("unavailable");
    assert_eq!((status.code(), status.message()), (Code::Unavailable, "injected by fault refuse"));
    assert!(ask(address).await.ends_with("orders"));
    assert_eq!(injector.revoke(&refuse).expect("a lease").dose.failed, 1);

    let fail = inject(&injector, "fail", r#"{"http":{"status":503}}"#);
    let answer = ask(address).await;
    assert!(answer.starts_with("HTTP/1.1 503 Service Unavailable"), "{answer}");
    assert!(answer.contains("x-steadfast-fault: fail\r\n") && answer.ends_with("\r\n\r\n"), "{answer}");
    client.check(check.clone()).await.expect("healthy");
    assert_eq!(injector.revoke(&fail).expect("a lease").dose.failed, 1);

    inject(&injector, "slow", r#"{"grpc":{"delay":"80ms"}}"#);
    let asked = Instant::now();
    client.check(check).await.expect("healthy");
    assert!(asked.elapsed() >= Duration::from_millis(80));
}
