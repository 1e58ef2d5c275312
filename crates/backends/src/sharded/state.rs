//! What a receiver holds: which shards it owns, what it has read and not handed out, what it has handed out and not
//! heard of, and what it has heard and not told. No I/O.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::Hash;

use steadfast_core::Event;
use steadfast_core::transport::{Error, Outcome, Received, Settlement, Token};
use tokio::time::Instant;

/// A transport's own types.
pub(crate) trait Kind {
    /// The place of an entry in its shard.
    type Id: Copy + Ord + Hash;
    /// What an entry is told by, besides its place.
    type Handle: Clone;
    /// What the transport notes of a shard; its default is that of a shard that has just become ours.
    type Note: Default;
}

/// A receiver's possessions.
pub(crate) struct State<K: Kind> {
    in_flight_max: usize,
    shards: BTreeMap<u32, Shard<K>>,
    /// Handed out and not settled.
    held: HashMap<u64, Held<K>>,
    /// Every entry that is ready, held, or still to be told of: not to be taken a second time.
    known: HashSet<(u32, K::Id)>,
    /// Settled and not told, in the order in which it was settled.
    words: Vec<Word<K>>,
    /// How many words there were ever.
    words_ever: u64,
    next_token: u64,
    /// The shard to hand out from next.
    turn: u32,
    /// Until when the shards are ours, by our own clock.
    lease_until: Instant,
    /// What waiting cannot mend.
    pub(crate) fault: Option<Error>,
    pub(crate) closed: bool,
}

/// A shard that is ours.
pub(crate) struct Shard<K: Kind> {
    /// Read and not handed out.
    ready: BTreeMap<K::Id, Ready<K>>,
    /// To be given to another receiver as soon as nothing of it is held.
    pub(crate) giving: bool,
    pub(crate) note: K::Note,
}

struct Ready<K: Kind> {
    event: Event,
    redeliveries: u32,
    handle: K::Handle,
}

struct Held<K: Kind> {
    shard: u32,
    id: K::Id,
    event: Event,
    redeliveries: u32,
    handle: K::Handle,
    /// The shard was not ours meanwhile: another may have been given it too, and may have handled it.
    stale: bool,
}

/// What is to be told about an entry.
pub(crate) struct Word<K: Kind> {
    pub(crate) shard: u32,
    pub(crate) id: K::Id,
    pub(crate) handle: K::Handle,
    pub(crate) outcome: Outcome,
    /// How often it was handed out by now.
    #[cfg_attr(not(feature = "redis"), allow(dead_code, reason = "NATS counts by itself"))]
    pub(crate) deliveries: u32,
    /// It is ready here again, so that nobody else need have it.
    #[cfg_attr(not(feature = "nats"), allow(dead_code, reason = "Redis is told all the same"))]
    pub(crate) kept: bool,
}

impl<K: Kind> Clone for Word<K> {
    fn clone(&self) -> Self {
        Self { handle: self.handle.clone(), ..*self }
    }
}

impl<K: Kind> State<K> {
    pub(crate) fn new(in_flight_max: usize) -> Self {
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

    /// Returns the shards that are ours.
    pub(crate) fn shards(&self) -> impl Iterator<Item = (u32, &Shard<K>)> {
        self.shards.iter().map(|(name, shard)| (*name, shard))
    }

    /// Returns a shard, if it is ours.
    pub(crate) fn shard(&mut self, shard: u32) -> Option<&mut Shard<K>> {
        self.shards.get_mut(&shard)
    }

    /// Returns how many more entries may be read, whatever their shard.
    #[cfg(feature = "redis")]
    pub(crate) fn room(&self) -> usize {
        let ready: usize = self.shards.values().map(|shard| shard.ready.len()).sum();
        self.in_flight_max.saturating_sub(self.held.len() + self.words.len() + ready)
    }

    /// Returns how many more entries of one shard may be read, whatever is held of others.
    #[cfg(feature = "nats")]
    pub(crate) fn room_of(&self, shard: u32) -> usize {
        self.in_flight_max.saturating_sub(self.unsettled(shard))
    }

    /// Returns how many entries of a shard are ready or held.
    #[cfg(feature = "nats")]
    pub(crate) fn unsettled(&self, shard: u32) -> usize {
        let ready = self.shards.get(&shard).map_or(0, |owned| owned.ready.len());
        ready + self.held.values().filter(|held| held.shard == shard).count()
    }

    /// Returns how many entries of a shard are ready or held, not counting those behind `last`, nor those that may be
    /// settled by another.
    #[cfg(feature = "nats")]
    pub(crate) fn unsettled_to(&self, shard: u32, last: K::Id) -> usize {
        let ready = self.shards.get(&shard).map_or(0, |owned| owned.ready.range(..=last).count());
        let counts = |held: &&Held<K>| held.shard == shard && held.id <= last && !held.stale;
        ready + self.held.values().filter(counts).count()
    }

    /// Returns by what to tell that entries are ready or held.
    #[cfg(feature = "nats")]
    pub(crate) fn handles(&self) -> Vec<K::Handle> {
        let ready = self.shards.values().flat_map(|shard| shard.ready.values().map(|ready| &ready.handle));
        ready.chain(self.held.values().map(|held| &held.handle)).cloned().collect()
    }

    /// Notes what is ours now, until `lease_until`. What was read of a shard that is not is for its next owner; returns
    /// by what to tell so. Where the lease had run out that is every shard, for it may have had another owner since,
    /// unless it is known that nobody has come, gone or taken anything: `undisturbed`.
    pub(crate) fn own(&mut self, owned: &[u32], lease_until: Instant, undisturbed: bool) -> Vec<K::Handle> {
        let lapsed = Instant::now() >= self.lease_until && !undisturbed;
        self.lease_until = lease_until;
        let lost: Vec<u32> =
            self.shards.keys().copied().filter(|shard| lapsed || !owned.contains(shard)).collect();
        let dropped = lost.into_iter().flat_map(|shard| self.lose(shard)).collect();
        for &shard in owned {
            self.shards.entry(shard).or_insert_with(Shard::new);
        }
        dropped
    }

    /// Drops a shard that is not ours any more. What is held of it stays known, in case it becomes ours again.
    pub(crate) fn lose(&mut self, shard: u32) -> Vec<K::Handle> {
        for held in self.held.values_mut().filter(|held| held.shard == shard) {
            held.stale = true;
        }
        let ready = self.shards.remove(&shard).map(|owned| owned.ready).unwrap_or_default();
        let drop = |(id, ready): (K::Id, Ready<K>)| {
            self.known.remove(&(shard, id));
            ready.handle
        };
        ready.into_iter().map(drop).collect()
    }

    /// Makes every shard as if it had just become ours, but for what is read of it.
    #[cfg(feature = "redis")]
    pub(crate) fn begin_again(&mut self) {
        for shard in self.shards.values_mut() {
            shard.note = K::Note::default();
        }
    }

    /// Marks shards beyond `quota` as to be given. What was read of them and not handed out is for the next owner;
    /// returns by what to tell so.
    pub(crate) fn give(&mut self, quota: usize) -> Vec<K::Handle> {
        let surplus = self.shards.len().saturating_sub(quota);
        let chosen: Vec<u32> = self.shards.keys().rev().copied().take(surplus).collect();
        let mut dropped = Vec::new();
        for (name, shard) in &mut self.shards {
            let was = std::mem::replace(&mut shard.giving, chosen.contains(name));
            if was && !shard.giving {
                // It stays after all, and so does what was dropped.
                shard.note = K::Note::default();
            }
            if shard.giving {
                for (id, ready) in std::mem::take(&mut shard.ready) {
                    self.known.remove(&(*name, id));
                    dropped.push(ready.handle);
                }
            }
        }
        dropped
    }

    /// Returns the shards that are to be given and of which nothing is held any more.
    pub(crate) fn given(&self) -> Vec<u32> {
        let held = |shard: u32| {
            self.known.iter().any(|(of, _)| *of == shard) || self.words.iter().any(|word| word.shard == shard)
        };
        self.shards().filter(|(name, shard)| shard.giving && !held(*name)).map(|(name, _)| name).collect()
    }

    /// Takes an entry that was read; one that is known already is told by the newer handle.
    pub(crate) fn take(&mut self, shard: u32, id: K::Id, handle: K::Handle, event: Event, redeliveries: u32) {
        if self.renew(shard, id, &handle) {
            return;
        }
        let Some(owned) = self.shards.get_mut(&shard) else { return };
        self.known.insert((shard, id));
        owned.ready.insert(id, Ready { event, redeliveries, handle });
    }

    /// Notes that an entry, if it is known, is told by `handle` from now on; says whether it is.
    pub(crate) fn renew(&mut self, shard: u32, id: K::Id, handle: &K::Handle) -> bool {
        if !self.known.contains(&(shard, id)) {
            return false;
        }
        if let Some(ready) = self.shards.get_mut(&shard).and_then(|owned| owned.ready.get_mut(&id)) {
            ready.handle = handle.clone();
        } else if let Some(held) = self.held.values_mut().find(|held| held.shard == shard && held.id == id) {
            held.handle = handle.clone();
            held.stale = false;
        } else if let Some(word) = self.words.iter_mut().find(|word| word.shard == shard && word.id == id) {
            word.handle = handle.clone();
        }
        true
    }

    /// Hands out up to `max` events, shard by shard in turn.
    pub(crate) fn hand_out(&mut self, max: usize) -> Vec<Received> {
        let mut out = Vec::new();
        if Instant::now() >= self.lease_until {
            return out;
        }
        let max = max.min(self.in_flight_max.saturating_sub(self.held.len() + self.words.len()));
        let (before, from) = self.shards.keys().copied().partition::<Vec<_>, _>(|shard| *shard < self.turn);
        for shard in from.into_iter().chain(before) {
            let Some(owned) = self.shards.get_mut(&shard).filter(|owned| !owned.giving) else { continue };
            while out.len() < max {
                let Some((id, Ready { event, redeliveries, handle })) = owned.ready.pop_first() else {
                    break;
                };
                let token = self.next_token;
                self.next_token += 1;
                out.push(Received::new(event.clone(), Token(token), redeliveries));
                self.held.insert(token, Held { shard, id, event, redeliveries, handle, stale: false });
                self.turn = shard + 1;
            }
        }
        out
    }

    /// Notes what became of events; says whether that is news. What is released is ready again at once, in its place,
    /// if the shard is ours and was all the time.
    pub(crate) fn settle(&mut self, settlements: &[Settlement]) -> bool {
        let before = self.words_ever;
        for Settlement { token, outcome } in settlements {
            let Some(Held { shard, id, event, redeliveries, handle, stale }) = self.held.remove(&token.0)
            else {
                continue;
            };
            let deliveries = redeliveries.saturating_add(1);
            let mut kept = false;
            if *outcome == Outcome::Released {
                match self.shards.get_mut(&shard) {
                    Some(owned) if !owned.giving && !stale => {
                        let handle = handle.clone();
                        owned.ready.insert(id, Ready { event, redeliveries: deliveries, handle });
                        kept = true;
                    }
                    _ => {
                        self.known.remove(&(shard, id));
                    }
                }
            }
            self.words.push(Word { shard, id, handle, outcome: *outcome, deliveries, kept });
            self.words_ever += 1;
        }
        self.words_ever > before
    }

    /// Says whether there is anything to be told.
    pub(crate) fn has_words(&self) -> bool {
        !self.words.is_empty()
    }

    /// Returns how many words there were ever.
    pub(crate) fn words_ever(&self) -> u64 {
        self.words_ever
    }

    /// Returns what is to be told, and up to which word that is.
    pub(crate) fn words(&self) -> (Vec<Word<K>>, u64) {
        (self.words.clone(), self.words_ever)
    }

    /// Notes that the first `count` words were told.
    pub(crate) fn told(&mut self, count: usize) {
        for word in self.words.drain(..count) {
            if word.outcome == Outcome::Handled {
                self.known.remove(&(word.shard, word.id));
            }
        }
    }
}

impl<K: Kind> Shard<K> {
    fn new() -> Self {
        Self { ready: BTreeMap::new(), giving: false, note: K::Note::default() }
    }
}
