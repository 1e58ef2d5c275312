use std::fmt::Debug;

use crate::Aggregate;

/// Starts a test of an aggregate to which `events` have happened.
///
/// # Examples
/// ```
/// use steadfast_core::Aggregate;
/// use steadfast_core::testing::given;
///
/// #[derive(Default)]
/// struct Door { open: bool }
/// #[derive(Debug, PartialEq)]
/// enum Event { Opened }
/// #[derive(Debug, PartialEq)]
/// struct AlreadyOpen;
///
/// impl Aggregate for Door {
///     type Command = ();
///     type Event = Event;
///     type Error = AlreadyOpen;
///     fn decide(&self, (): &()) -> Result<Vec<Event>, AlreadyOpen> {
///         if self.open { Err(AlreadyOpen) } else { Ok(vec![Event::Opened]) }
///     }
///     fn evolve(&mut self, _: &Event) {
///         self.open = true;
///     }
/// }
///
/// given::<Door>([]).when(()).then([Event::Opened]);
/// given::<Door>([Event::Opened]).when(()).then_error(AlreadyOpen);
/// ```
pub fn given<A: Aggregate>(events: impl IntoIterator<Item = A::Event>) -> Given<A> {
    let mut aggregate = A::default();
    for event in events {
        aggregate.evolve(&event);
    }
    Given { aggregate }
}

/// An aggregate with a past; see [`given`].
#[derive(Debug)]
pub struct Given<A> {
    aggregate: A,
}

impl<A: Aggregate> Given<A> {
    /// Gives `command` to the aggregate.
    #[allow(clippy::needless_pass_by_value, reason = "a test writes the command in place")]
    pub fn when(self, command: A::Command) -> When<A> {
        let decision = self.aggregate.decide(&command);
        When { aggregate: self.aggregate, decision }
    }

    /// Checks the state that the events have made.
    pub fn then_state(self, check: impl FnOnce(&A)) {
        check(&self.aggregate);
    }
}

/// What an aggregate decided; see [`given`].
#[must_use = "nothing is tested before the decision is checked"]
pub struct When<A: Aggregate> {
    aggregate: A,
    decision: Result<Vec<A::Event>, A::Error>,
}

impl<A: Aggregate> When<A>
where
    A::Event: Debug + PartialEq,
    A::Error: Debug,
{
    /// Checks that the command caused exactly `events`, lets them happen, and returns the aggregate for the next
    /// command.
    ///
    /// # Panics
    /// It did not: the test fails.
    #[track_caller]
    pub fn then(mut self, events: impl IntoIterator<Item = A::Event>) -> Given<A> {
        let expected: Vec<A::Event> = events.into_iter().collect();
        match self.decision {
            Ok(decided) => assert_eq!(decided, expected, "other events than expected"),
            Err(error) => panic!("refused with {error:?}, expected the events {expected:?}"),
        }
        for event in &expected {
            self.aggregate.evolve(event);
        }
        Given { aggregate: self.aggregate }
    }

    /// Checks that the command needed nothing to change.
    ///
    /// # Panics
    /// It did not: the test fails.
    #[track_caller]
    pub fn then_nothing(self) -> Given<A> {
        self.then([])
    }
}

impl<A: Aggregate> When<A>
where
    A::Event: Debug,
    A::Error: Debug + PartialEq,
{
    /// Checks that the command was refused with `error`.
    ///
    /// # Panics
    /// It was not: the test fails.
    #[track_caller]
    #[allow(clippy::needless_pass_by_value, reason = "a test writes the error in place")]
    pub fn then_error(self, error: A::Error) -> Given<A> {
        match self.decision {
            Err(actual) => assert_eq!(actual, error, "another error than expected"),
            Ok(events) => panic!("accepted with {events:?}, expected {error:?}"),
        }
        Given { aggregate: self.aggregate }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Counter(u8);

    #[derive(Debug, PartialEq)]
    struct Full;

    impl Aggregate for Counter {
        type Command = u8;
        type Event = u8;
        type Error = Full;

        fn decide(&self, by: &u8) -> Result<Vec<u8>, Full> {
            self.0.checked_add(*by).ok_or(Full)?;
            Ok(if *by == 0 { vec![] } else { vec![*by] })
        }

        fn evolve(&mut self, by: &u8) {
            self.0 += by;
        }
    }

    #[test]
    fn decisions_are_checked_one_after_another() {
        let counter = given::<Counter>([200]).when(50).then([50]).when(0).then_nothing();
        counter.when(6).then_error(Full).when(5).then([5]).then_state(|counter| assert_eq!(counter.0, 255));
    }

    #[test]
    #[should_panic(expected = "other events than expected")]
    fn other_events_fail_the_test() {
        let _ = given::<Counter>([]).when(1).then([2]);
    }

    #[test]
    #[should_panic(expected = "refused with Full")]
    fn a_refusal_fails_the_test() {
        let _ = given::<Counter>([255]).when(1).then([1]);
    }

    #[test]
    #[should_panic(expected = "accepted with [1]")]
    fn an_acceptance_fails_the_test() {
        let _ = given::<Counter>([]).when(1).then_error(Full);
    }
}
