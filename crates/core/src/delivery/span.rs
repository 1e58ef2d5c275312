use steadfast_base::Context;
use tracing::Span;
use tracing::field::Empty;

use super::cause::Failed;
use super::shared::Shared;
use super::{Cause, Delivery, Inlet};

impl<T, I: Inlet<T>> Shared<T, I> {
    /// Makes the span of one call, named and described as OpenTelemetry's conventions for messaging say
    /// (<https://opentelemetry.io/docs/specs/semconv/messaging/messaging-spans/>). `traceparent` is the span that
    /// the message was sent in, for a bridge to OpenTelemetry to make it the parent.
    ///
    /// While nobody traces, it costs one comparison.
    pub(super) fn span(&self, deliveries: &[Delivery<T>]) -> Span {
        if !tracing::enabled!(tracing::Level::INFO) {
            return Span::none();
        }
        let (first, count) = (deliveries.first(), deliveries.len());
        let span = tracing::info_span!(
            "process",
            otel.name = format_args!("process {}", self.destination),
            otel.kind = "consumer",
            otel.status_code = Empty,
            error.type = Empty,
            messaging.system = self.handling.system,
            messaging.operation.name = "process",
            messaging.operation.type = "process",
            messaging.destination.name = &*self.destination,
            messaging.consumer.group.name = &*self.subscriber,
            messaging.message.id = Empty,
            messaging.batch.message_count = Empty,
            attempt = first.map(Delivery::attempt),
            traceparent = Empty,
        );
        if count > 1 {
            span.record("messaging.batch.message_count", count);
        } else if let Some(id) = first.and_then(Context::key) {
            span.record("messaging.message.id", id);
        }
        if let Some(trace) = first.and_then(Context::trace) {
            span.record("traceparent", tracing::field::display(trace));
        }
        span
    }
}

/// Notes in the span how the call has ended.
pub(super) fn end(span: &Span, result: &Result<(), Failed>) {
    if let (Err(failed), false) = (result, span.is_none()) {
        span.record("otel.status_code", "ERROR");
        let kind = match failed.cause {
            Cause::Failed { .. } => "error",
            Cause::Panicked { .. } => "panic",
            Cause::TimedOut => "timeout",
            _ => "_OTHER",
        };
        span.record("error.type", kind);
    }
}
