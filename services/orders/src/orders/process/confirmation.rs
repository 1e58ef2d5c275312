//! The confirmation of an order as a state machine: what has been decided, never what has been called.

use serde::{Deserialize, Serialize};
use steadfast_core::Aggregate;

/// How far the confirmation of an order is.
///
/// What must be called next follows from the state alone, and each call is idempotent by its key; so a process
/// that dies anywhere is finished by starting at the first call again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Confirmation {
    /// None is under way.
    #[default]
    Idle,
    /// Stock is to be reserved, then the price charged, then the order confirmed.
    Forward,
    /// The charge is to be voided and the stock released.
    Backward(Reason),
}

/// What can be decided about a confirmation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Begin.
    Start,
    /// Give up, and take back what was done.
    Fail(Reason),
    /// All has been taken back.
    Settle,
    /// All has been done.
    Complete,
}

/// What can have happened to a confirmation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// It began.
    Started,
    /// It was given up; from now on it goes backward.
    Failing(Reason),
    /// All was taken back.
    Failed,
    /// All was done.
    Completed,
}

/// Why a confirmation was given up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "reason", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Reason {
    /// A dependency refused for good, such as for want of stock.
    Refused {
        /// Which one.
        by: String,
        /// What it said.
        because: String,
    },
    /// A dependency stayed unavailable.
    Unavailable {
        /// Which one.
        dependency: String,
        /// What was seen last.
        because: String,
    },
    /// The order can no longer be confirmed, for it was cancelled meanwhile.
    Overtaken {
        /// The refusal of the order.
        because: String,
    },
}

/// Why a decision about a confirmation is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// One is under way.
    #[error("a confirmation of this order is under way")]
    UnderWay,
    /// None is under way, or it goes the other way.
    #[error("no such confirmation is under way")]
    OutOfOrder,
}

impl Aggregate for Confirmation {
    type Command = Command;
    type Event = Event;
    type Error = Refused;

    fn decide(&self, command: &Command) -> Result<Vec<Event>, Refused> {
        let event = match (self, command) {
            (Self::Idle, Command::Start) => Event::Started,
            (Self::Forward | Self::Backward(_), Command::Start) => return Err(Refused::UnderWay),
            (Self::Forward, Command::Fail(reason)) => Event::Failing(reason.clone()),
            (Self::Forward, Command::Complete) => Event::Completed,
            (Self::Backward(_), Command::Settle) => Event::Failed,
            _ => return Err(Refused::OutOfOrder),
        };
        Ok(vec![event])
    }

    fn evolve(&mut self, event: &Event) {
        *self = match event {
            Event::Started => Self::Forward,
            Event::Failing(reason) => Self::Backward(reason.clone()),
            Event::Failed | Event::Completed => Self::Idle,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pair_of_state_and_command() {
        let reason = || Reason::Overtaken { because: "cancelled".to_owned() };
        let states = [Confirmation::Idle, Confirmation::Forward, Confirmation::Backward(reason())];
        let commands = [Command::Start, Command::Fail(reason()), Command::Settle, Command::Complete];
        let expected = [
            [
                Ok(Confirmation::Forward),
                Err(Refused::OutOfOrder),
                Err(Refused::OutOfOrder),
                Err(Refused::OutOfOrder),
            ],
            [
                Err(Refused::UnderWay),
                Ok(Confirmation::Backward(reason())),
                Err(Refused::OutOfOrder),
                Ok(Confirmation::Idle),
            ],
            [
                Err(Refused::UnderWay),
                Err(Refused::OutOfOrder),
                Ok(Confirmation::Idle),
                Err(Refused::OutOfOrder),
            ],
        ];
        for (state, row) in states.iter().zip(&expected) {
            for (command, expected) in commands.iter().zip(row) {
                let next = state.decide(command).map(|events| {
                    let mut next = state.clone();
                    events.iter().for_each(|event| next.evolve(event));
                    next
                });
                assert_eq!(&next, expected, "{state:?} {command:?}");
            }
        }
    }
}
