//! An event as an entry of a stream: the fields `ce_NAME` and `data`.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use ::redis::Value;
use bytes::Bytes;
use steadfast_core::Event;
use steadfast_core::cloudevents::{self, Assembly};
use steadfast_core::transport::Error;

use super::SYSTEM;

const PREFIX: &str = "ce_";
const DATA: &str = "data";
/// How many names and values an entry may have: Lua hands no more than some 8,000 to one command.
const TEXTS_MAX: usize = 4_000;

/// The identity of an entry in its stream, which is also its place there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(super) struct EntryId {
    milliseconds: u64,
    sequence: u64,
}

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.milliseconds, self.sequence)
    }
}

impl FromStr for EntryId {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (milliseconds, sequence) = text.split_once('-').unwrap_or((text, "0"));
        Ok(Self { milliseconds: milliseconds.parse()?, sequence: sequence.parse()? })
    }
}

impl EntryId {
    pub(super) fn of(value: &Value) -> Option<Self> {
        text(value)?.parse().ok()
    }

    /// When Redis took it, by its clock.
    fn time(self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_millis(self.milliseconds)
    }
}

/// Returns the names and values of the entry for `event`, one after the other.
pub(super) fn encode(event: &Event) -> Result<Vec<Bytes>, Error> {
    let rejected = |error: cloudevents::Error| Error::Rejected { system: SYSTEM, reason: error.to_string() };
    let mut texts: Vec<Bytes> = Vec::with_capacity(20);
    for (name, value) in cloudevents::attributes(event).map_err(rejected)? {
        texts.push(format!("{PREFIX}{name}").into());
        texts.push(value.into_owned().into());
    }
    texts.push(Bytes::from_static(DATA.as_bytes()));
    texts.push(event.data().clone());
    if texts.len() > TEXTS_MAX {
        let reason = format!("the event has more than {} attributes", TEXTS_MAX / 2 - 1);
        return Err(Error::Rejected { system: SYSTEM, reason });
    }
    Ok(texts)
}

/// Reads the event of an entry whose names and values are `fields`.
pub(super) fn decode(id: EntryId, fields: &[Value]) -> Result<Event, String> {
    let mut assembly = Assembly::new();
    let mut data = Bytes::new();
    for pair in fields.chunks_exact(2) {
        match (text(&pair[0]), &pair[1]) {
            (Some(DATA), Value::BulkString(bytes)) => data = Bytes::copy_from_slice(bytes),
            (Some(name), value) => {
                // Fields that are none of ours may be there; they are passed over.
                let Some(name) = name.strip_prefix(PREFIX) else { continue };
                let value = text(value).ok_or_else(|| format!("`{name}` is no text"))?;
                assembly.set(name, value).map_err(|error| error.to_string())?;
            }
            (None, _) => return Err("a name is no text".to_owned()),
        }
    }
    assembly.finish(data, id.time()).map_err(|error| error.to_string())
}

/// Returns the text that Redis answered with.
pub(super) fn text(value: &Value) -> Option<&str> {
    match value {
        Value::BulkString(bytes) => std::str::from_utf8(bytes).ok(),
        Value::SimpleString(text) => Some(text),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn values(texts: &[Bytes]) -> Vec<Value> {
        texts.iter().map(|text| Value::BulkString(text.to_vec())).collect()
    }

    proptest! {
        #[test]
        fn an_event_survives(key in "\\PC{1,8}", data in prop::collection::vec(any::<u8>(), 0..64), tenant in "[a-z]{1,5}") {
            let event = Event::new("/orders", "order.created")
                .subject(key)
                .extension("tenant", tenant)
                .data("application/octet-stream", data);
            let fields = values(&encode(&event).expect("it can be encoded"));
            prop_assert_eq!(decode(EntryId::default(), &fields), Ok(event));
        }

        #[test]
        fn an_identity_survives(milliseconds: u64, sequence: u64) {
            let id = EntryId { milliseconds, sequence };
            prop_assert_eq!(id.to_string().parse(), Ok(id));
        }
    }

    #[test]
    fn other_fields_are_passed_over_and_missing_ones_named() {
        let fields = values(&["note".into(), "by hand".into(), "ce_id".into(), "1".into()]);
        let problem = decode(EntryId::default(), &fields).expect_err("it is no event");
        assert!(problem.contains("specversion"), "{problem}");
    }
}
