//! One event as its bytes lie in a frame. Texts are checked when they are asked for, since one that equals the text of
//! the event before need not be.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use steadfast_base::TraceContext;
use steadfast_core::store::Filter;
use steadfast_core::{Event, EventId};

use super::names::Names;
use super::record::{CONTENT_TYPE, ERASED, EXTENSIONS, Malformed, SCHEMA, SUBJECT, TRACE};
use super::varint::{take, unzigzag};
use crate::file::index::Deletions;

/// An event of which nothing but the lengths of its parts has been looked at.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Raw<'a> {
    pub(crate) id: u128,
    /// It was deleted, and nothing but its identity, revision and stream is left.
    pub(crate) erased: bool,
    pub(crate) revision: u64,
    seconds: i64,
    nanos: u64,
    pub(crate) stream: &'a [u8],
    source: &'a [u8],
    kind: &'a [u8],
    subject: Option<&'a [u8]>,
    content_type: Option<&'a [u8]>,
    schema: Option<&'a [u8]>,
    trace: Option<&'a [u8; 25]>,
    /// Names and values in turn, and how many pairs they are.
    extensions: (&'a [u8], u64),
    pub(crate) data: &'a [u8],
}

impl<'a> Raw<'a> {
    /// Takes an event off the front of `bytes`.
    #[inline]
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
        let (seconds, nanos) = (unzigzag(take(bytes)?), take(bytes)?);
        let (stream, source, kind) = (take_bytes(bytes)?, take_bytes(bytes)?, take_bytes(bytes)?);
        let mut optional = |flag: u8| (flags & flag != 0).then(|| take_bytes(bytes)).transpose();
        let (subject, content_type, schema) =
            (optional(SUBJECT)?, optional(CONTENT_TYPE)?, optional(SCHEMA)?);
        let trace = (flags & TRACE != 0).then(|| take_array(bytes)).transpose()?;
        let count = if flags & EXTENSIONS == 0 { 0 } else { take(bytes)? };
        let extensions = (*bytes, count);
        for _ in 0..count {
            take_bytes(bytes)?;
            take_bytes(bytes)?;
        }
        let data = take_bytes(bytes)?;
        Ok(Self {
            id,
            erased: false,
            revision,
            seconds,
            nanos,
            stream,
            source,
            kind,
            subject,
            content_type,
            schema,
            trace,
            extensions,
            data,
        })
    }

    /// Takes what is behind the flags of an event that is erased.
    #[cold]
    fn take_erased(id: u128, bytes: &mut &'a [u8]) -> Result<Self, Malformed> {
        let revision = take(bytes)?;
        let stream = take_bytes(bytes)?;
        let zeros = u32::from_le_bytes(*take_array(bytes)?) as usize;
        let (zeros, rest) = bytes.split_at_checked(zeros).ok_or(Malformed)?;
        if zeros.iter().any(|byte| *byte != 0) {
            return Err(Malformed);
        }
        *bytes = rest;
        Ok(Self {
            id,
            erased: true,
            revision,
            seconds: 0,
            nanos: 0,
            stream,
            source: &[],
            kind: &[],
            subject: None,
            content_type: None,
            schema: None,
            trace: None,
            extensions: (&[], 0),
            data: &[],
        })
    }

    pub(crate) fn source(&self) -> &'a [u8] {
        self.source
    }

    pub(crate) fn kind(&self) -> &'a [u8] {
        self.kind
    }

    pub(crate) fn subject(&self) -> Option<&'a [u8]> {
        self.subject
    }

    /// Seconds after 1970, and nanoseconds after that, which nobody has checked.
    pub(crate) fn since_epoch(&self) -> (i64, u64) {
        (self.seconds, self.nanos)
    }

    /// Says whether the event is deleted, which of those before the [end](Deletions::end) of all deletions only can be.
    pub(crate) fn is_deleted(&self, deletions: &Deletions) -> Result<bool, Malformed> {
        Ok(deletions.holds(text(self.stream)?, self.revision))
    }

    /// Says whether the event passes `filter`.
    pub(crate) fn passes(&self, filter: &Filter) -> Result<bool, Malformed> {
        let subject = self.subject.map(text).transpose()?;
        Ok(filter.passes(text(self.stream)?, text(self.kind)?, subject))
    }

    /// Checks all that [`Raw::make_event`] does.
    pub(crate) fn check(&self) -> Result<(), Malformed> {
        let required = [self.stream, self.source, self.kind].map(Some);
        let optional = [self.subject, self.content_type, self.schema];
        required.into_iter().chain(optional).flatten().try_for_each(|part| text(part).map(drop))?;
        from_epoch(self.seconds, self.nanos)?;
        self.trace.map(trace).transpose()?;
        self.each_extension(|_, _| ())
    }

    /// Makes the event with its `data`.
    // In line, for else it is copied on its way to where it is wanted.
    #[inline(always)]
    pub(crate) fn make_event(&self, names: &mut Names, data: Bytes) -> Result<Event, Malformed> {
        let (source, kind) = (names.source(self.source)?, names.kind(self.kind)?);
        let time = from_epoch(self.seconds, self.nanos)?;
        let subject = self.subject.map(|subject| text(subject).map(Arc::from)).transpose()?;
        let content_type = self.content_type.map(|name| names.content_type(name)).transpose()?;
        let event = Event::restore(EventId::from_u128(self.id), source, kind, time)
            .maybe_subject(subject)
            .maybe_content_type(content_type)
            .bytes(data);
        if self.schema.is_none() && self.trace.is_none() && self.extensions.1 == 0 {
            return Ok(event);
        }
        self.with_more(event, names)
    }

    /// Adds the attributes that most events do without.
    fn with_more(&self, event: Event, names: &mut Names) -> Result<Event, Malformed> {
        let mut builder = event.edit();
        if let Some(schema) = self.schema {
            builder = builder.data_schema(names.schema(schema)?);
        }
        if let Some(bytes) = self.trace {
            builder = builder.trace(trace(bytes)?);
        }
        let mut extensions = Vec::new();
        self.each_extension(|name, value| extensions.push((name, value)))?;
        for (name, value) in extensions {
            builder = builder.extension(name, value);
        }
        Ok(builder.build())
    }

    fn each_extension(&self, mut visit: impl FnMut(&'a str, &'a str)) -> Result<(), Malformed> {
        let (mut rest, count) = self.extensions;
        for _ in 0..count {
            visit(text(take_bytes(&mut rest)?)?, text(take_bytes(&mut rest)?)?);
        }
        Ok(())
    }
}

#[inline]
fn take_bytes<'a>(bytes: &mut &'a [u8]) -> Result<&'a [u8], Malformed> {
    let length = usize::try_from(take(bytes)?).map_err(|_| Malformed)?;
    let (taken, rest) = bytes.split_at_checked(length).ok_or(Malformed)?;
    *bytes = rest;
    Ok(taken)
}

#[inline]
fn take_array<'a, const N: usize>(bytes: &mut &'a [u8]) -> Result<&'a [u8; N], Malformed> {
    let (taken, rest) = bytes.split_first_chunk().ok_or(Malformed)?;
    *bytes = rest;
    Ok(taken)
}

pub(crate) fn text(bytes: &[u8]) -> Result<&str, Malformed> {
    std::str::from_utf8(bytes).map_err(|_| Malformed)
}

fn trace(bytes: &[u8; 25]) -> Result<TraceContext, Malformed> {
    let mut rest = bytes.as_slice();
    let trace_id = u128::from_le_bytes(*take_array(&mut rest)?);
    let span_id = u64::from_le_bytes(*take_array(&mut rest)?);
    let [flags] = *take_array(&mut rest)?;
    Ok(TraceContext::new(trace_id, span_id, false).map_err(|_| Malformed)?.with_flags(flags))
}

/// The time that is so many seconds after 1970, or before, and so many nanoseconds after that.
pub(crate) fn from_epoch(seconds: i64, nanos: u64) -> Result<SystemTime, Malformed> {
    let nanos = u32::try_from(nanos).ok().filter(|nanos| *nanos < 1_000_000_000).ok_or(Malformed)?;
    let whole = Duration::from_secs(seconds.unsigned_abs());
    let second = match seconds {
        0.. => SystemTime::UNIX_EPOCH.checked_add(whole),
        _ => SystemTime::UNIX_EPOCH.checked_sub(whole),
    };
    second.and_then(|second| second.checked_add(Duration::from_nanos(nanos.into()))).ok_or(Malformed)
}
