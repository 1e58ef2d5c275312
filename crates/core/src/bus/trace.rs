use tracing::Span;

/// The span of publishing, by OpenTelemetry's conventions for messaging; where nobody records it, it costs one look
/// at a number.
pub(super) fn publishing(topic: &str, batch: Option<usize>) -> Span {
    if !tracing::enabled!(tracing::Level::INFO) {
        return Span::none();
    }
    let span = tracing::info_span!(
        "publish",
        otel.name = tracing::field::Empty,
        otel.kind = "producer",
        messaging.system = "steadfast",
        messaging.operation.name = "publish",
        messaging.operation.type = "send",
        messaging.destination.name = topic,
        messaging.batch.message_count = batch,
    );
    if !span.is_disabled() {
        span.record("otel.name", format_args!("publish {topic}"));
    }
    span
}
