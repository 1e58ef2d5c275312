use std::fmt::Display;

use crate::Event;

/// Turns a payload that was written long ago into the form that handlers know today. It is asked about every event
/// that is read back from where it was kept, such as a dead letter that is replayed; one that is in today's form is
/// returned unchanged.
///
/// # Examples
/// ```
/// use steadfast_core::{Event, NotUpcast, Upcast};
///
/// struct Renamed;
///
/// impl Upcast for Renamed {
///     fn upcast(&self, event: Event) -> Result<Event, NotUpcast> {
///         if event.kind() != "order.made" {
///             return Ok(event);
///         }
///         let renamed = Event::restore(event.id(), event.source(), "order.created", event.time());
///         Ok(renamed.bytes(event.data().clone()))
///     }
/// }
///
/// let old = Event::new("/orders", "order.made").build();
/// assert_eq!(Renamed.upcast(old)?.kind(), "order.created");
/// # Ok::<(), NotUpcast>(())
/// ```
pub trait Upcast<T = Event>: Send + Sync {
    /// Returns `payload` in today's form.
    ///
    /// # Errors
    /// [`NotUpcast`] when no way leads from that form to today's; asking again cannot help.
    fn upcast(&self, payload: T) -> Result<T, NotUpcast>;
}

/// A payload that cannot be brought into today's form: add the step that is missing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot be upcast: {reason}")]
pub struct NotUpcast {
    /// What is missing.
    pub reason: String,
}

impl NotUpcast {
    /// Says why.
    pub fn new(reason: impl Display) -> Self {
        Self { reason: reason.to_string() }
    }
}
