use std::sync::Arc;

use steadfast::core::store::Revision;

use crate::orders::domain::{Details, OrderId, State};

/// What a command led to. A repetition gets the answer of the first time, whatever has happened since.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Which order.
    pub id: OrderId,
    /// What was ordered.
    pub details: Arc<Details>,
    /// How far the order was after the command.
    pub state: State,
    /// The revision of the event that the command caused.
    pub revision: Revision,
}
