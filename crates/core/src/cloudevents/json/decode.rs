use std::borrow::Cow;
use std::fmt;
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::is_json;
use crate::Event;
use crate::cloudevents::{Assembly, Error};

/// Reads one event in the JSON format of CloudEvents; `received` is its time if it has none.
///
/// `data` without `datacontenttype` is JSON, as the format has it, and gets the media type `application/json`.
///
/// # Errors
/// See [`Error`].
pub fn from_json(json: &[u8], received: SystemTime) -> Result<Event, Error> {
    let members: Members<'_> = serde_json::from_slice(json).map_err(|error| not_json(&error))?;
    members.event(received)
}

/// Reads a batch of at most `max` events in the JSON batch format of CloudEvents; an empty batch is one.
///
/// # Errors
/// [`Error::BatchTooLong`]; [`Error::InBatch`] for what is wrong with an event; [`Error::Json`]. One event that is
/// wrong makes the whole batch wrong.
pub fn from_json_batch(json: &[u8], max: usize, received: SystemTime) -> Result<Vec<Event>, Error> {
    let mut reader = serde_json::Deserializer::from_slice(json);
    let mut events = Vec::new();
    let mut found = Ok(());
    let walk = Batch { max, received, events: &mut events, found: &mut found };
    let walked = reader.deserialize_seq(walk).and_then(|()| reader.end());
    found?;
    walked.map_err(|error| not_json(&error))?;
    Ok(events)
}

fn not_json(error: &serde_json::Error) -> Error {
    Error::Json { reason: error.to_string() }
}

/// The members of an object, the values as they are written.
struct Members<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Object)
    }
}

struct Object;

impl<'de> Visitor<'de> for Object {
    type Value = Members<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an event as a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::with_capacity(10);
        while let Some((name, value)) = map.next_entry::<Text<'de>, &'de RawValue>()? {
            members.push((name.0, value));
        }
        Ok(Members(members))
    }
}

impl Members<'_> {
    fn event(self, received: SystemTime) -> Result<Event, Error> {
        let mut assembly = Assembly::new();
        let (mut data, mut base64) = (None, None);
        for (name, value) in &self.0 {
            let place = match name.as_ref() {
                "data" => &mut data,
                "data_base64" => &mut base64,
                name => {
                    if let Some(text) = scalar(name, value)? {
                        assembly.set(name, &text)?;
                    }
                    continue;
                }
            };
            if place.replace(*value).is_some() {
                return Err(Error::Twice { attribute: name.clone().into_owned() });
            }
        }
        let data = body(&mut assembly, data, base64.filter(|value| value.get() != "null"))?;
        assembly.finish(data, received)
    }
}

/// Returns the canonical text of an attribute's value (section "Type system" of CloudEvents), none for `null`.
fn scalar<'a>(name: &str, value: &'a RawValue) -> Result<Option<Cow<'a, str>>, Error> {
    let json = value.get();
    match json.as_bytes()[0] {
        b'"' => Ok(Some(text(name, value)?)),
        b'n' => Ok(None),
        b't' | b'f' => Ok(Some(Cow::Borrowed(json))),
        b'-' | b'0'..=b'9' if json.parse::<i32>().is_ok() => Ok(Some(Cow::Borrowed(json))),
        _ => Err(Error::invalid(name, "is neither a string nor a boolean nor an integer of 32 bits")),
    }
}

fn text<'a>(name: &str, value: &'a RawValue) -> Result<Cow<'a, str>, Error> {
    let text: Result<Text<'a>, _> = serde_json::from_str(value.get());
    text.map(|text| text.0).map_err(|_| Error::invalid(name, "is not a string"))
}

fn body(assembly: &mut Assembly, data: Option<&RawValue>, base64: Option<&RawValue>) -> Result<Bytes, Error> {
    match (data, base64) {
        (None, None) => Ok(Bytes::new()),
        (Some(_), Some(_)) => Err(Error::Twice { attribute: "data".to_owned() }),
        (None, Some(value)) => {
            let decoded = STANDARD.decode(text("data_base64", value)?.as_bytes());
            decoded.map(Bytes::from).map_err(|_| Error::invalid("data_base64", "is not Base64"))
        }
        (Some(value), None) => match assembly.content_type().map(is_json) {
            Some(true) => Ok(Bytes::copy_from_slice(value.get().as_bytes())),
            Some(false) if value.get() == "null" => Ok(Bytes::new()),
            Some(false) if value.get().starts_with('"') => {
                text("data", value).map(|text| Bytes::from(text.into_owned()))
            }
            Some(false) => Err(Error::invalid("data", "is not a string, though its media type is not JSON")),
            None if value.get() == "null" => Ok(Bytes::new()),
            None => {
                assembly.set("datacontenttype", "application/json")?;
                Ok(Bytes::copy_from_slice(value.get().as_bytes()))
            }
        },
    }
}

/// Walks over a batch and makes each event at once, so that one that is too long is not read to its end.
struct Batch<'e> {
    max: usize,
    received: SystemTime,
    events: &'e mut Vec<Event>,
    found: &'e mut Result<(), Error>,
}

impl<'de> Visitor<'de> for Batch<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of events")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<(), A::Error> {
        while let Some(members) = sequence.next_element::<Members<'de>>()? {
            let index = self.events.len();
            let event = if index < self.max {
                members
                    .event(self.received)
                    .map_err(|source| Error::InBatch { index, source: Box::new(source) })
            } else {
                Err(Error::BatchTooLong { max: self.max })
            };
            match event {
                Ok(event) => self.events.push(event),
                Err(error) => {
                    *self.found = Err(error);
                    return Err(A::Error::custom("an event is wrong"));
                }
            }
        }
        Ok(())
    }
}

/// A string that is borrowed where it holds no escape.
struct Text<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visit;
        impl<'de> Visitor<'de> for Visit {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(Visit)
    }
}
