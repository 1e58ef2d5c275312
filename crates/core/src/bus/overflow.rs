/// What happens to a message that is published while the queue of a subscriber is full.
///
/// A queue that drops messages never holds up a publisher, so the other subscribers do not notice it. Each message
/// dropped is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Overflow {
    /// The publisher waits until there is room: back-pressure.
    #[default]
    Wait,
    /// Publishing fails with [`Error::Full`](super::Error::Full) at once, and nobody gets the message.
    RejectNew,
    /// The subscriber loses the message that waits longest.
    DropOldest,
    /// The subscriber loses the message that is being published.
    DropNewest,
}
