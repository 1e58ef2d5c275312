//! What a receiver holds: which shards it owns, what it has read and not handed out, what it has handed out and not
//! heard of, and what it has heard and not told. No I/O.

use std::collections::{BTreeMap, HashMap, HashSet};

use steadfast_core::Event;
use steadfast_core::transport::{Error, Outcome, Received, Settlement, Token};
use tokio::time::Instant;

use super::entry::EntryId;
use super::group::Word;

/// A receiver's possessions.
pub(super) struct State {
    in_flight_max: usize,
    pub(super) shards: BTreeMap<u32, Shard>,
    /// Handed out and not settled.
    held: HashMap<u64, Held>,
    /// Every entry that is read, held, or still to be told of: not to be taken a second time.
    known: HashSet<(u32, EntryId)>,
    /// Settled and not told, in the order in which it was settled.
    words: Vec<Word>,
    /// How many words there were ever.
    pub(super) words_ever: u64,
    next_token: u64,
    /// The shard to hand out from next.
    turn: u32,
    /// Until when the shards are ours, by our own clock.
    pub(super) lease_until: Instant,
    /// What waiting cannot mend.
    pub(super) fault: Option<Error>,
    pub(super) closed: bool,
}

/// A shard that is ours.
#[derive(Default)]
pub(super) struct Shard {
    /// Read and not handed out.
    ready: BTreeMap<EntryId, Ready>,
    /// What others left is taken over first, behind this entry; none once that is done.
    pub(super) claim_after: Option<EntryId>,
    /// The last entry that the group has been given.
    pub(super) delivered: EntryId,
    /// To be given to another receiver as soon as nothing of it is held.
    pub(super) giving: bool,
}

struct Ready {
    event: Event,
    redeliveries: u32,
}

struct Held {
    shard: u32,
    id: EntryId,
    event: Event,
    redeliveries: u32,
}

impl State {
    pub(super) fn new(in_flight_max: usize) -> Self {
        Self {
            in_flight_max,
            shards: BTreeMap::new(),
            held: HashMap::new(),
            known: HashSet::new(),
            words: Vec::new(),
            words_ever: 0,
            next_token: 0,
            turn: 0,
            lease_until: Instant::now(),
            fault: None,
            closed: false,
        }
    }

    /// How many more entries may be read.
    pub(super) fn room(&self) -> usize {
        let ready: usize = self.shards.values().map(|shard| shard.ready.len()).sum();
        self.in_flight_max.saturating_sub(self.held.len() + self.words.len() + ready)
    }

    /// Notes what is ours now. What was read of a shard that is not is dropped: its next owner has claimed it.
    pub(super) fn own(&mut self, owned: &[u32]) {
        let lost: Vec<u32> = self.shards.keys().copied().filter(|shard| !owned.contains(shard)).collect();
        for shard in lost {
            self.lose(shard);
        }
        for &shard in owned {
            let claim_from_start = || Shard { claim_after: Some(EntryId::default()), ..Shard::default() };
            self.shards.entry(shard).or_insert_with(claim_from_start);
        }
    }

    /// Drops a shard that is not ours any more. What is held of it stays known, in case it becomes ours again.
    pub(super) fn lose(&mut self, shard: u32) {
        for id in self.shards.remove(&shard).into_iter().flat_map(|owned| owned.ready.into_keys()) {
            self.known.remove(&(shard, id));
        }
    }

    /// What was handed out before a connection was lost, and never arrived, is claimed before anything else is read.
    pub(super) fn claim_again(&mut self) {
        for shard in self.shards.values_mut() {
            shard.claim_after = Some(EntryId::default());
        }
    }

    /// Marks shards beyond `quota` as to be given; returns those of which nothing is held any more. What was read of
    /// them and not handed out goes to the next owner.
    pub(super) fn give(&mut self, quota: usize) -> Vec<u32> {
        let surplus = self.shards.len().saturating_sub(quota);
        let chosen: Vec<u32> = self.shards.keys().rev().copied().take(surplus).collect();
        for (name, shard) in &mut self.shards {
            let was = std::mem::replace(&mut shard.giving, chosen.contains(name));
            if was && !shard.giving {
                // It stays after all, and so does what was dropped.
                shard.claim_after = Some(EntryId::default());
            }
            if shard.giving {
                for id in std::mem::take(&mut shard.ready).into_keys() {
                    self.known.remove(&(*name, id));
                }
            }
        }
        let held = |shard: &u32| {
            self.known.iter().any(|(of, _)| of == shard) || self.words.iter().any(|word| word.shard == *shard)
        };
        chosen.into_iter().filter(|shard| !held(shard)).collect()
    }

    /// Takes an entry that was read; one that is known already is passed over.
    pub(super) fn take(&mut self, shard: u32, id: EntryId, event: Event, redeliveries: u32) {
        let Some(owned) = self.shards.get_mut(&shard) else { return };
        if self.known.insert((shard, id)) {
            owned.ready.insert(id, Ready { event, redeliveries });
        }
    }

    /// Hands out up to `max` events, shard by shard in turn.
    pub(super) fn hand_out(&mut self, max: usize) -> Vec<Received> {
        let mut out = Vec::new();
        if Instant::now() >= self.lease_until {
            return out;
        }
        let shards: Vec<u32> = {
            let (before, from) = self.shards.keys().copied().partition::<Vec<_>, _>(|s| *s < self.turn);
            from.into_iter().chain(before).collect()
        };
        for shard in shards {
            let Some(owned) = self.shards.get_mut(&shard).filter(|owned| !owned.giving) else { continue };
            while out.len() < max {
                let Some((id, Ready { event, redeliveries })) = owned.ready.pop_first() else { break };
                let token = self.next_token;
                self.next_token += 1;
                out.push(Received::new(event.clone(), Token(token), redeliveries));
                self.held.insert(token, Held { shard, id, event, redeliveries });
                self.turn = shard + 1;
            }
        }
        out
    }

    /// Notes what became of events. What is released is ready again at once, in its place, if the shard is ours.
    pub(super) fn settle(&mut self, settlements: &[Settlement]) {
        for Settlement { token, outcome } in settlements {
            let Some(Held { shard, id, event, redeliveries }) = self.held.remove(&token.0) else { continue };
            let deliveries = redeliveries.saturating_add(1);
            let owned = self.shards.get_mut(&shard);
            match (outcome, owned) {
                // Whoever has the shard now has claimed it.
                (Outcome::Released, None) => {
                    self.known.remove(&(shard, id));
                    continue;
                }
                (Outcome::Released, Some(owned)) if owned.giving => {
                    self.known.remove(&(shard, id));
                }
                (Outcome::Released, Some(owned)) => {
                    owned.ready.insert(id, Ready { event, redeliveries: deliveries });
                }
                (Outcome::Handled, _) => {}
            }
            self.words.push(Word { shard, id, outcome: *outcome, deliveries });
            self.words_ever += 1;
        }
    }

    /// Returns what is to be told, and up to which word that is.
    pub(super) fn words(&self) -> (Vec<Word>, u64) {
        (self.words.clone(), self.words_ever)
    }

    /// Notes that the first `count` words were told.
    pub(super) fn told(&mut self, count: usize) {
        for word in self.words.drain(..count) {
            if word.outcome == Outcome::Handled {
                self.known.remove(&(word.shard, word.id));
            }
        }
    }
}
