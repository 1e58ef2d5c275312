use std::sync::Arc;

use steadfast_base::{Context, TraceContext};

/// What caused a command: it stands in the events.
///
/// # Examples
/// ```
/// use steadfast_core::repository::Cause;
///
/// let cause = Cause::key("6f1c").fingerprint("sha256 of the request");
/// # let _ = cause;
/// ```
#[derive(Debug, Clone, Default)]
pub struct Cause {
    pub(super) key: Option<Arc<str>>,
    pub(super) fingerprint: Option<Arc<str>>,
    pub(super) trace: Option<TraceContext>,
}

impl Cause {
    /// The extension attribute of an event that holds the key of its command.
    pub const KEY: &'static str = "commandid";
    /// The extension attribute of an event that holds the fingerprint of its command.
    pub const FINGERPRINT: &'static str = "fingerprint";

    /// Makes a cause without a key: a command that is repeated is decided again.
    pub fn unknown() -> Self {
        Self::default()
    }

    /// Makes a cause with the key that makes a repetition of the command recognisable.
    pub fn key(key: impl Into<Arc<str>>) -> Self {
        Self { key: Some(key.into()), ..Self::default() }
    }

    /// Makes a cause with the key and the trace of a request or a delivery.
    pub fn of(context: &impl Context) -> Self {
        Self { key: context.key().map(Into::into), fingerprint: None, trace: context.trace() }
    }

    /// Sets what tells requests apart that must not share a key, such as a hash of the request: another one under
    /// the same key is refused.
    #[must_use]
    pub fn fingerprint(mut self, fingerprint: impl Into<Arc<str>>) -> Self {
        self.fingerprint = Some(fingerprint.into());
        self
    }

    /// Sets the trace that the command came in.
    #[must_use]
    pub fn trace(mut self, trace: TraceContext) -> Self {
        self.trace = Some(trace);
        self
    }
}

impl Cause {
    /// Writes the cause into an event.
    pub(super) fn stamp(&self, event: crate::Event) -> crate::Event {
        let mut event = event.edit();
        if let Some(key) = &self.key {
            event = event.extension(Self::KEY, &**key);
            if let Some(fingerprint) = &self.fingerprint {
                event = event.extension(Self::FINGERPRINT, &**fingerprint);
            }
        }
        if let Some(trace) = self.trace {
            event = event.trace(trace);
        }
        event.build()
    }
}
