use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use axum::{Router, middleware};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use tokio::time::Instant;

/// Upper bounds of the buckets of latency, in seconds.
const SECONDS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    method: String,
    route: String,
    status: u16,
}

/// Counts requests and measures how long they take, by route and status.
#[derive(Clone)]
pub struct HttpMetrics {
    seconds: Family<Labels, Histogram, fn() -> Histogram>,
    aborted: Counter,
}

impl HttpMetrics {
    /// Registers the metrics of HTTP with `registry`.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            seconds: Family::new_with_constructor(|| Histogram::new(SECONDS)),
            aborted: Counter::default(),
        };
        let help = "Time from a request's head to its response's head";
        registry.register("http_request_duration_seconds", help, metrics.seconds.clone());
        let help = "Requests whose client went away before the response";
        registry.register("http_requests_aborted", help, metrics.aborted.clone());
        metrics
    }

    /// Measures all requests of `router` that match a route.
    pub fn measure(self, router: Router) -> Router {
        router.route_layer(middleware::from_fn_with_state(self, measure))
    }
}

async fn measure(State(metrics): State<HttpMetrics>, request: Request, next: Next) -> Response {
    let (method, route) = (request.method().to_string(), request.extensions().get::<MatchedPath>());
    let route = route.map_or("", MatchedPath::as_str).to_owned();
    let started = Instant::now();
    let mut aborted = Aborted(Some(&metrics.aborted));
    let response = next.run(request).await;
    aborted.0 = None;
    let labels = Labels { method, route, status: response.status().as_u16() };
    metrics.seconds.get_or_create(&labels).observe(started.elapsed().as_secs_f64());
    response
}

/// Counts when dropped, unless the response came first.
struct Aborted<'a>(Option<&'a Counter>);

impl Drop for Aborted<'_> {
    fn drop(&mut self) {
        if let Some(counter) = self.0 {
            counter.inc();
        }
    }
}
