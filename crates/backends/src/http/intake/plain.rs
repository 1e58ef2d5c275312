use std::time::SystemTime;

use bytes::Bytes;
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use steadfast_core::cloudevents::{self, Assembly, Error};
use steadfast_core::{Event, EventId};

use crate::http::Plain;

/// Makes an event of a request that is none.
pub(super) fn event(
    plain: &Plain,
    headers: &HeaderMap,
    body: Bytes,
    received: SystemTime,
) -> Result<Event, Error> {
    let text = |name: &str| match headers.get(name).map(|value| value.to_str()) {
        Some(Ok(text)) if !text.is_empty() => Ok(text),
        _ => Err(Error::Invalid {
            attribute: name.to_owned(),
            problem: "is a header that every request needs",
        }),
    };
    let mut assembly = Assembly::new();
    assembly.set("specversion", cloudevents::SPEC_VERSION)?;
    assembly.set("source", &plain.source)?;
    match &plain.type_header {
        Some(header) => assembly.set("type", &format!("{}.{}", plain.r#type, text(header)?))?,
        None => assembly.set("type", &plain.r#type)?,
    }
    match &plain.id_header {
        Some(header) => assembly.set("id", text(header)?)?,
        None => assembly.set("id", &EventId::generate().to_string())?,
    }
    if let Some(Ok(content_type)) = headers.get(CONTENT_TYPE).map(|value| value.to_str()) {
        assembly.set("datacontenttype", content_type)?;
    }
    assembly.finish(body, received)
}
