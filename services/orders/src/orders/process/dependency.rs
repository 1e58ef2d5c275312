use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use steadfast::base::{Backoff, Budget, Context, Deadline, Seed};
use steadfast::guard::breaker::Window;
use steadfast::guard::{
    Breaker, BreakerLayer, BreakerPolicy, DeadlineLayer, Registry, RetryLayer, RetryPolicy,
    grpc_timeout_header,
};
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status, TimeoutExpired};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tower::util::BoxCloneSyncService;
use tower::{Service, ServiceBuilder, ServiceExt};

use super::call::{Ask, Call, CallError, Done};
use crate::proto::inventory::inventory_client::InventoryClient;
use crate::proto::payment::payment_client::PaymentClient;

/// The time kept back of an outgoing call's deadline: for the way there and back.
const OVERHEAD: Duration = Duration::from_millis(5);
/// How long a connection may take to be made.
const CONNECT_WITHIN: Duration = Duration::from_secs(1);
/// How long a dependency may take to say that it is well.
const HEALTH_WITHIN: Duration = Duration::from_secs(1);

/// Which guards stand before a dependency. All of them do but where proof is to find that one is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Guards {
    /// Calls are repeated.
    pub retry: bool,
    /// Calls have a deadline, and a breaker stands before them.
    pub deadline_and_breaker: bool,
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
    stack: BoxCloneSyncService<Call, Done, CallError>,
}

impl Dependency {
    /// Makes the way to the program `name` at `url`, with a breaker of `breakers` before it; it is connected when
    /// first called.
    ///
    /// # Errors
    /// `url` is not one of plain HTTP.
    pub fn new(
        name: &'static str,
        url: &str,
        breakers: &Registry,
        guards: Guards,
        seed: Seed,
    ) -> Result<Self, tonic::transport::Error> {
        let channel = Endpoint::from_shared(url.to_owned())?
            .connect_timeout(CONNECT_WITHIN)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(Duration::from_secs(10))
            .keep_alive_timeout(Duration::from_secs(5))
            .connect_lazy();
        let breaker = breakers.breaker(name, breaker_policy());
        let stack = stack(Transport { channel: channel.clone() }, &breaker, guards, seed.derive(name));
        Ok(Self { name, channel, stack })
    }

    /// Returns the program's name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Makes a call through the guards.
    ///
    /// # Errors
    /// [`CallError`], after the repetitions.
    pub async fn call(&self, call: Call) -> Result<Done, CallError> {
        self.stack.clone().oneshot(call).await
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

/// The guards of a call, outermost first.
fn stack(
    transport: Transport,
    breaker: &Breaker,
    guards: Guards,
    seed: Seed,
) -> BoxCloneSyncService<Call, Done, CallError> {
    let retry = RetryLayer::new(retry_policy(guards.retry), Arc::new(Budget::new(0.6, 10)), seed);
    if guards.deadline_and_breaker {
        let stack = ServiceBuilder::new()
            // Outermost, so that it bounds all attempts and the waits between them.
            .layer(DeadlineLayer::new(OVERHEAD, Duration::from_secs(3)))
            .layer(retry)
            // Innermost, so that it sees each attempt, and an open breaker is waited for within the deadline.
            .layer(BreakerLayer::new(breaker.clone()))
            .service(transport);
        BoxCloneSyncService::new(stack)
    } else {
        BoxCloneSyncService::new(ServiceBuilder::new().layer(retry).service(transport))
    }
}

/// Six attempts: of calls of which 30 % fail, one in 1,400 fails six times (0.3⁶). They need 0.43 repetitions for
/// each call (0.3 + 0.3² + …), so the budget is 0.6: enough for that, and a bound where everything fails. The waits
/// are short, for a call takes a few milliseconds and the caller may give no more than a few hundred.
fn retry_policy(enabled: bool) -> RetryPolicy {
    RetryPolicy {
        attempts_max: if enabled { 6 } else { 1 },
        backoff: Backoff {
            initial: Duration::from_millis(10),
            max: Duration::from_millis(160),
            ..Backoff::default()
        },
        attempt_timeout: enabled.then_some(Duration::from_secs(1)),
        ..RetryPolicy::default()
    }
}

/// Opens when 70 of 100 calls failed: a dependency that is slow for half of its calls still does useful work, and
/// those that are too late for the caller are finished in the background.
fn breaker_policy() -> BreakerPolicy {
    BreakerPolicy {
        window: Window::Calls(100),
        failure_ratio: 0.7,
        consecutive_failures: None,
        ..BreakerPolicy::default()
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
            match send(channel, &call).await {
                Ok(()) => Ok(Done),
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

async fn send(channel: Channel, call: &Call) -> Result<(), Status> {
    match call.ask() {
        Ask::Reserve(message) => {
            InventoryClient::new(channel).reserve(request(message, call)?).await?;
        }
        Ask::Release(message) => {
            InventoryClient::new(channel).release(request(message, call)?).await?;
        }
        Ask::Charge(message) => {
            PaymentClient::new(channel).charge(request(message, call)?).await?;
        }
        Ask::Void(message) => {
            PaymentClient::new(channel).void(request(message, call)?).await?;
        }
    }
    Ok(())
}

fn is_timeout(status: &Status) -> bool {
    let mut source = std::error::Error::source(status);
    while let Some(error) = source {
        if error.is::<TimeoutExpired>() {
            return true;
        }
        source = error.source();
    }
    false
}

fn request<T: Clone>(message: &T, call: &Call) -> Result<Request<T>, Status> {
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
