//! The JSON format of CloudEvents 1.0.2, of one event and of a batch
//! (<https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md>).

mod decode;
mod encode;

pub use decode::from_json;
pub use decode::from_json_batch;
pub use encode::to_json;
pub use encode::to_json_batch;

/// The media type of one event in JSON.
pub const JSON: &str = "application/cloudevents+json";

/// The media type of a batch of events in JSON.
pub const JSON_BATCH: &str = "application/cloudevents-batch+json";

/// Says whether `content_type` declares JSON: a subtype `json`, or one that ends with `+json`.
fn is_json(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    let Some((_, subtype)) = essence.split_once('/') else { return false };
    let ends_with = |end: &str| {
        let at = subtype.len().checked_sub(end.len());
        at.and_then(|at| subtype.get(at..)).is_some_and(|tail| tail.eq_ignore_ascii_case(end))
    };
    subtype.eq_ignore_ascii_case("json") || ends_with("+json")
}
