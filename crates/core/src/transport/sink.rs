use futures::future::BoxFuture;
use steadfast_base::Deadline;

use super::{Capabilities, Error, LinkState};
use crate::Event;
use crate::store::Durability;

/// A place that events are sent to: one topic, stream or address of a transport, chosen when it is made.
pub trait Sink: Send + Sync {
    /// Returns the system's name as OpenTelemetry's attribute `messaging.system` wants it, such as `redis`.
    fn system(&self) -> &'static str;

    /// Returns what this transport can do.
    fn capabilities(&self) -> Capabilities;

    /// Sends `events` in order and returns the durability that all of them have achieved, at least `durability`.
    /// It waits while the transport takes no more (back-pressure), until `deadline`.
    ///
    /// A durability above [`Capabilities::durability_max`] is refused, never silently lowered.
    ///
    /// # Errors
    /// See [`Error`]. After [`Error::Unavailable`] and [`Error::DeadlineExceeded`] each event may have arrived or
    /// not, in order: if one has not, none after it with the same key has. After any other error none of those
    /// that follow the one at fault with the same key has arrived.
    ///
    /// # Cancel safety
    /// Dropping the future leaves it open which events arrive, as [`Error::Unavailable`] does.
    fn send<'a>(
        &'a self,
        events: &'a [Event],
        durability: Durability,
        deadline: Deadline,
    ) -> BoxFuture<'a, Result<Durability, Error>>;

    /// Returns how the connection stands.
    fn link(&self) -> LinkState;

    /// Finishes what is being sent and disconnects. Closing twice is allowed.
    ///
    /// # Errors
    /// [`Error::DeadlineExceeded`] when that took until `deadline`.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the sink closed.
    fn close(&self, deadline: Deadline) -> BoxFuture<'_, Result<(), Error>>;
}
