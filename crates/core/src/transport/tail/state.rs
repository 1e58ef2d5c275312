//! What a tail's receiver has handed out: a state machine without waiting.

use std::collections::{BTreeMap, HashMap};

use crate::store::{Position, StoredEvent};
use crate::transport::{Outcome, Received, Settlement, Token, Watermark};

/// How many events may stand behind the first that is not handled, handled ones included.
const SPAN_MAX: usize = 1 << 16;

#[derive(Debug)]
pub(super) struct State {
    in_flight_max: usize,
    in_flight: HashMap<Token, Entry>,
    /// By their place in the order.
    released: BTreeMap<u64, Entry>,
    watermark: Watermark<Position>,
    tokens: u64,
    /// Up to where everything is handled, if that is not noted in the checkpoint yet.
    reached: Option<Position>,
}

#[derive(Debug)]
struct Entry {
    ticket: u64,
    stored: StoredEvent,
    handed_out: u32,
}

impl State {
    pub(super) fn new(in_flight_max: usize) -> Self {
        Self {
            in_flight_max: in_flight_max.max(1),
            in_flight: HashMap::new(),
            released: BTreeMap::new(),
            watermark: Watermark::new(),
            tokens: 0,
            reached: None,
        }
    }

    /// Returns how many new events may be handed out now.
    pub(super) fn room(&self) -> usize {
        let span = SPAN_MAX.saturating_sub(self.watermark.in_flight());
        self.in_flight_max.saturating_sub(self.in_flight.len()).min(span)
    }

    /// Hands out a new event; events come in their order.
    pub(super) fn hand_out(&mut self, stored: StoredEvent) -> Received {
        let ticket = self.watermark.begin(stored.position);
        self.hand_out_entry(Entry { ticket, stored, handed_out: 0 })
    }

    /// Hands out up to `max` released events again.
    pub(super) fn hand_out_again(&mut self, max: usize) -> Vec<Received> {
        let mut events = Vec::new();
        while events.len() < max && self.in_flight.len() < self.in_flight_max {
            let Some((_, entry)) = self.released.pop_first() else { break };
            events.push(self.hand_out_entry(entry));
        }
        events
    }

    fn hand_out_entry(&mut self, mut entry: Entry) -> Received {
        let token = Token(self.tokens);
        self.tokens += 1;
        let received = Received::new(entry.stored.event.clone(), token, entry.handed_out);
        entry.handed_out += 1;
        self.in_flight.insert(token, entry);
        received
    }

    pub(super) fn settle(&mut self, settlements: &[Settlement]) {
        for Settlement { token, outcome } in settlements {
            let Some(entry) = self.in_flight.remove(token) else { continue };
            match outcome {
                Outcome::Handled => self.reached = self.watermark.finish(entry.ticket).or(self.reached),
                Outcome::Released => drop(self.released.insert(entry.ticket, entry)),
            }
        }
    }

    /// Returns up to where everything is handled, if that was not [noted](Self::noted).
    pub(super) fn reached(&self) -> Option<Position> {
        self.reached
    }

    /// Takes note that the checkpoint stands at `position`.
    pub(super) fn noted(&mut self, position: Position) {
        if self.reached.is_some_and(|reached| reached <= position) {
            self.reached = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Event;
    use crate::store::Revision;

    fn stored(number: u64) -> StoredEvent {
        let event = Event::new("/test", "test").data("text/plain", number.to_string());
        let position = Position::from_parts(number, 0);
        StoredEvent { position, stream: "s".into(), revision: Revision(number), event }
    }

    fn number(received: &Received) -> u64 {
        std::str::from_utf8(received.event.data()).ok().and_then(|data| data.parse().ok()).expect("a number")
    }

    proptest! {
        #[test]
        fn nothing_is_passed_lost_or_in_flight_beyond_the_bound(
            in_flight_max in 1..8_usize,
            steps in proptest::collection::vec((0..3_u8, any::<prop::sample::Index>()), 1..200),
        ) {
            let mut state = State::new(in_flight_max);
            let (mut next, mut held, mut handled) = (1, Vec::new(), std::collections::BTreeSet::new());
            for (step, index) in steps {
                if step == 0 {
                    let again = state.hand_out_again(3);
                    prop_assert!(again.is_sorted_by_key(number), "{again:?}");
                    held.extend(again);
                    if state.room() > 0 {
                        held.push(state.hand_out(stored(next)));
                        next += 1;
                    }
                    prop_assert!(held.len() <= in_flight_max);
                } else if !held.is_empty() {
                    let received = held.swap_remove(index.index(held.len()));
                    let outcome = if step == 1 { Outcome::Handled } else { Outcome::Released };
                    if step == 1 {
                        handled.insert(number(&received));
                    }
                    // Telling twice changes nothing.
                    for outcome in [outcome, Outcome::Handled] {
                        state.settle(&[Settlement { token: received.token, outcome }]);
                    }
                }
                let first_unhandled = (1..).find(|number| !handled.contains(number)).unwrap_or(1);
                if let Some(reached) = state.reached() {
                    prop_assert_eq!(reached, Position::from_parts(first_unhandled - 1, 0));
                    state.noted(reached);
                }
            }
            for received in held {
                handled.insert(number(&received));
                state.settle(&[Settlement { token: received.token, outcome: Outcome::Handled }]);
            }
            loop {
                let rest = state.hand_out_again(100);
                if rest.is_empty() {
                    break;
                }
                for received in rest {
                    handled.insert(number(&received));
                    state.settle(&[Settlement { token: received.token, outcome: Outcome::Handled }]);
                }
            }
            prop_assert_eq!(handled.len() as u64, next - 1);
        }
    }
}
