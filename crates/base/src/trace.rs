//! W3C Trace Context, version 00.

use std::fmt;
use std::str::FromStr;

/// The identity of a span, as in the header `traceparent` of W3C Trace Context
/// (<https://www.w3.org/TR/trace-context/>).
///
/// # Examples
/// ```
/// use steadfast_base::TraceContext;
///
/// let header = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
/// let trace: TraceContext = header.parse()?;
/// assert!(trace.is_sampled());
/// assert_eq!(trace.to_string(), header);
/// # Ok::<(), steadfast_base::InvalidTraceParent>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceContext {
    trace_id: u128,
    span_id: u64,
    flags: u8,
}

impl TraceContext {
    /// Creates a context; neither identifier may be zero.
    ///
    /// # Errors
    /// [`InvalidTraceParent`] when one is.
    pub fn new(trace_id: u128, span_id: u64, sampled: bool) -> Result<Self, InvalidTraceParent> {
        if trace_id == 0 || span_id == 0 {
            return Err(InvalidTraceParent);
        }
        Ok(Self { trace_id, span_id, flags: u8::from(sampled) })
    }

    /// Returns the identifier that all spans of one trace share.
    pub fn trace_id(&self) -> u128 {
        self.trace_id
    }

    /// Returns the identifier of this span.
    pub fn span_id(&self) -> u64 {
        self.span_id
    }

    /// Returns the flags as they were received; the lowest bit says that the trace is sampled.
    pub fn flags(&self) -> u8 {
        self.flags
    }

    /// Returns the same context with other flags.
    #[must_use]
    pub fn with_flags(self, flags: u8) -> Self {
        Self { flags, ..self }
    }

    /// Says whether the caller may have recorded the trace.
    pub fn is_sampled(&self) -> bool {
        self.flags & 1 == 1
    }

    /// Returns the context of a child span `span_id` of the same trace.
    ///
    /// # Errors
    /// [`InvalidTraceParent`] when `span_id` is zero.
    pub fn child(&self, span_id: u64) -> Result<Self, InvalidTraceParent> {
        Self::new(self.trace_id, span_id, self.is_sampled())
    }
}

impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.trace_id, self.span_id, self.flags)
    }
}

impl FromStr for TraceContext {
    type Err = InvalidTraceParent;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = text.split('-');
        let mut next = |width: usize| -> Result<u128, InvalidTraceParent> {
            let part = parts.next().ok_or(InvalidTraceParent)?;
            let lower_hex = part.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
            if part.len() != width || !lower_hex {
                return Err(InvalidTraceParent);
            }
            u128::from_str_radix(part, 16).map_err(|_| InvalidTraceParent)
        };
        let (version, trace_id, span_id, flags) = (next(2)?, next(32)?, next(16)?, next(2)?);
        // A later version may append fields; ours may not (section 3.2.2 of the specification).
        if version == 0xff || (version == 0 && parts.next().is_some()) || trace_id == 0 || span_id == 0 {
            return Err(InvalidTraceParent);
        }
        Ok(Self { trace_id, span_id: span_id as u64, flags: flags as u8 })
    }
}

/// The text is not a `traceparent` header. A receiver starts a new trace then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("invalid traceparent")]
pub struct InvalidTraceParent;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_the_specification_refuses() {
        for bad in [
            "",
            "00",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4BF92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x",
        ] {
            assert_eq!(bad.parse::<TraceContext>(), Err(InvalidTraceParent), "{bad}");
        }
    }

    #[test]
    fn reads_a_later_version_with_more_fields() {
        let later = "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more";
        assert_eq!(later.parse::<TraceContext>().map(|t| t.span_id()), Ok(0x00f0_67aa_0ba9_02b7));
    }
}
