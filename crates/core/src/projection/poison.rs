use std::fmt;
use std::sync::Arc;

use crate::Event;
use crate::delivery::DeadLetters;

/// What is done with an event that cannot be applied, after the attempts that the settings allow.
#[derive(Clone, Default)]
pub enum Poison {
    /// The projection stops, and nothing behind the event is applied. Views that must not have holes want this.
    #[default]
    Stop,
    /// The event is passed and counted, and the view records it where it can.
    Skip,
    /// The event is passed once it is kept as a dead letter of the projection. A dead letter is put again after a crash
    /// between the two.
    DeadLetter(Arc<dyn DeadLetters<Event>>),
}

impl fmt::Debug for Poison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stop => "Stop",
            Self::Skip => "Skip",
            Self::DeadLetter(_) => "DeadLetter",
        })
    }
}
