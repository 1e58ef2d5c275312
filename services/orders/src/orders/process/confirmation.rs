//! What the log of orders says about the confirmation of an order: that it was asked for, and how it ended. The
//! steps between are recorded by the driver of the process.

use serde::{Deserialize, Serialize};
use steadfast::core::Aggregate;

/// Whether an order is being confirmed; one command at a time can ask for it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Confirmation {
    /// No, or no more.
    #[default]
    Idle,
    /// It was asked for and is under way.
    UnderWay,
}

/// What can be decided about a confirmation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Begin.
    Request,
    /// All has been taken back.
    Fail(Reason),
    /// All has been done.
    Complete,
}

/// What can have happened to a confirmation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// It was asked for.
    Requested,
    /// All that was done for it was taken back.
    Failed(Reason),
    /// All was done.
    Completed,
}

/// Why a confirmation failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "reason", content = "because", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Reason {
    /// A dependency refused for good, such as for want of stock, or the order was cancelled meanwhile.
    Refused(String),
    /// A dependency stayed unavailable.
    Unavailable(String),
}

/// Why a decision about a confirmation is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// One is under way.
    #[error("a confirmation of this order is under way")]
    UnderWay,
    /// None is under way.
    #[error("no confirmation of this order is under way")]
    Idle,
}

impl Aggregate for Confirmation {
    type Command = Command;
    type Event = Event;
    type Error = Refused;

    fn decide(&self, command: &Command) -> Result<Vec<Event>, Refused> {
        match (self, command) {
            (Self::Idle, Command::Request) => Ok(vec![Event::Requested]),
            (Self::UnderWay, Command::Request) => Err(Refused::UnderWay),
            (Self::UnderWay, Command::Fail(reason)) => Ok(vec![Event::Failed(reason.clone())]),
            (Self::UnderWay, Command::Complete) => Ok(vec![Event::Completed]),
            (Self::Idle, Command::Fail(_) | Command::Complete) => Err(Refused::Idle),
        }
    }

    fn evolve(&mut self, event: &Event) {
        *self = match event {
            Event::Requested => Self::UnderWay,
            Event::Failed(_) | Event::Completed => Self::Idle,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pair_of_state_and_command() {
        let commands =
            [Command::Request, Command::Fail(Reason::Refused("no stock".to_owned())), Command::Complete];
        let expected = [
            (Confirmation::Idle, [Ok(Confirmation::UnderWay), Err(Refused::Idle), Err(Refused::Idle)]),
            (
                Confirmation::UnderWay,
                [Err(Refused::UnderWay), Ok(Confirmation::Idle), Ok(Confirmation::Idle)],
            ),
        ];
        for (state, row) in expected {
            for (command, expected) in commands.iter().zip(row) {
                let next = state.decide(command).map(|events| {
                    let mut next = state;
                    events.iter().for_each(|event| next.evolve(event));
                    next
                });
                assert_eq!(next, expected, "{state:?} {command:?}");
            }
        }
    }
}
