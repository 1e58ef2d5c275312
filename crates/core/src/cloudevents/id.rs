use std::borrow::Cow;

use uuid::Uuid;

use crate::{Event, EventId};

/// The extension in which an event keeps the `id` that it came with, where that was not a UUID.
pub const FOREIGN_ID: &str = "foreignid";

/// Ours alone: drawn once, never to be changed, for identities rest on it.
const NAMESPACE: Uuid = Uuid::from_u128(0x5f0b_8a36_1c9e_4d57_9a41_6d2b_e0c8_73f4);

/// Returns the identity of an event from elsewhere whose `id` is not a UUID: a UUID of version 5 (RFC 9562) of
/// `source` and `id`, which together are unique in CloudEvents.
///
/// # Examples
/// ```
/// use steadfast_core::cloudevents::foreign_id;
///
/// assert_eq!(foreign_id("/shop", "A-17"), foreign_id("/shop", "A-17"));
/// assert_ne!(foreign_id("/shop", "A-17"), foreign_id("/mall", "A-17"));
/// ```
pub fn foreign_id(source: &str, id: &str) -> EventId {
    // The length keeps apart what would be the same text written one after the other.
    let mut name = Vec::with_capacity(8 + source.len() + id.len());
    name.extend_from_slice(&(source.len() as u64).to_be_bytes());
    name.extend_from_slice(source.as_bytes());
    name.extend_from_slice(id.as_bytes());
    EventId::from_u128(Uuid::new_v5(&NAMESPACE, &name).as_u128())
}

/// Reads an `id` in the usual writing of a UUID, which alone is written again as it was.
pub(super) fn usual(id: &str) -> Option<EventId> {
    let usual = id.len() == 36 && !id.bytes().any(|byte| byte.is_ascii_uppercase());
    if usual { id.parse().ok() } else { None }
}

/// Returns the `id` that `event` is written with, and whether that is the one of its extension [`FOREIGN_ID`].
pub(super) fn written(event: &Event) -> (Cow<'_, str>, bool) {
    if let Some(foreign) = event.extensions().get(FOREIGN_ID)
        && !foreign.is_empty()
        && usual(foreign).is_none()
        && foreign_id(event.source(), foreign) == event.id()
    {
        return (Cow::Borrowed(foreign), true);
    }
    (Cow::Owned(event.id().to_string()), false)
}
