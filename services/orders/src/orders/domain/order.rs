use std::sync::Arc;

use serde::{Deserialize, Serialize};
use steadfast::core::Aggregate;
use steadfast::core::machine::Illegal;

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

steadfast::core::machine! {
    /// How far an order is.
    #[derive(Serialize, Deserialize)]
    #[serde(rename_all = "lowercase")]
    pub enum State {
        /// It is known and binds nobody yet.
        Created => { Confirm => Confirmed, Cancel => Cancelled },
        /// Its stock is reserved and its price charged.
        Confirmed => { Ship => Shipped },
        /// It is on its way.
        Shipped => { Return => Returned },
        /// It came back; the end.
        Returned,
        /// It was given up before it was confirmed; the end.
        Cancelled,
    }

    /// What a [`Command`] asks; its name is that in the path of the request.
    pub enum Verb {
        /// Make it.
        Create,
        /// Bind both sides.
        Confirm,
        /// Send it.
        Ship,
        /// Take it back.
        Return,
        /// Give it up.
        Cancel,
    }

    start: Created on Create
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
    /// Returns what is asked, without the details.
    pub fn verb(&self) -> Verb {
        match self {
            Self::Create(_) => Verb::Create,
            Self::Confirm => Verb::Confirm,
            Self::Ship => Verb::Ship,
            Self::Return => Verb::Return,
            Self::Cancel => Verb::Cancel,
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
    #[error("an order that is {} cannot be asked to {}", .0.from, .0.command)]
    Illegal(Illegal<State>),
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
        if let Some(state) = self.state() {
            state.next(command.verb()).map_err(Refused::Illegal)?;
        } else if command.verb() != Verb::Create {
            return Err(Refused::NotFound);
        }
        Ok(vec![match command {
            Command::Create(details) => Event::Created(Arc::clone(details)),
            Command::Confirm => Event::Confirmed,
            Command::Ship => Event::Shipped,
            Command::Return => Event::Returned,
            Command::Cancel => Event::Cancelled,
        }])
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
    use steadfast::base::{Rng, Seed};
    use steadfast_core::testing::{
        Model, assert_aggregate, assert_diagram, assert_sound, assert_table, given, random_commands,
    };

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

    fn command(verb: Verb) -> Command {
        match verb {
            Verb::Create => Command::Create(details()),
            Verb::Confirm => Command::Confirm,
            Verb::Ship => Command::Ship,
            Verb::Return => Command::Return,
            Verb::Cancel => Command::Cancel,
        }
    }

    #[test]
    fn every_pair_of_state_and_command() {
        use State::{Cancelled, Confirmed, Created, Returned, Shipped};
        let table = [
            (Created, Verb::Confirm, Confirmed),
            (Created, Verb::Cancel, Cancelled),
            (Confirmed, Verb::Ship, Shipped),
            (Shipped, Verb::Return, Returned),
        ];
        assert_eq!(assert_table(table), 5 * 5);
        assert_eq!(assert_aggregate(Order::state, command), 6 * 5);
    }

    #[test]
    fn the_life_cycle_is_sound_and_drawn() {
        assert_sound::<State>();
        assert_diagram::<State>(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/diagrams/order.mmd"));
    }

    #[test]
    fn what_was_ordered_never_changes() {
        let past = [Event::Created(details()), Event::Confirmed, Event::Shipped, Event::Returned];
        given::<Order>(past).then_state(|order| assert_eq!(order.details(), Some(&details())));
    }

    #[test]
    fn a_refusal_says_what_clients_have_always_read() {
        for verb in Verb::ALL.iter().copied().filter(|verb| *verb != Verb::Create) {
            given::<Order>([]).when(command(verb)).then_error(Refused::NotFound);
        }
        let illegal = Refused::Illegal(Illegal { from: State::Cancelled, command: Verb::Confirm });
        given::<Order>([Event::Created(details()), Event::Cancelled])
            .when(Command::Confirm)
            .then_error(illegal);
        assert_eq!(illegal.to_string(), "an order that is cancelled cannot be asked to confirm");
        for state in State::ALL {
            assert_eq!(serde_json::to_value(state).expect("a name"), state.as_str());
        }
    }
    /// Which commands have been carried out, by the first letters of their names.
    #[derive(Default)]
    struct Done(String);

    impl Model<Order> for Done {
        fn draw(&self, rng: &mut Rng) -> Command {
            command(Verb::ALL[rng.below(Verb::ALL.len() as u64) as usize])
        }

        fn check(
            &mut self,
            command: &Command,
            decided: &Result<Vec<Event>, Refused>,
            now: &Order,
        ) -> Result<(), String> {
            let letter = match command {
                Command::Create(_) => 'c',
                Command::Confirm => 'o',
                Command::Ship => 's',
                Command::Return => 'r',
                Command::Cancel => 'x',
            };
            let next = format!("{}{letter}", self.0);
            let is_allowed = ["cosr", "cx"].iter().any(|life| life.starts_with(&next));
            match decided {
                Ok(events) if is_allowed && events.len() == 1 => self.0 = next,
                Err(Refused::NotFound) if !is_allowed && self.0.is_empty() => {}
                Err(Refused::Illegal(_)) if !is_allowed && !self.0.is_empty() => {}
                other => return Err(format!("after `{}` it decided {other:?}", self.0)),
            }
            let state = match &*self.0 {
                "" => None,
                "c" => Some(State::Created),
                "co" => Some(State::Confirmed),
                "cos" => Some(State::Shipped),
                "cosr" => Some(State::Returned),
                _ => Some(State::Cancelled),
            };
            if now.state() == state { Ok(()) } else { Err(format!("{now:?} instead of {state:?}")) }
        }
    }

    #[test]
    fn random_commands_lead_through_the_lives_of_an_order() {
        random_commands::<Order, Done>(Seed::new(1));
    }
}
