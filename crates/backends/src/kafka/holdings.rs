use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

use steadfast_core::Event;
use steadfast_core::transport::{Outcome, Received, Settlement, Token, Watermark};

/// A partition and the offset up to which, itself excluded, all is handled.
pub(super) type Reached = (i32, i64);

/// How many events of a partition that are handled may wait for an earlier one which is not, so that one that is held
/// for ever does not fill the memory: then the partition stops.
const HANDLED_MAX: usize = 65_536;

/// What a receiver holds of the partitions that are assigned to it: events that it has fetched, handed out, and been
/// given back; and how far each partition is handled. It does no I/O.
///
/// The order of a key is kept by two rules: events are handed out by offset, and one that was released is handed out
/// again only once no earlier event of its key is in flight; until then nothing behind it is handed out.
#[derive(Debug)]
pub(super) struct Holdings {
    in_flight_max: usize,
    in_flight: HashMap<Token, (i32, i64)>,
    next_token: u64,
    partitions: BTreeMap<i32, Partition>,
    /// Which partition is asked first, so that each has its turn.
    turn: usize,
}

#[derive(Debug, Default)]
struct Partition {
    /// Fetched and not handed out yet.
    fresh: VecDeque<Held>,
    /// Handed out and not settled.
    out: BTreeMap<i64, Held>,
    /// Given back, to be handed out again.
    released: BTreeMap<i64, Held>,
    handled: Watermark<i64>,
    /// The offset after the last event that was fetched.
    next: i64,
    reached: Option<i64>,
    committed: Option<i64>,
    /// It moves to another receiver: nothing more of it is handed out.
    leaving: bool,
}

#[derive(Debug)]
struct Held {
    offset: i64,
    event: Event,
    /// What the watermark knows it by.
    ticket: u64,
    redeliveries: u32,
}

impl Holdings {
    pub(super) fn new(in_flight_max: usize) -> Self {
        Self {
            in_flight_max: in_flight_max.max(1),
            in_flight: HashMap::new(),
            next_token: 0,
            partitions: BTreeMap::new(),
            turn: 0,
        }
    }

    /// Takes a partition that was assigned.
    pub(super) fn assign(&mut self, partition: i32) {
        self.partitions.insert(partition, Partition::default());
    }

    /// Takes the next event of a partition; one of a partition that is not assigned is left to its new owner.
    pub(super) fn fetched(&mut self, partition: i32, offset: i64, event: Event) {
        let number = partition;
        let Some(partition) = self.partitions.get_mut(&number).filter(|partition| !partition.leaving) else {
            return;
        };
        if offset < partition.next {
            tracing::warn!(
                partition = number,
                offset,
                "the log was cut or made anew and is received again from here"
            );
            *partition = Partition::default();
            // What is known by these offsets were other events: a word on them must not count for the new ones.
            self.in_flight.retain(|_, (other, _)| *other != number);
        }
        let ticket = partition.handled.begin(offset + 1);
        partition.next = offset + 1;
        partition.fresh.push_back(Held { offset, event, ticket, redeliveries: 0 });
    }

    /// Returns how many events are fetched and not handed out yet.
    pub(super) fn fresh(&self) -> usize {
        self.partitions.values().map(|partition| partition.fresh.len()).sum()
    }

    /// Hands out up to `max` events, as far as the bound of events in flight allows.
    pub(super) fn hand_out(&mut self, max: usize) -> Vec<Received> {
        let room = max.min(self.in_flight_max.saturating_sub(self.in_flight.len()));
        let mut handed = Vec::new();
        let numbers: Vec<i32> = self.partitions.keys().copied().collect();
        for turn in 0..numbers.len() {
            let number = numbers[(self.turn + turn) % numbers.len()];
            let Some(partition) = self.partitions.get_mut(&number) else { continue };
            for held in partition.next(room - handed.len()) {
                let token = Token(self.next_token);
                self.next_token += 1;
                handed.push(Received::new(held.event.clone(), token, held.redeliveries));
                self.in_flight.insert(token, (number, held.offset));
                partition.out.insert(held.offset, held);
            }
        }
        self.turn = self.turn.wrapping_add(1);
        handed
    }

    /// Takes the word on events; unknown ones are passed over.
    pub(super) fn settle(&mut self, settlements: &[Settlement]) {
        for settlement in settlements {
            let Some((number, offset)) = self.in_flight.remove(&settlement.token) else { continue };
            let Some(partition) = self.partitions.get_mut(&number) else { continue };
            let Some(mut held) = partition.out.remove(&offset) else { continue };
            match settlement.outcome {
                Outcome::Handled => {
                    partition.reached = partition.handled.finish(held.ticket).or(partition.reached);
                }
                Outcome::Released => {
                    held.redeliveries += 1;
                    partition.released.insert(offset, held);
                }
            }
        }
    }

    /// Returns what is handled and not committed yet.
    pub(super) fn uncommitted(&self) -> Vec<Reached> {
        let news = |(number, partition): (&i32, &Partition)| {
            let reached = partition.reached.filter(|reached| partition.committed != Some(*reached));
            reached.map(|reached| (*number, reached))
        };
        self.partitions.iter().filter_map(news).collect()
    }

    /// Takes note of what was committed.
    pub(super) fn committed(&mut self, reached: &[Reached]) {
        for (number, offset) in reached {
            if let Some(partition) = self.partitions.get_mut(number) {
                partition.committed = partition.committed.max(Some(*offset));
            }
        }
    }

    /// Hands out nothing more of `partitions`; what is in flight can still be settled.
    pub(super) fn leave(&mut self, partitions: &[i32]) {
        for number in partitions {
            if let Some(partition) = self.partitions.get_mut(number) {
                partition.leaving = true;
                partition.fresh.clear();
                partition.released.clear();
            }
        }
    }

    /// Says whether events of `partitions` are in flight.
    pub(super) fn is_busy(&self, partitions: &[i32]) -> bool {
        let busy = |number| self.partitions.get(number).is_some_and(|partition| !partition.out.is_empty());
        partitions.iter().any(busy)
    }

    /// Forgets `partitions`; the tokens of their events mean nothing from now on.
    pub(super) fn forget(&mut self, partitions: &[i32]) {
        self.partitions.retain(|number, _| !partitions.contains(number));
        self.in_flight.retain(|_, (number, _)| !partitions.contains(number));
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        self.partitions.clear();
        self.in_flight.clear();
    }
}

impl Partition {
    fn is_out_before(&self, offset: i64, key: &str) -> bool {
        self.out.range(..offset).any(|(_, held)| held.event.partition_key() == Some(key))
    }

    /// Says how many fresh events may be handed out without too many waiting for one that is held.
    fn window(&self) -> usize {
        let known = self.fresh.len() + self.out.len() + self.released.len();
        HANDLED_MAX.saturating_sub(self.handled.in_flight().saturating_sub(known))
    }

    /// Takes out up to `max` events that may be handed out now, by offset.
    fn next(&mut self, max: usize) -> Vec<Held> {
        let mut next = Vec::new();
        if self.leaving {
            return next;
        }
        let window = self.window();
        if self.released.is_empty() {
            next.extend(self.fresh.drain(..max.min(window).min(self.fresh.len())));
            return next;
        }
        // Keys with an event that must wait; nothing behind it may pass.
        let mut waiting: HashSet<String> = HashSet::new();
        let mut again = Vec::new();
        for held in self.released.values() {
            if again.len() == max {
                break;
            }
            let key = held.event.partition_key();
            if key.is_some_and(|key| waiting.contains(key) || self.is_out_before(held.offset, key)) {
                waiting.extend(key.map(str::to_owned));
            } else {
                again.push(held.offset);
            }
        }
        next.extend(again.iter().filter_map(|offset| self.released.remove(offset)));
        let waits = |held: &Held| held.event.partition_key().is_some_and(|key| waiting.contains(key));
        let max = max.min(next.len() + window);
        while next.len() < max && self.fresh.front().is_some_and(|held| !waits(held)) {
            next.extend(self.fresh.pop_front());
        }
        next
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn event(key: u32, number: i64) -> Event {
        Event::new("/t", "t").subject(format!("{key}")).bytes(number.to_string())
    }

    fn offset(received: &Received) -> i64 {
        std::str::from_utf8(received.event.data()).expect("a number").parse().expect("a number")
    }

    fn told(received: &[Received], outcome: Outcome) -> Vec<Settlement> {
        received.iter().map(|received| Settlement { token: received.token, outcome }).collect()
    }

    fn filled(in_flight_max: usize, keys: u32, events: i64) -> Holdings {
        let mut holdings = Holdings::new(in_flight_max);
        holdings.assign(0);
        for number in 0..events {
            holdings.fetched(0, number, event(number as u32 % keys, number));
        }
        holdings
    }

    #[test]
    fn only_what_has_no_gap_before_it_is_committed() {
        let mut holdings = filled(10, 1, 3);
        let events = holdings.hand_out(10);
        holdings.settle(&told(&events[1..], Outcome::Handled));
        assert_eq!(holdings.uncommitted(), []);
        holdings.settle(&told(&events[..1], Outcome::Handled));
        assert_eq!(holdings.uncommitted(), [(0, 3)]);
        holdings.committed(&[(0, 3)]);
        assert_eq!(holdings.uncommitted(), []);
    }

    #[test]
    fn a_released_event_waits_for_earlier_ones_of_its_key_and_holds_up_later_ones() {
        let mut holdings = filled(3, 1, 4);
        let first = holdings.hand_out(10);
        assert_eq!(first.len(), 3, "the bound is kept");
        holdings.settle(&told(&first[1..2], Outcome::Released));
        assert!(holdings.hand_out(10).is_empty(), "the first is in flight");
        holdings.settle(&told(&first[..1], Outcome::Released));
        let again = holdings.hand_out(10);
        assert_eq!(again.iter().map(offset).collect::<Vec<_>>(), [0, 1]);
        assert!(again.iter().all(|received| received.redeliveries == 1));
        holdings.settle(&told(&first[2..], Outcome::Handled));
        assert_eq!(holdings.hand_out(10).iter().map(offset).collect::<Vec<_>>(), [3]);
        assert_eq!(holdings.uncommitted(), []);
    }

    #[test]
    fn other_keys_pass_one_that_waits() {
        let mut holdings = filled(10, 2, 4);
        let events = holdings.hand_out(10);
        holdings.settle(&told(&events[1..3], Outcome::Released));
        let again = holdings.hand_out(10);
        assert_eq!(again.iter().map(offset).collect::<Vec<_>>(), [1], "2 waits for 0");
    }

    #[test]
    fn a_partition_that_leaves_settles_but_hands_out_nothing() {
        let mut holdings = filled(2, 2, 4);
        let events = holdings.hand_out(10);
        holdings.leave(&[0]);
        holdings.settle(&told(&events[1..], Outcome::Released));
        assert!(holdings.is_busy(&[0]) && holdings.hand_out(10).is_empty());
        holdings.settle(&told(&events[..1], Outcome::Handled));
        assert!(!holdings.is_busy(&[0]));
        assert_eq!(holdings.uncommitted(), [(0, 1)]);
        holdings.forget(&[0]);
        holdings.assign(0);
        holdings.fetched(0, 1, event(1, 1));
        holdings.settle(&told(&events, Outcome::Handled));
        assert_eq!(
            (holdings.uncommitted(), holdings.hand_out(10).len()),
            (Vec::new(), 1),
            "old tokens are void"
        );
    }

    #[test]
    fn a_log_that_begins_anew_is_received_and_old_words_mean_nothing() {
        let mut holdings = filled(10, 2, 5);
        let events = holdings.hand_out(4);
        holdings.settle(&told(&events[..2], Outcome::Handled));
        assert_eq!(holdings.uncommitted(), [(0, 2)]);
        holdings.committed(&[(0, 2)]);
        // The end of the log was lost with a broker, and others were written in its place.
        holdings.fetched(0, 1, event(7, 1));
        holdings.fetched(0, 2, event(7, 2));
        holdings.settle(&told(&events[2..], Outcome::Handled));
        assert_eq!(holdings.uncommitted(), [], "the new events were not handled");
        let anew = holdings.hand_out(10);
        assert_eq!(anew.iter().map(offset).collect::<Vec<_>>(), [1, 2]);
        holdings.settle(&told(&anew, Outcome::Handled));
        assert_eq!(holdings.uncommitted(), [(0, 3)]);
    }

    #[test]
    fn one_event_that_is_held_for_ever_stops_the_partition_and_does_not_fill_the_memory() {
        let mut holdings = filled(10, 1, 1);
        let stuck = holdings.hand_out(1);
        let mut handled = 0;
        for number in 1.. {
            holdings.fetched(0, number, event(1, number));
            let events = holdings.hand_out(10);
            if events.is_empty() {
                break;
            }
            handled += events.len();
            holdings.settle(&told(&events, Outcome::Handled));
        }
        assert_eq!(handled, HANDLED_MAX);
        holdings.settle(&told(&stuck, Outcome::Handled));
        assert_eq!(holdings.uncommitted(), [(0, 1 + HANDLED_MAX as i64)]);
        assert_eq!(holdings.hand_out(10).len(), 1, "it goes on");
    }

    proptest! {
        #[test]
        fn whatever_is_settled_order_and_bound_are_kept_and_all_is_handled_once(
            steps in proptest::collection::vec((1_usize..6, any::<u8>(), any::<bool>()), 1..200),
            keys in 1_u32..4,
            in_flight_max in 1_usize..8,
        ) {
            const EVENTS: i64 = 40;
            let mut holdings = filled(in_flight_max, keys, EVENTS);
            let (mut flying, mut handled) = (Vec::<Received>::new(), HashSet::new());
            let finish = std::iter::repeat_n((6, 0, true), 500);
            for (max, which, handles) in steps.into_iter().chain(finish) {
                for received in holdings.hand_out(max) {
                    let this = offset(&received);
                    let key = received.event.partition_key().map(str::to_owned);
                    for other in &flying {
                        let same = other.event.partition_key().map(str::to_owned) == key;
                        prop_assert!(!same || offset(other) < this, "{this} came while {} was in flight", offset(other));
                    }
                    for earlier in (0..this).filter(|earlier| (*earlier as u32 % keys).to_string() == key.clone().unwrap_or_default()) {
                        let known = handled.contains(&earlier) || flying.iter().any(|other| offset(other) == earlier);
                        prop_assert!(known, "{this} passed {earlier}");
                    }
                    flying.push(received);
                }
                prop_assert!(flying.len() <= in_flight_max);
                if flying.is_empty() { continue }
                let one = flying.remove(which as usize % flying.len());
                let outcome = if handles { Outcome::Handled } else { Outcome::Released };
                // Whoever releases an event releases the later ones of its key as well, to keep their order.
                let later: Vec<usize> = if handles { Vec::new() } else {
                    (0..flying.len()).filter(|at| {
                        flying[*at].event.partition_key() == one.event.partition_key() && offset(&flying[*at]) > offset(&one)
                    }).collect()
                };
                let mut settled = told(std::slice::from_ref(&one), outcome);
                for at in later.into_iter().rev() {
                    settled.extend(told(&[flying.remove(at)], Outcome::Released));
                }
                if handles {
                    prop_assert!(handled.insert(offset(&one)), "{} was handled twice", offset(&one));
                }
                holdings.settle(&settled);
                let expected = (0..).find(|at| !handled.contains(at)).expect("numbers do not end");
                prop_assert_eq!(holdings.uncommitted(), if expected == 0 { vec![] } else { vec![(0, expected)] });
            }
            prop_assert_eq!(handled.len() as i64, EVENTS);
        }
    }
}
