use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use bytes::Bytes;
use futures::future::BoxFuture;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use parking_lot::Mutex;
use steadfast_backends::http::{Config, Intake};
use steadfast_base::Deadline;
use steadfast_core::Event;
use steadfast_core::store::Durability;
use steadfast_core::transport::{Capabilities, Error, LinkState, Ordering, Sink, link};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// A server on loopback, until it is dropped.
pub(crate) struct Served {
    pub(crate) authority: String,
    task: JoinHandle<()>,
}

impl Served {
    pub(crate) async fn start(router: Router) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let authority = listener.local_addr().expect("bound").to_string();
        let serve = async move { axum::serve(listener, router).await.expect("served") };
        Self { authority, task: tokio::spawn(serve) }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/", self.authority)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Keeps what it is sent, and does what it is told meanwhile.
#[derive(Default)]
pub(crate) struct Kept {
    pub(crate) events: Mutex<Vec<Event>>,
    /// What the next calls fail with.
    pub(crate) errors: Mutex<Vec<Error>>,
    /// How long each call takes.
    pub(crate) delay: Duration,
    /// What it says that it has achieved; accepted if nothing is set.
    pub(crate) achieved: Option<Durability>,
}

impl Sink for Kept {
    fn system(&self) -> &'static str {
        "kept"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::new(Ordering::Total, Durability::Durable)
    }

    fn send<'a>(
        &'a self,
        events: &'a [Event],
        _: Durability,
        _: Deadline,
    ) -> BoxFuture<'a, Result<Durability, Error>> {
        Box::pin(async move {
            tokio::time::sleep(self.delay).await;
            if let Some(error) = self.errors.lock().pop() {
                return Err(error);
            }
            self.events.lock().extend_from_slice(events);
            Ok(self.achieved.unwrap_or(Durability::Accepted))
        })
    }

    fn link(&self) -> LinkState {
        link().1
    }

    fn close(&self, _: Deadline) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(async { Ok(()) })
    }
}

/// Waits until `is` says so, and fails after ten seconds.
pub(crate) async fn until(what: &str, is: impl Fn() -> bool) {
    let waiting = async {
        while !is() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    assert!(tokio::time::timeout(Duration::from_secs(10), waiting).await.is_ok(), "waited for: {what}");
}

/// Serves an intake that hands to `sink`.
pub(crate) async fn serve(sink: Arc<dyn Sink>, config: Config) -> (Served, Intake) {
    let intake = Intake::new(sink, config).expect("valid");
    (Served::start(intake.router()).await, intake)
}

pub(crate) fn client() -> Client<HttpConnector, Full<Bytes>> {
    Client::builder(TokioExecutor::new()).build_http()
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: http::HeaderMap,
    pub(crate) body: serde_json::Value,
}

pub(crate) async fn read(response: Response<hyper::body::Incoming>) -> Answer {
    let (parts, body) = response.into_parts();
    let body = body.collect().await.expect("a whole body").to_bytes();
    let body = serde_json::from_slice(&body).unwrap_or_default();
    Answer { status: parts.status, headers: parts.headers, body }
}

pub(crate) async fn post(served: &Served, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Answer {
    let request = headers
        .iter()
        .fold(Request::post(served.url()), |request, (name, value)| request.header(*name, *value));
    let request = request.body(Full::new(body.into())).expect("a request");
    read(client().request(request).await.expect("an answer")).await
}

/// The headers of the least event in binary mode.
pub(crate) const LEAST: [(&str, &str); 4] =
    [("ce-specversion", "1.0"), ("ce-id", "A-17"), ("ce-source", "/s"), ("ce-type", "t")];

/// The same event as JSON.
pub(crate) const LEAST_JSON: &str = r#"{"specversion":"1.0","id":"A-17","source":"/s","type":"t"}"#;
