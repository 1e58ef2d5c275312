use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use steadfast::core::Aggregate;

use super::{CustomerId, Money, Quantity, Sku};

/// An order: Created → Confirmed → Shipped → Returned, or Created → Cancelled.
///
/// # Examples
/// ```
/// use orders::orders::domain::{Command, Order, Refused};
/// use steadfast::core::Aggregate;
///
/// assert_eq!(Order::default().decide(&Command::Ship), Err(Refused::NotFound));
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Order {
    /// Nothing has happened yet.
    #[default]
    Absent,
    /// It has been created.
    Placed {
        /// What was ordered; it never changes.
        details: Arc<Details>,
        /// How far it is.
        state: State,
    },
}

/// How far an order is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It is known and binds nobody yet.
    Created,
    /// Its stock is reserved and its price charged.
    Confirmed,
    /// It is on its way.
    Shipped,
    /// It came back; the end.
    Returned,
    /// It was given up before it was confirmed; the end.
    Cancelled,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Created => "created",
            Self::Confirmed => "confirmed",
            Self::Shipped => "shipped",
            Self::Returned => "returned",
            Self::Cancelled => "cancelled",
        })
    }
}

/// What was ordered, by whom, and what it costs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Details {
    /// Who ordered.
    pub customer: CustomerId,
    /// What was ordered; at least one line.
    pub lines: Vec<Line>,
    /// What is charged, with shipping, taxes and discounts.
    pub total: Money,
}

/// One line of an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// Which article.
    pub sku: Sku,
    /// How many pieces.
    pub quantity: Quantity,
    /// What one piece costs.
    pub unit_price: Money,
}

/// What can be asked of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Make it.
    Create(Arc<Details>),
    /// Bind both sides; stock and money have been taken care of.
    Confirm,
    /// Send it.
    Ship,
    /// Take it back.
    Return,
    /// Give it up.
    Cancel,
}

impl Command {
    /// Returns the verb, as in the path of the request.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Create(_) => "create",
            Self::Confirm => "confirm",
            Self::Ship => "ship",
            Self::Return => "return",
            Self::Cancel => "cancel",
        }
    }
}

/// What can have happened to an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// It was created.
    Created(Arc<Details>),
    /// It was confirmed.
    Confirmed,
    /// It was shipped.
    Shipped,
    /// It was returned.
    Returned,
    /// It was cancelled.
    Cancelled,
}

impl Event {
    /// Returns the state that the event leads to.
    pub fn state(&self) -> State {
        match self {
            Self::Created(_) => State::Created,
            Self::Confirmed => State::Confirmed,
            Self::Shipped => State::Shipped,
            Self::Returned => State::Returned,
            Self::Cancelled => State::Cancelled,
        }
    }
}

/// Why a command is refused; repeating it cannot help.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// There is no such order.
    #[error("there is no such order")]
    NotFound,
    /// The order is in a state in which this cannot be done.
    #[error("an order that is {from} cannot be asked to {command}")]
    Illegal {
        /// The state that the order is in.
        from: State,
        /// What was asked.
        command: &'static str,
    },
}

impl Order {
    /// Returns how far the order is; none before it is created.
    pub fn state(&self) -> Option<State> {
        match self {
            Self::Absent => None,
            Self::Placed { state, .. } => Some(*state),
        }
    }

    /// Returns what was ordered; none before it is created.
    pub fn details(&self) -> Option<&Arc<Details>> {
        match self {
            Self::Absent => None,
            Self::Placed { details, .. } => Some(details),
        }
    }
}

impl Aggregate for Order {
    type Command = Command;
    type Event = Event;
    type Error = Refused;

    fn decide(&self, command: &Command) -> Result<Vec<Event>, Refused> {
        use State::{Confirmed, Created, Shipped};
        let event = match (self.state(), command) {
            (None, Command::Create(details)) => Event::Created(Arc::clone(details)),
            (None, _) => return Err(Refused::NotFound),
            (Some(Created), Command::Confirm) => Event::Confirmed,
            (Some(Created), Command::Cancel) => Event::Cancelled,
            (Some(Confirmed), Command::Ship) => Event::Shipped,
            (Some(Shipped), Command::Return) => Event::Returned,
            (Some(from), command) => return Err(Refused::Illegal { from, command: command.name() }),
        };
        Ok(vec![event])
    }

    fn evolve(&mut self, event: &Event) {
        match (&mut *self, event) {
            (Self::Absent, Event::Created(details)) => {
                *self = Self::Placed { details: Arc::clone(details), state: State::Created };
            }
            (Self::Placed { state, .. }, event) => *state = event.state(),
            // A log that begins with something else is not one of ours; the order stays unknown.
            (Self::Absent, _) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn details() -> Arc<Details> {
        let price = Money::parse("1.50", "EUR".parse().expect("a code")).expect("an amount");
        Arc::new(Details {
            customer: "c1".parse().expect("an id"),
            lines: vec![Line {
                sku: "s1".parse().expect("a SKU"),
                quantity: 2.try_into().expect("a quantity"),
                unit_price: price,
            }],
            total: price,
        })
    }

    /// The events that lead to each state.
    fn histories() -> Vec<(Option<State>, Vec<Event>)> {
        let created = || Event::Created(details());
        vec![
            (None, vec![]),
            (Some(State::Created), vec![created()]),
            (Some(State::Confirmed), vec![created(), Event::Confirmed]),
            (Some(State::Shipped), vec![created(), Event::Confirmed, Event::Shipped]),
            (Some(State::Returned), vec![created(), Event::Confirmed, Event::Shipped, Event::Returned]),
            (Some(State::Cancelled), vec![created(), Event::Cancelled]),
        ]
    }

    #[test]
    fn every_pair_of_state_and_command() {
        use State::{Cancelled, Confirmed, Created, Returned, Shipped};
        let commands =
            [Command::Create(details()), Command::Confirm, Command::Ship, Command::Return, Command::Cancel];
        let allowed = [
            (None, "create", Created),
            (Some(Created), "confirm", Confirmed),
            (Some(Created), "cancel", Cancelled),
            (Some(Confirmed), "ship", Shipped),
            (Some(Shipped), "return", Returned),
        ];
        let mut pairs = 0;
        for (state, history) in histories() {
            let mut order = Order::default();
            history.iter().for_each(|event| order.evolve(event));
            assert_eq!(order.state(), state);
            for command in &commands {
                pairs += 1;
                let next = allowed.iter().find(|(from, name, _)| *from == state && *name == command.name());
                match (next, order.decide(command)) {
                    (Some((_, _, to)), Ok(events)) => {
                        let mut after = order.clone();
                        events.iter().for_each(|event| after.evolve(event));
                        assert_eq!(after.state(), Some(*to), "{state:?} {}", command.name());
                        assert_eq!(after.details(), Some(&details()));
                    }
                    (None, Err(refused)) => {
                        let expected = state.map_or(Refused::NotFound, |from| Refused::Illegal {
                            from,
                            command: command.name(),
                        });
                        assert_eq!(refused, expected);
                    }
                    (next, decided) => panic!("{state:?} {}: {next:?}, {decided:?}", command.name()),
                }
            }
        }
        assert_eq!(pairs, 6 * 5);
    }
}
