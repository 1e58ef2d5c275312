use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::value::RawValue;

use super::is_json;
use crate::Event;
use crate::cloudevents::{Error, attributes};

/// Writes `event` in the JSON format of CloudEvents.
///
/// Data that its media type declares to be JSON, and that is, stands in `data` as it is; text of another media type
/// stands there as a string; anything else, and data without a media type, in `data_base64`.
///
/// # Errors
/// [`Error::Invalid`] and [`Error::Name`] when the event has an attribute that CloudEvents forbids.
///
/// # Examples
/// ```
/// use std::time::SystemTime;
/// use steadfast_core::{Event, cloudevents};
///
/// let event = Event::new("/orders", "order.created").data("application/json", r#"{"total": 5}"#);
/// let json = cloudevents::to_json(&event)?;
/// assert_eq!(cloudevents::from_json(&json, SystemTime::now())?, event);
/// # Ok::<(), cloudevents::Error>(())
/// ```
pub fn to_json(event: &Event) -> Result<Vec<u8>, Error> {
    let mut json = Vec::with_capacity(256 + event.data().len());
    write(event, &mut json)?;
    Ok(json)
}

/// Writes `events` in the JSON batch format of CloudEvents; see [`to_json`].
///
/// # Errors
/// [`Error::InBatch`] with what is wrong with one of them.
pub fn to_json_batch(events: &[Event]) -> Result<Vec<u8>, Error> {
    let data: usize = events.iter().map(|event| event.data().len()).sum();
    let mut json = Vec::with_capacity(2 + 256 * events.len() + data);
    json.push(b'[');
    for (index, event) in events.iter().enumerate() {
        if index > 0 {
            json.push(b',');
        }
        write(event, &mut json).map_err(|source| Error::InBatch { index, source: Box::new(source) })?;
    }
    json.push(b']');
    Ok(json)
}

fn write(event: &Event, json: &mut Vec<u8>) -> Result<(), Error> {
    let mut separator = b'{';
    for (name, value) in attributes(event)? {
        member(json, separator, name);
        string(json, &value);
        separator = b',';
    }
    match Form::of(event) {
        Form::None => {}
        Form::Json(text) => {
            member(json, separator, "data");
            json.extend_from_slice(text.get().as_bytes());
        }
        Form::Text(text) => {
            member(json, separator, "data");
            string(json, text);
        }
        Form::Binary(data) => {
            member(json, separator, "data_base64");
            json.push(b'"');
            let start = json.len();
            // Four characters for each three bytes begun.
            json.resize(start + data.len().div_ceil(3) * 4, 0);
            STANDARD.encode_slice(data, &mut json[start..]).expect("the slice has room for it");
            json.push(b'"');
        }
    }
    json.push(b'}');
    Ok(())
}

/// How the data is written.
enum Form<'e> {
    None,
    Json(&'e RawValue),
    Text(&'e str),
    Binary(&'e [u8]),
}

impl<'e> Form<'e> {
    fn of(event: &'e Event) -> Self {
        let data: &[u8] = event.data();
        match event.content_type() {
            _ if data.is_empty() => Self::None,
            Some(kind) if is_json(kind) => {
                serde_json::from_slice(data).map_or(Self::Binary(data), Self::Json)
            }
            Some(_) => std::str::from_utf8(data).ok().filter(is_text).map_or(Self::Binary(data), Self::Text),
            // A reader takes `data` without a media type for JSON, which this need not be.
            None => Self::Binary(data),
        }
    }
}

fn is_text(text: &&str) -> bool {
    !text.bytes().any(|byte| byte.is_ascii_control() && !matches!(byte, b'\t' | b'\n' | b'\r'))
}

fn member(json: &mut Vec<u8>, separator: u8, name: &str) {
    // Names are letters, digits and `_`, which need no escape.
    json.extend_from_slice(&[separator, b'"']);
    json.extend_from_slice(name.as_bytes());
    json.extend_from_slice(b"\":");
}

fn string(json: &mut Vec<u8>, text: &str) {
    serde_json::to_writer(json, text).expect("a string is written to memory");
}
