use std::convert::Infallible;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response};
use steadfast::fault::FaultLayer;
use tonic::server::NamedService;
use tonic_health::ServingStatus;
use tonic_health::server::{HealthReporter, health_reporter};
use tower::{Service, ServiceBuilder};

use super::guards::Incoming;

/// Makes the route of the gRPC service `service` behind `guards`, with faults innermost, so that all else stays under
/// test.
pub fn route<S>(service: S, faults: FaultLayer, guards: &Incoming) -> Router
where
    S: Service<Request<Body>, Response = Response<tonic::body::Body>, Error = Infallible>
        + NamedService
        + Clone
        + Send
        + Sync
        + 'static,
    S::Future: Send + 'static,
{
    let service = ServiceBuilder::new()
        .map_response(|response: Response<tonic::body::Body>| response.map(Body::new))
        .layer(faults)
        .service(service);
    let service = guards.service(service);
    Router::new().route_service(&format!("/{}/{{method}}", S::NAME), service)
}

/// Says over `grpc.health.v1` whether the program is ready; not yet at first.
pub struct Health {
    reporter: HealthReporter,
    services: Vec<&'static str>,
}

impl Health {
    /// Makes the health of the whole program and of `service`, and the route that tells it.
    pub async fn new(service: &'static str) -> (Self, Router) {
        let (reporter, server) = health_reporter();
        let health = Self { reporter, services: vec!["", service] };
        health.set(ServingStatus::NotServing).await;
        let route = Router::new().route_service("/grpc.health.v1.Health/{method}", server);
        (health, route)
    }

    /// Says that the program is ready.
    pub async fn ready(&self) {
        self.set(ServingStatus::Serving).await;
    }

    async fn set(&self, status: ServingStatus) {
        for service in &self.services {
            self.reporter.set_service_status(*service, status).await;
        }
    }
}
