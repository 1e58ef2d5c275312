use std::time::Duration;

use futures::future::BoxFuture;
use steadfast::base::{Classify, Context, Deadline, Seed};
use steadfast::guard::stack::{self, OutgoingSettings, OutgoingStack, Stack};
use steadfast::guard::{Registry, grpc_timeout_header};
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status, TimeoutExpired};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tower::util::BoxCloneSyncService;
use tower::{Layer, Service, ServiceExt};

use super::call::{Ask, Call, CallError, Done};
use crate::proto::inventory::inventory_client::InventoryClient;
use crate::proto::payment::payment_client::PaymentClient;

/// How long a connection may take to be made.
const CONNECT_WITHIN: Duration = Duration::from_secs(1);
/// How long a dependency may take to say that it is well.
const HEALTH_WITHIN: Duration = Duration::from_secs(1);

/// Why there is no way to a dependency.
#[derive(Debug, thiserror::Error)]
pub enum NoWay {
    /// The URL is not one of plain HTTP.
    #[error(transparent)]
    Url(#[from] tonic::transport::Error),
    /// The guards cannot be set like that.
    #[error(transparent)]
    Guards(#[from] stack::Error),
}

/// The programs that a confirmation needs.
#[derive(Debug, Clone)]
pub struct Dependencies {
    /// Sets stock aside.
    pub inventory: Dependency,
    /// Takes money.
    pub payment: Dependency,
}

/// A program behind its guards; cloning gives another handle.
#[derive(Debug, Clone)]
pub struct Dependency {
    name: &'static str,
    channel: Channel,
    stack: OutgoingStack,
    service: BoxCloneSyncService<Call, Done, CallError>,
}

impl Dependency {
    /// Makes the way to the program `name` at `url`, with guards before it, of which `breakers` lists the breaker; it is
    /// connected when first called.
    ///
    /// # Errors
    /// [`NoWay`].
    pub fn new(
        name: &'static str,
        url: &str,
        breakers: &Registry,
        guards: &OutgoingSettings,
        seed: Seed,
    ) -> Result<Self, NoWay> {
        let channel = Endpoint::from_shared(url.to_owned())?
            .connect_timeout(CONNECT_WITHIN)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(Duration::from_secs(10))
            .keep_alive_timeout(Duration::from_secs(5))
            .connect_lazy();
        let stack = Stack::outgoing(name).registry(breakers).seed(seed.derive(name)).configured(guards)?;
        tracing::info!("guards of calls to {name}:\n{stack}");
        let service = BoxCloneSyncService::new(stack.layer(Transport { channel: channel.clone() }));
        Ok(Self { name, channel, stack, service })
    }

    /// Returns the program's name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Returns the guards.
    pub fn stack(&self) -> &OutgoingStack {
        &self.stack
    }

    /// Returns the connection, for calls that have guards of their own.
    pub fn channel(&self) -> &Channel {
        &self.channel
    }

    /// Makes a call through the guards.
    ///
    /// # Errors
    /// [`CallError`], after the repetitions.
    pub async fn call(&self, call: Call) -> Result<Done, CallError> {
        self.service.clone().oneshot(call).await
    }

    /// Says whether the program says that it is well.
    pub async fn is_well(&self) -> bool {
        let mut client = HealthClient::new(self.channel.clone());
        let answer = client.check(HealthCheckRequest::default());
        match tokio::time::timeout(HEALTH_WITHIN, answer).await {
            Ok(Ok(answer)) => answer.into_inner().status() == ServingStatus::Serving,
            _ => false,
        }
    }
}

/// Sends a call, with what is left of its time.
#[derive(Debug, Clone)]
struct Transport {
    channel: Channel,
}

impl Service<Call> for Transport {
    type Response = Done;
    type Error = CallError;
    type Future = BoxFuture<'static, Result<Done, CallError>>;

    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), CallError>> {
        // The channel is asked within the call, where the deadline bounds the wait for it.
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, call: Call) -> Self::Future {
        let channel = self.channel.clone();
        Box::pin(async move {
            call.sent().set();
            match send(channel, &call).await {
                Ok(done) => Ok(done),
                // The channel counts the time too and may be a moment early. Whether it was the attempt's or the
                // caller's is for the guards to say, who drop this call when it is up.
                Err(status) if call.deadline().is_some() && is_timeout(&status) => {
                    std::future::pending().await
                }
                Err(status) => Err(status.into()),
            }
        })
    }
}

async fn send(channel: Channel, call: &Call) -> Result<Done, Status> {
    let head = match call.ask() {
        Ask::Reserve(message) => {
            InventoryClient::new(channel).reserve(request(message, call)?).await?.into_parts().0
        }
        Ask::Release(message) => {
            InventoryClient::new(channel).release(request(message, call)?).await?.into_parts().0
        }
        Ask::Charge(message) => {
            PaymentClient::new(channel).charge(request(message, call)?).await?.into_parts().0
        }
        Ask::Void(message) => PaymentClient::new(channel).void(request(message, call)?).await?.into_parts().0,
    };
    let mut head_only = axum::http::Response::new(());
    *head_only.headers_mut() = head.into_headers();
    Ok(Done { service_time: head_only.service_time() })
}

/// Says whether the channel has counted the time of a call, and found it up.
pub(in crate::orders) fn is_timeout(status: &Status) -> bool {
    let mut source = std::error::Error::source(status);
    while let Some(error) = source {
        if error.is::<TimeoutExpired>() {
            return true;
        }
        source = error.source();
    }
    false
}

/// Makes a request of gRPC with what is left of the call's time.
pub(in crate::orders) fn request<T: Clone>(message: &T, call: &impl Context) -> Result<Request<T>, Status> {
    let mut request = Request::new(message.clone());
    if let Some(remaining) = call.deadline().map(Deadline::remaining) {
        if remaining.is_zero() {
            return Err(Status::from_error(Box::new(TimeoutExpired(()))));
        }
        let value = ascii(grpc_timeout_header(remaining).to_str().unwrap_or_default())?;
        request.metadata_mut().insert("grpc-timeout", value);
    }
    if let Some(trace) = call.trace() {
        request.metadata_mut().insert("traceparent", ascii(&trace.to_string())?);
    }
    Ok(request)
}

fn ascii(text: &str) -> Result<MetadataValue<Ascii>, Status> {
    text.parse().map_err(|_| Status::internal("a header of ours is not ASCII"))
}
