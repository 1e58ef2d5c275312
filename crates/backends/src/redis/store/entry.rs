//! How an event lies in an entry of the log: one field for each attribute, those that are absent left out.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use ::redis::Value;
use bytes::Bytes;
use steadfast_core::store::{Error, Position, Revision, StoredEvent};
use steadfast_core::{Event, EventId};

use super::place;
use crate::epoch;

/// Returns the fields and values of `event`, one after the other; its stream and revision are added by the script.
pub(super) fn encode(event: &Event) -> Vec<Bytes> {
    let (seconds, nanos) = epoch::split(event.time());
    let mut texts = Vec::with_capacity(22);
    let mut put = |field: &'static str, value: Bytes| {
        texts.push(Bytes::from_static(field.as_bytes()));
        texts.push(value);
    };
    put("id", event.id().to_string().into());
    put("kind", event.kind().to_owned().into());
    put("source", event.source().to_owned().into());
    put("seconds", seconds.to_string().into());
    put("nanos", nanos.to_string().into());
    let optional = [
        ("subject", event.subject().map(str::to_owned)),
        ("contentType", event.content_type().map(str::to_owned)),
        ("dataSchema", event.data_schema().map(str::to_owned)),
        ("trace", event.trace().map(|trace| trace.to_string())),
        (
            "extensions",
            (!event.extensions().is_empty())
                .then(|| serde_json::to_string(event.extensions()).expect("texts can be written as JSON")),
        ),
    ];
    for (field, value) in optional {
        if let Some(value) = value {
            put(field, value.into());
        }
    }
    put("data", event.data().clone());
    texts
}

/// An event and how many bytes it came as.
pub(super) struct Decoded {
    pub(super) stored: StoredEvent,
    pub(super) bytes: usize,
}

/// Reads an entry of `log`.
pub(super) fn decode(log: &str, entry: Value) -> Result<Decoded, Error> {
    let damaged =
        |id: &str, problem: String| Error::Damaged { place: format!("entry {id} of {log}"), problem };
    let Some((id, fields)) = parts(entry) else {
        return Err(damaged("?", "it is no entry of a stream".to_owned()));
    };
    let position = place::parse(&id).ok_or_else(|| damaged(&id, "its identity is no place".to_owned()))?;
    read(position, fields).map_err(|problem| damaged(&id, problem.to_string()))
}

fn parts(entry: Value) -> Option<(String, Vec<Value>)> {
    let Value::Array(pair) = entry else { return None };
    let [Value::BulkString(id), Value::Array(fields)] = <[Value; 2]>::try_from(pair).ok()? else {
        return None;
    };
    Some((String::from_utf8(id).ok()?, fields))
}

type Fields = HashMap<Vec<u8>, Vec<u8>>;
type Problem = Box<dyn std::error::Error + Send + Sync>;

fn optional<'f>(fields: &'f Fields, field: &str) -> Result<Option<&'f str>, Problem> {
    let value = fields.get(field.as_bytes()).map(|value| std::str::from_utf8(value));
    value.transpose().map_err(|_| format!("`{field}` is no text").into())
}

fn read(position: Position, fields: Vec<Value>) -> Result<Decoded, Problem> {
    let mut found = Fields::with_capacity(fields.len() / 2);
    let mut bytes = 0;
    let mut fields = fields.into_iter();
    while let (Some(Value::BulkString(field)), Some(Value::BulkString(value))) =
        (fields.next(), fields.next())
    {
        bytes += field.len() + value.len();
        found.insert(field, value);
    }
    let data = found.remove(&b"data"[..]).ok_or("`data` is missing")?;
    let optional = |field| optional(&found, field);
    let text =
        |field: &'static str| optional(field)?.ok_or_else(|| Problem::from(format!("`{field}` is missing")));
    let id: EventId = text("id")?.parse()?;
    let time =
        epoch::join(text("seconds")?.parse()?, text("nanos")?.parse()?).ok_or("its time is out of range")?;
    let mut event = Event::restore(id, text("source")?, text("kind")?, time);
    if let Some(subject) = optional("subject")? {
        event = event.subject(subject);
    }
    if let Some(media_type) = optional("contentType")? {
        event = event.content_type(media_type);
    }
    if let Some(schema) = optional("dataSchema")? {
        event = event.data_schema(schema);
    }
    if let Some(trace) = optional("trace")? {
        event = event.trace(trace.parse()?);
    }
    if let Some(extensions) = optional("extensions")? {
        let extensions: BTreeMap<String, String> = serde_json::from_str(extensions)?;
        for (name, value) in extensions {
            event = event.extension(name, value);
        }
    }
    let (stream, revision): (Arc<str>, _) = (text("stream")?.into(), Revision(text("revision")?.parse()?));
    let event = event.bytes(Bytes::from(data));
    Ok(Decoded { stored: StoredEvent { position, stream, revision, event }, bytes })
}

#[cfg(test)]
mod tests {
    use steadfast_base::TraceContext;

    use super::*;

    fn entry(id: &str, texts: &[Bytes]) -> Value {
        let mut fields: Vec<Value> = texts.iter().map(|text| Value::BulkString(text.to_vec())).collect();
        for text in ["stream", "s", "revision", "7"] {
            fields.push(Value::BulkString(text.into()));
        }
        Value::Array(vec![Value::BulkString(id.into()), Value::Array(fields)])
    }

    #[test]
    fn an_event_survives() {
        let trace = TraceContext::new(7, 9, true).expect("it is one");
        let event = Event::new("", "é").subject("").extension("empty", "").trace(trace);
        let event = event.data_schema("https://example.com/1").data("", vec![0_u8, 255]);
        let decoded = decode("log", entry("5-1", &encode(&event))).expect("it is one of ours");
        assert_eq!(decoded.stored.event, event);
        assert_eq!(decoded.stored.position, Position::from_parts(5, 1));
        assert_eq!((&*decoded.stored.stream, decoded.stored.revision), ("s", Revision(7)));
    }

    #[test]
    fn another_entry_is_named() {
        let wrong = decode("{shop}:log", entry("5-1", &["data".into(), "by hand".into()]));
        let Err(Error::Damaged { place, problem }) = wrong.map(|decoded| decoded.stored) else {
            panic!("it is no event")
        };
        assert_eq!((&*place, &*problem), ("entry 5-1 of {shop}:log", "`id` is missing"));
    }
}
