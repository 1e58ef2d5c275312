//! A reservation, which may be released before it is made: a late reservation is refused then.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use steadfast::core::Aggregate;

use crate::orders::domain::{OrderId, Sku};

/// How many pieces of each article.
pub type Lines = BTreeMap<Sku, u64>;

/// What one key has led to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Reservation {
    /// Nothing yet.
    #[default]
    Absent,
    /// Stock is set aside.
    Reserved(Arc<SetAside>),
    /// Stock was put back, or never set aside and never will be.
    Released {
        /// What was put back; none when nothing had been set aside.
        reserved: Option<Arc<SetAside>>,
    },
}

/// Stock set aside for an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetAside {
    /// For which order.
    pub order: OrderId,
    /// What.
    pub lines: Lines,
}

/// What can be asked of a reservation. Whether there is stock is not its business but that of the levels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Set stock aside.
    Reserve(Arc<SetAside>),
    /// Put it back, or refuse it in advance.
    Release(OrderId),
}

/// What can have happened to a reservation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum Event {
    /// Stock was set aside.
    Reserved(Arc<SetAside>),
    /// Stock was put back, or refused in advance.
    Released {
        /// For which order.
        order: OrderId,
    },
}

/// Why a command is refused; repeating it cannot help.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// There is too little of an article.
    #[error("too little stock of `{0}`")]
    TooLittle(Sku),
    /// The key was released before.
    #[error("the key was released before")]
    Released,
    /// The key belongs to a reservation for another order or other articles.
    #[error("the key belongs to another reservation")]
    Other,
}

impl Aggregate for Reservation {
    type Command = Command;
    type Event = Event;
    type Error = Refused;

    fn decide(&self, command: &Command) -> Result<Vec<Event>, Refused> {
        match (self, command) {
            (Self::Absent, Command::Reserve(asked)) => Ok(vec![Event::Reserved(Arc::clone(asked))]),
            (Self::Reserved(held), Command::Reserve(asked)) if held == asked => Ok(vec![]),
            (Self::Reserved(_), Command::Reserve(_)) => Err(Refused::Other),
            (Self::Released { .. }, Command::Reserve(_)) => Err(Refused::Released),
            (Self::Reserved(held), Command::Release(order)) if held.order != *order => Err(Refused::Other),
            (Self::Absent | Self::Reserved(_), Command::Release(order)) => {
                Ok(vec![Event::Released { order: *order }])
            }
            (Self::Released { .. }, Command::Release(_)) => Ok(vec![]),
        }
    }

    fn evolve(&mut self, event: &Event) {
        *self = match (std::mem::take(self), event) {
            (_, Event::Reserved(held)) => Self::Reserved(Arc::clone(held)),
            (Self::Reserved(held), Event::Released { .. }) => Self::Released { reserved: Some(held) },
            (_, Event::Released { .. }) => Self::Released { reserved: None },
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn aside(order: &str, count: u64) -> Arc<SetAside> {
        let lines = Lines::from_iter([("s1".parse().expect("a SKU"), count)]);
        Arc::new(SetAside { order: OrderId::from_key(order), lines })
    }

    fn after(commands: &[Command]) -> Reservation {
        let mut reservation = Reservation::default();
        for command in commands {
            let events = reservation.decide(command).expect("it is allowed");
            events.iter().for_each(|event| reservation.evolve(event));
        }
        reservation
    }

    #[test]
    fn every_pair_of_state_and_command() {
        let (ours, more) = (aside("a", 1), aside("a", 2));
        let reserve = |aside: &Arc<SetAside>| Command::Reserve(Arc::clone(aside));
        let release = || Command::Release(ours.order);

        let reserved = after(&[reserve(&ours)]);
        assert_eq!(reserved.decide(&reserve(&ours)), Ok(vec![]), "a repetition changes nothing");
        assert_eq!(reserved.decide(&reserve(&more)), Err(Refused::Other));
        assert_eq!(reserved.decide(&Command::Release(OrderId::from_key("b"))), Err(Refused::Other));

        let released = after(&[reserve(&ours), release()]);
        assert_eq!(released, Reservation::Released { reserved: Some(Arc::clone(&ours)) });
        assert_eq!(released.decide(&release()), Ok(vec![]));
        assert_eq!(released.decide(&reserve(&ours)), Err(Refused::Released));

        let refused_in_advance = after(&[release()]);
        assert_eq!(refused_in_advance, Reservation::Released { reserved: None });
        assert_eq!(refused_in_advance.decide(&reserve(&ours)), Err(Refused::Released));
    }
}
