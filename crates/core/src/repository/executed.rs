use crate::store::{Durability, Revision};

/// What came of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Executed<E> {
    /// The events that it caused; for a repetition, those of the first time.
    pub events: Vec<E>,
    /// The revision of the aggregate's newest event afterwards; for a repetition, of the last event of the first
    /// time. None while it has none.
    pub revision: Option<Revision>,
    /// How safe the events are; none when there are none, or for a repetition.
    pub achieved: Option<Durability>,
    /// The command had been carried out before under the same key, and nothing was done now.
    pub repeated: bool,
}
