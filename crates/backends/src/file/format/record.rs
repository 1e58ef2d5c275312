//! One event within a frame.
//!
//! Identity (16 bytes), flags, revision, time (seconds since 1970 folded by zigzag, nanoseconds), then stream,
//! source and type, then what the flags announce: subject, media type, schema, trace (16 + 8 + 1 bytes),
//! extensions (count, then name and value each); data last. Texts and data are a length and bytes; numbers are
//! varints, but those of fixed length are little-endian.

mod erased;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use steadfast_base::TraceContext;
use steadfast_core::store::NewEvent;
use steadfast_core::{Event, EventId};

use super::varint::{self, put, take, unzigzag, zigzag};

pub(crate) use erased::erase;

const SUBJECT: u8 = 1;
const CONTENT_TYPE: u8 = 1 << 1;
const SCHEMA: u8 = 1 << 2;
const TRACE: u8 = 1 << 3;
const EXTENSIONS: u8 = 1 << 4;
const ERASED: u8 = 1 << 5;

/// The bytes are not an event, though their checksum matched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Malformed;

/// An event as it lies in a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Record<'a> {
    pub(crate) id: u128,
    /// It was deleted, and nothing but its identity, revision and stream is left.
    pub(crate) erased: bool,
    pub(crate) revision: u64,
    pub(crate) stream: &'a str,
    time: SystemTime,
    source: &'a str,
    pub(crate) kind: &'a str,
    pub(crate) subject: Option<&'a str>,
    content_type: Option<&'a str>,
    schema: Option<&'a str>,
    trace: Option<TraceContext>,
    extensions: &'a [u8],
    extension_count: u64,
    pub(crate) data: &'a [u8],
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

impl<'a> Record<'a> {
    /// Takes a record off the front of `bytes`.
    pub(crate) fn take(bytes: &mut &'a [u8]) -> Result<Self, Malformed> {
        let id = u128::from_le_bytes(*take_array(bytes)?);
        let [flags] = *take_array(bytes)?;
        if flags == ERASED {
            return Self::take_erased(id, bytes);
        }
        if flags & !(SUBJECT | CONTENT_TYPE | SCHEMA | TRACE | EXTENSIONS) != 0 {
            return Err(Malformed);
        }
        let revision = take(bytes)?;
        let time = from_epoch(unzigzag(take(bytes)?), take(bytes)?)?;
        let (stream, source, kind) = (take_text(bytes)?, take_text(bytes)?, take_text(bytes)?);
        let mut optional = |flag: u8| (flags & flag != 0).then(|| take_text(bytes)).transpose();
        let (subject, content_type, schema) =
            (optional(SUBJECT)?, optional(CONTENT_TYPE)?, optional(SCHEMA)?);
        let trace = (flags & TRACE != 0).then(|| take_trace(bytes)).transpose()?;
        let extension_count = if flags & EXTENSIONS == 0 { 0 } else { take(bytes)? };
        let extensions = *bytes;
        for _ in 0..extension_count {
            take_text(bytes)?;
            take_text(bytes)?;
        }
        let data = take_bytes(bytes)?;
        Ok(Self {
            id,
            erased: false,
            revision,
            stream,
            time,
            source,
            kind,
            subject,
            content_type,
            schema,
            trace,
            extensions,
            extension_count,
            data,
        })
    }

    /// Makes the event with its `data`.
    pub(crate) fn to_event(self, names: &mut Names, data: Bytes) -> Result<Event, Malformed> {
        let (source, kind) = (recall(&mut names.source, self.source), recall(&mut names.kind, self.kind));
        let mut builder = Event::restore(EventId::from_u128(self.id), source, kind, self.time);
        if let Some(subject) = self.subject {
            builder = builder.subject(subject);
        }
        if let Some(content_type) = self.content_type {
            builder = builder.content_type(recall(&mut names.content_type, content_type));
        }
        if let Some(schema) = self.schema {
            builder = builder.data_schema(recall(&mut names.schema, schema));
        }
        if let Some(trace) = self.trace {
            builder = builder.trace(trace);
        }
        let mut rest = self.extensions;
        for _ in 0..self.extension_count {
            builder = builder.extension(take_text(&mut rest)?, take_text(&mut rest)?);
        }
        Ok(builder.bytes(data))
    }
}

/// The names of the event before, which those of the next one mostly are: they are shared and not made again.
#[derive(Debug, Default)]
pub(crate) struct Names {
    stream: Name,
    source: Name,
    kind: Name,
    content_type: Name,
    schema: Name,
}

type Name = Option<Arc<str>>;

impl Names {
    pub(crate) fn stream(&mut self, name: &str) -> Arc<str> {
        recall(&mut self.stream, name)
    }
}

fn recall(before: &mut Name, name: &str) -> Arc<str> {
    match before {
        Some(before) if **before == *name => Arc::clone(before),
        _ => Arc::clone(before.insert(name.into())),
    }
}

fn take_bytes<'a>(bytes: &mut &'a [u8]) -> Result<&'a [u8], Malformed> {
    let length = usize::try_from(take(bytes)?).map_err(|_| Malformed)?;
    let (taken, rest) = bytes.split_at_checked(length).ok_or(Malformed)?;
    *bytes = rest;
    Ok(taken)
}

fn take_text<'a>(bytes: &mut &'a [u8]) -> Result<&'a str, Malformed> {
    std::str::from_utf8(take_bytes(bytes)?).map_err(|_| Malformed)
}

fn take_array<'a, const N: usize>(bytes: &mut &'a [u8]) -> Result<&'a [u8; N], Malformed> {
    let (taken, rest) = bytes.split_first_chunk().ok_or(Malformed)?;
    *bytes = rest;
    Ok(taken)
}

fn take_trace(bytes: &mut &[u8]) -> Result<TraceContext, Malformed> {
    let trace_id = u128::from_le_bytes(*take_array(bytes)?);
    let span_id = u64::from_le_bytes(*take_array(bytes)?);
    let [flags] = *take_array(bytes)?;
    Ok(TraceContext::new(trace_id, span_id, false).map_err(|_| Malformed)?.with_flags(flags))
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

fn from_epoch(seconds: i64, nanos: u64) -> Result<SystemTime, Malformed> {
    let nanos = u32::try_from(nanos).ok().filter(|nanos| *nanos < 1_000_000_000).ok_or(Malformed)?;
    let whole = Duration::from_secs(seconds.unsigned_abs());
    let second = match seconds {
        0.. => SystemTime::UNIX_EPOCH.checked_add(whole),
        _ => SystemTime::UNIX_EPOCH.checked_sub(whole),
    };
    second.and_then(|second| second.checked_add(Duration::from_nanos(nanos.into()))).ok_or(Malformed)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn whole(record: Record<'_>) -> Result<Event, Malformed> {
        let data = Bytes::copy_from_slice(record.data);
        record.to_event(&mut Names::default(), data)
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
            prop_assert_eq!(whole(record).expect("valid"), new.event);
        }

        #[test]
        fn no_bytes_panic(bytes: Vec<u8>, new in event(), at: prop::sample::Index, value: u8) {
            let _ = Record::take(&mut bytes.as_slice()).map(whole);
            let mut buffer = Vec::new();
            encode(&mut buffer, &new, 1);
            let at = at.index(buffer.len());
            buffer[at] = value;
            let _ = Record::take(&mut buffer.as_slice()).map(whole);
            prop_assert!(Record::take(&mut &buffer[..at]).is_err());
        }
    }
}
