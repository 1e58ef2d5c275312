//! A charge, which may be voided before it is made: a late charge is refused then.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use steadfast::core::Aggregate;

use crate::orders::domain::{Money, OrderId};

/// What one key has led to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Charge {
    /// Nothing yet.
    #[default]
    Absent,
    /// Money was taken.
    Charged(Arc<Taken>),
    /// Money was given back, or never taken and never will be.
    Voided {
        /// What was given back; none when nothing had been taken.
        taken: Option<Arc<Taken>>,
    },
}

/// Money taken for an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Taken {
    /// For which order.
    pub order: OrderId,
    /// How much.
    pub amount: Money,
}

/// What can be asked of a charge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Take money.
    Charge(Arc<Taken>),
    /// Give it back, or refuse it in advance.
    Void(OrderId),
}

/// What can have happened to a charge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum Event {
    /// Money was taken.
    Charged(Arc<Taken>),
    /// Money was given back, or refused in advance.
    Voided {
        /// For which order.
        order: OrderId,
    },
}

/// Why a command is refused; repeating it cannot help.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// The key was voided before.
    #[error("the key was voided before")]
    Voided,
    /// The key belongs to a charge for another order or amount.
    #[error("the key belongs to another charge")]
    Other,
}

impl Aggregate for Charge {
    type Command = Command;
    type Event = Event;
    type Error = Refused;

    fn decide(&self, command: &Command) -> Result<Vec<Event>, Refused> {
        match (self, command) {
            (Self::Absent, Command::Charge(asked)) => Ok(vec![Event::Charged(Arc::clone(asked))]),
            (Self::Charged(taken), Command::Charge(asked)) if taken == asked => Ok(vec![]),
            (Self::Charged(_), Command::Charge(_)) => Err(Refused::Other),
            (Self::Voided { .. }, Command::Charge(_)) => Err(Refused::Voided),
            (Self::Charged(taken), Command::Void(order)) if taken.order != *order => Err(Refused::Other),
            (Self::Absent | Self::Charged(_), Command::Void(order)) => {
                Ok(vec![Event::Voided { order: *order }])
            }
            (Self::Voided { .. }, Command::Void(_)) => Ok(vec![]),
        }
    }

    fn evolve(&mut self, event: &Event) {
        *self = match (std::mem::take(self), event) {
            (_, Event::Charged(taken)) => Self::Charged(Arc::clone(taken)),
            (Self::Charged(taken), Event::Voided { .. }) => Self::Voided { taken: Some(taken) },
            (_, Event::Voided { .. }) => Self::Voided { taken: None },
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(order: &str, amount: &str) -> Arc<Taken> {
        let amount = Money::parse(amount, "EUR".parse().expect("a code")).expect("an amount");
        Arc::new(Taken { order: OrderId::from_key(order), amount })
    }

    fn after(commands: &[Command]) -> Charge {
        let mut charge = Charge::default();
        for command in commands {
            let events = charge.decide(command).expect("it is allowed");
            events.iter().for_each(|event| charge.evolve(event));
        }
        charge
    }

    #[test]
    fn every_pair_of_state_and_command() {
        let (ours, dearer) = (taken("a", "1.00"), taken("a", "2.00"));
        let charge = |taken: &Arc<Taken>| Command::Charge(Arc::clone(taken));
        let void = || Command::Void(ours.order);

        let charged = after(&[charge(&ours)]);
        assert_eq!(charged.decide(&charge(&ours)), Ok(vec![]), "a repetition changes nothing");
        assert_eq!(charged.decide(&charge(&dearer)), Err(Refused::Other));
        assert_eq!(charged.decide(&Command::Void(OrderId::from_key("b"))), Err(Refused::Other));

        let voided = after(&[charge(&ours), void()]);
        assert_eq!(voided, Charge::Voided { taken: Some(Arc::clone(&ours)) });
        assert_eq!(voided.decide(&void()), Ok(vec![]));
        assert_eq!(voided.decide(&charge(&ours)), Err(Refused::Voided));

        let refused_in_advance = after(&[void()]);
        assert_eq!(refused_in_advance, Charge::Voided { taken: None });
        assert_eq!(refused_in_advance.decide(&charge(&ours)), Err(Refused::Voided));
    }
}
