//! One event within a frame.
//!
//! Identity (16 bytes), flags, revision, time (seconds since 1970 folded by zigzag, nanoseconds), then stream,
//! source and type, then what the flags announce: subject, media type, schema, trace (16 + 8 + 1 bytes),
//! extensions (count, then name and value each); data last. Texts and data are a length and bytes; numbers are
//! varints, but those of fixed length are little-endian.

mod erased;

use std::time::{Duration, SystemTime};

use steadfast_core::store::NewEvent;

use super::raw::{Raw, text};
use super::varint::{self, put, zigzag};

pub(crate) use erased::erase;

pub(super) const SUBJECT: u8 = 1;
pub(super) const CONTENT_TYPE: u8 = 1 << 1;
pub(super) const SCHEMA: u8 = 1 << 2;
pub(super) const TRACE: u8 = 1 << 3;
pub(super) const EXTENSIONS: u8 = 1 << 4;
pub(super) const ERASED: u8 = 1 << 5;

/// The bytes are not an event, though their checksum matched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Malformed;

/// What the index needs of an event that lies in a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Record<'a> {
    pub(crate) id: u128,
    /// It was deleted, and nothing but its identity, revision and stream is left.
    pub(crate) erased: bool,
    pub(crate) revision: u64,
    pub(crate) stream: &'a str,
}

impl<'a> Record<'a> {
    /// Takes a record off the front of `bytes`, all of which is checked.
    pub(crate) fn take(bytes: &mut &'a [u8]) -> Result<Self, Malformed> {
        let raw = Raw::take(bytes)?;
        raw.check()?;
        Ok(Self { id: raw.id, erased: raw.erased, revision: raw.revision, stream: text(raw.stream)? })
    }
}

/// Returns a length that the record of `new` does not exceed.
pub(crate) fn length_max(new: &NewEvent) -> usize {
    let event = &new.event;
    let text = |text: Option<&str>| text.map_or(0, |text| text.len() + varint::BYTES_MAX);
    let extensions: usize = event.extensions().iter().map(|(n, v)| text(Some(n)) + text(Some(v))).sum();
    let fixed = 16 + 1 + 25 + 5 * varint::BYTES_MAX;
    let texts = [Some(&*new.stream), Some(event.source()), Some(event.kind()), event.subject()];
    let more = [event.content_type(), event.data_schema()];
    fixed + texts.into_iter().chain(more).map(text).sum::<usize>() + extensions + event.data().len()
}

pub(crate) fn encode(buffer: &mut Vec<u8>, new: &NewEvent, revision: u64) {
    let event = &new.event;
    let flag = |present: bool, flag: u8| if present { flag } else { 0 };
    buffer.extend_from_slice(&event.id().as_u128().to_le_bytes());
    buffer.push(
        flag(event.subject().is_some(), SUBJECT)
            | flag(event.content_type().is_some(), CONTENT_TYPE)
            | flag(event.data_schema().is_some(), SCHEMA)
            | flag(event.trace().is_some(), TRACE)
            | flag(!event.extensions().is_empty(), EXTENSIONS),
    );
    put(buffer, revision);
    let (seconds, nanos) = since_epoch(event.time());
    put(buffer, zigzag(seconds));
    put(buffer, u64::from(nanos));
    let put_bytes = |buffer: &mut Vec<u8>, bytes: &[u8]| {
        put(buffer, bytes.len() as u64);
        buffer.extend_from_slice(bytes);
    };
    for text in [&*new.stream, event.source(), event.kind()] {
        put_bytes(buffer, text.as_bytes());
    }
    let put_optional = |buffer: &mut Vec<u8>, text: Option<&str>| {
        if let Some(text) = text {
            put_bytes(buffer, text.as_bytes());
        }
    };
    put_optional(buffer, event.subject());
    put_optional(buffer, event.content_type());
    put_optional(buffer, event.data_schema());
    if let Some(trace) = event.trace() {
        buffer.extend_from_slice(&trace.trace_id().to_le_bytes());
        buffer.extend_from_slice(&trace.span_id().to_le_bytes());
        buffer.push(trace.flags());
    }
    if !event.extensions().is_empty() {
        put(buffer, event.extensions().len() as u64);
        for (name, value) in event.extensions() {
            put_bytes(buffer, name.as_bytes());
            put_bytes(buffer, value.as_bytes());
        }
    }
    put_bytes(buffer, event.data());
}

/// Whole seconds since 1970, rounded down, and the nanoseconds above them.
fn since_epoch(time: SystemTime) -> (i64, u32) {
    let seconds = |duration: Duration| i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
    match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(after) => (seconds(after), after.subsec_nanos()),
        Err(error) => {
            let before = error.duration();
            match before.subsec_nanos() {
                0 => (-seconds(before), 0),
                nanos => (-seconds(before) - 1, 1_000_000_000 - nanos),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;
    use steadfast_base::TraceContext;
    use steadfast_core::{Event, EventId};

    use super::super::names::Names;
    use super::super::raw::from_epoch;
    use super::*;

    /// Makes the event that `bytes` start with.
    fn whole(mut bytes: &[u8]) -> Result<Event, Malformed> {
        let raw = Raw::take(&mut bytes)?;
        let mut names = Names::default();
        names.stream(raw.stream)?;
        raw.make_event(&mut names, Bytes::copy_from_slice(raw.data))
    }

    prop_compose! {
        fn event()(
            id: u128,
            (stream, source, kind) in (".{1,20}", ".{0,20}", ".{0,20}"),
            subject in proptest::option::of(".{0,20}"),
            content_type in proptest::option::of(".{0,20}"),
            schema in proptest::option::of(".{0,20}"),
            trace in proptest::option::of((1_u128.., 1_u64.., any::<u8>())),
            extensions in proptest::collection::btree_map(".{0,8}", ".{0,8}", 0..4),
            (seconds, nanos) in (-10_000_000_000_i64..100_000_000_000, 0_u64..1_000_000_000),
            data: Vec<u8>,
        ) -> NewEvent {
            let time = from_epoch(seconds, nanos).expect("in range");
            let mut builder = Event::restore(EventId::from_u128(id), source, kind, time);
            if let Some(subject) = subject {
                builder = builder.subject(subject);
            }
            if let Some(content_type) = content_type {
                builder = builder.content_type(content_type);
            }
            if let Some(schema) = schema {
                builder = builder.data_schema(schema);
            }
            if let Some((trace_id, span_id, flags)) = trace {
                let trace = TraceContext::new(trace_id, span_id, false).expect("not zero");
                builder = builder.trace(trace.with_flags(flags));
            }
            for (name, value) in extensions {
                builder = builder.extension(name, value);
            }
            NewEvent { stream: stream.into(), event: builder.bytes(data) }
        }
    }

    proptest! {
        #[test]
        fn events_round_trip(new in event(), revision: u64) {
            let mut buffer = Vec::new();
            encode(&mut buffer, &new, revision);
            prop_assert!(buffer.len() <= length_max(&new));
            let mut rest = buffer.as_slice();
            let record = Record::take(&mut rest).expect("valid");
            prop_assert!(rest.is_empty());
            prop_assert_eq!((record.stream, record.revision), (&*new.stream, revision));
            prop_assert_eq!(whole(&buffer).expect("valid"), new.event);
        }

        #[test]
        fn no_bytes_panic(bytes: Vec<u8>, new in event(), at: prop::sample::Index, value: u8) {
            prop_assert_eq!(Record::take(&mut bytes.as_slice()).is_ok(), whole(&bytes).is_ok());
            let mut buffer = Vec::new();
            encode(&mut buffer, &new, 1);
            let at = at.index(buffer.len());
            buffer[at] = value;
            prop_assert_eq!(Record::take(&mut buffer.as_slice()).is_ok(), whole(&buffer).is_ok());
            prop_assert!(Record::take(&mut &buffer[..at]).is_err());
        }
    }
}
