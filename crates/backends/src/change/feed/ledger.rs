use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Debug;

use steadfast_core::Event;
use steadfast_core::transport::{Outcome, Received, Settlement, Token};

/// How many positions that are handled may wait for an earlier one which is not, beside those in flight. It bounds
/// memory where one event is held for ever: then the source stops.
const HANDLED_MAX: usize = 65_536;

/// Where an event stands in its source.
pub(crate) trait Position: Copy + Ord + Debug + Send + Sync + 'static {
    /// Says whether everything up to here can be confirmed to the source; not in the middle of a transaction.
    fn confirms(&self) -> bool {
        true
    }
}

#[derive(Debug)]
enum State {
    /// Read, not handed out.
    Ready(Event),
    /// Handed out, not settled.
    Held(Event),
    /// Handled, or of no interest.
    Done,
    /// Was read, and is awaited again from a new connection.
    Forgotten,
}

#[derive(Debug)]
struct Entry {
    state: State,
    redeliveries: u32,
}

/// What settlements came to.
#[derive(Debug)]
pub(crate) struct Handled<P> {
    /// The events handled.
    pub(crate) positions: Vec<P>,
    /// Up to where all are handled, if that has moved.
    pub(crate) reached: Option<P>,
}

/// The events that were read, in the order of their positions, up to the first one that is not handled.
///
/// It does what [`Watermark`](steadfast_core::transport::Watermark) does and survives a new connection: what was read
/// and not handed out is forgotten and read again, what is held stays, and nothing is counted twice.
#[derive(Debug)]
pub(crate) struct Ledger<P> {
    entries: BTreeMap<P, Entry>,
    held: HashMap<Token, P>,
    ready: BTreeSet<P>,
    next: u64,
    /// The last position that is handled with all before it.
    floor: Option<P>,
    in_flight_max: usize,
}

impl<P: Position> Ledger<P> {
    pub(crate) fn new(in_flight_max: usize) -> Self {
        let in_flight_max = in_flight_max.max(1);
        Self {
            entries: BTreeMap::new(),
            held: HashMap::new(),
            ready: BTreeSet::new(),
            next: 0,
            floor: None,
            in_flight_max,
        }
    }

    /// Returns how many events may be read now.
    pub(crate) fn room(&self) -> usize {
        let in_flight = self.ready.len() + self.held.len();
        let window = self.in_flight_max + HANDLED_MAX;
        self.in_flight_max.saturating_sub(in_flight).min(window.saturating_sub(self.entries.len()))
    }

    /// Takes an event that was read, and says whether it is news: one that is held or handled already is not.
    pub(crate) fn push(&mut self, position: P, event: Event) -> bool {
        self.drop_forgotten_before(position);
        if self.floor >= Some(position) {
            return false;
        }
        let redeliveries = match self.entries.get(&position) {
            None => 0,
            Some(Entry { state: State::Forgotten, redeliveries }) => *redeliveries,
            Some(_) => return false,
        };
        self.entries.insert(position, Entry { state: State::Ready(event), redeliveries });
        self.ready.insert(position);
        true
    }

    /// Takes a position that nobody need handle.
    pub(crate) fn pass(&mut self, position: P) -> Option<P> {
        self.drop_forgotten_before(position);
        if self.floor >= Some(position) {
            return None;
        }
        self.entries.entry(position).or_insert(Entry { state: State::Done, redeliveries: 0 }).state =
            State::Done;
        self.reach()
    }

    /// Says whether nothing is unsettled.
    #[cfg(feature = "postgres")]
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Returns the positions that are handed out and not settled.
    #[cfg(feature = "postgres")]
    pub(crate) fn held(&self) -> Vec<P> {
        self.held.values().copied().collect()
    }

    /// Hands out up to `max` events, in order.
    pub(crate) fn take(&mut self, max: usize) -> Vec<Received> {
        let room = self.in_flight_max.saturating_sub(self.held.len());
        let mut taken = Vec::with_capacity(max.min(room).min(self.ready.len()));
        while taken.len() < max.min(room) {
            let Some(position) = self.ready.pop_first() else { break };
            let Some(entry) = self.entries.get_mut(&position) else { continue };
            let State::Ready(event) = &entry.state else { continue };
            let (event, token) = (event.clone(), Token(self.next));
            self.next += 1;
            self.held.insert(token, position);
            entry.state = State::Held(event.clone());
            taken.push(Received::new(event, token, entry.redeliveries));
        }
        taken
    }

    /// Books what became of events.
    pub(crate) fn settle(&mut self, settlements: &[Settlement]) -> Handled<P> {
        let mut positions = Vec::new();
        for settlement in settlements {
            let Some(position) = self.held.remove(&settlement.token) else { continue };
            let Some(entry) = self.entries.get_mut(&position) else { continue };
            match (settlement.outcome, std::mem::replace(&mut entry.state, State::Done)) {
                (Outcome::Released, State::Held(event)) => {
                    entry.state = State::Ready(event);
                    entry.redeliveries += 1;
                    self.ready.insert(position);
                }
                _ => positions.push(position),
            }
        }
        Handled { positions, reached: self.reach() }
    }

    /// Forgets what was not handed out, for it will be read again.
    pub(crate) fn forget(&mut self) {
        for position in std::mem::take(&mut self.ready) {
            if let Some(entry) = self.entries.get_mut(&position) {
                entry.state = State::Forgotten;
            }
        }
    }

    /// A new connection reads in order, so that what it does not read again has been confirmed by another receiver.
    fn drop_forgotten_before(&mut self, position: P) {
        while let Some(first) = self.entries.first_entry() {
            if *first.key() >= position || !matches!(first.get().state, State::Forgotten) {
                break;
            }
            first.remove();
        }
    }

    fn reach(&mut self) -> Option<P> {
        let mut reached = None;
        while let Some(first) = self.entries.first_entry() {
            if !matches!(first.get().state, State::Done) {
                break;
            }
            let position = *first.key();
            first.remove();
            self.floor = Some(position);
            if position.confirms() {
                reached = Some(position);
            }
        }
        reached
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    impl Position for u64 {}

    fn event() -> Event {
        Event::new("/test", "tested").build()
    }

    #[derive(Debug, Clone)]
    enum Step {
        Read,
        Take(usize),
        Settle(usize, bool),
        Reconnect,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            4 => Just(Step::Read),
            3 => (1_usize..5).prop_map(Step::Take),
            5 => (0_usize..8, any::<bool>()).prop_map(|(index, handled)| Step::Settle(index, handled)),
            1 => Just(Step::Reconnect),
        ];
        prop::collection::vec(step, 1..200)
    }

    proptest! {
        #[test]
        fn nothing_is_confirmed_before_all_that_precedes_it_is_handled(steps in steps()) {
            let mut ledger = Ledger::new(8);
            let (mut cursor, mut confirmed) = (0_u64, 0_u64);
            let mut handled = std::collections::BTreeSet::new();
            let mut held: Vec<(Token, u64)> = Vec::new();
            for step in steps {
                match step {
                    Step::Read => if ledger.room() > 0 {
                        cursor += 1;
                        ledger.push(cursor, event());
                    },
                    Step::Take(max) => {
                        for received in ledger.take(max) {
                            let position = ledger.held[&received.token];
                            prop_assert!(!handled.contains(&position), "a handled event is handed out again");
                            prop_assert!(!held.iter().any(|(_, other)| *other == position));
                            held.push((received.token, position));
                        }
                        prop_assert!(held.len() <= 8);
                    }
                    Step::Settle(index, good) => if index < held.len() {
                        let (token, position) = held.remove(index);
                        let outcome = if good { Outcome::Handled } else { Outcome::Released };
                        if good { handled.insert(position); }
                        if let Some(reached) = ledger.settle(&[Settlement { token, outcome }]).reached {
                            prop_assert!(reached > confirmed);
                            confirmed = reached;
                        }
                        prop_assert!((1..=confirmed).all(|position| handled.contains(&position)));
                    },
                    Step::Reconnect => {
                        ledger.forget();
                        // The source starts again after what was confirmed.
                        cursor = confirmed;
                    }
                }
            }
            // In the end everything is handled, whatever went before.
            let last = 250;
            while confirmed < last {
                while cursor < last && ledger.room() > 0 {
                    cursor += 1;
                    ledger.push(cursor, event());
                }
                held.extend(ledger.take(8).into_iter().map(|received| (received.token, 0)));
                let all: Vec<Settlement> = held.drain(..)
                    .map(|(token, _)| Settlement { token, outcome: Outcome::Handled }).collect();
                prop_assert!(!all.is_empty(), "stuck at {confirmed}");
                confirmed = ledger.settle(&all).reached.unwrap_or(confirmed);
            }
        }
    }

    #[test]
    fn what_another_receiver_confirmed_meanwhile_blocks_nothing() {
        let mut ledger = Ledger::new(8);
        for position in 1..=3_u64 {
            ledger.push(position, event());
        }
        ledger.forget();
        assert!(ledger.push(3, event()), "the source goes on at 3");
        let token = ledger.take(8)[0].token;
        let handled = ledger.settle(&[Settlement { token, outcome: Outcome::Handled }]);
        assert_eq!(handled.reached, Some(3));
    }

    #[test]
    fn a_released_event_comes_before_later_ones_and_counts() {
        let mut ledger = Ledger::new(8);
        for position in 1..=3_u64 {
            ledger.push(position, event());
        }
        let first = ledger.take(1).remove(0);
        ledger.settle(&[Settlement { token: first.token, outcome: Outcome::Released }]);
        let again = ledger.take(3);
        assert_eq!((again[0].event.id(), again[0].redeliveries), (first.event.id(), 1));
        assert_eq!(again.len(), 3);
        let stale = ledger.settle(&[Settlement { token: first.token, outcome: Outcome::Handled }]);
        assert!(stale.positions.is_empty(), "a token is settled once");
    }
}
