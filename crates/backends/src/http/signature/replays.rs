use std::collections::{HashMap, VecDeque};
use std::time::SystemTime;

use parking_lot::Mutex;
use steadfast_core::store::Durability;

type Digest = [u8; 32];

/// How many signed requests are remembered; when there are more within the tolerance, the oldest are forgotten and
/// only the identity of their events protects from handing them on twice.
const REMEMBERED_MAX: usize = 1 << 16;

/// Signed requests that were taken, until their time is outside the tolerance and they are refused anyway.
#[derive(Debug, Default)]
pub(in crate::http) struct Replays {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// None while the request is worked on.
    seen: HashMap<Digest, Option<Taken>>,
    by_age: VecDeque<(Digest, SystemTime)>,
}

/// How a request was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::http) struct Taken {
    pub(in crate::http) events: usize,
    pub(in crate::http) durability: Durability,
}

/// Whether a request was seen before.
#[derive(Debug)]
pub(in crate::http) enum Seen<'r> {
    Never(Claim<'r>),
    BeingTaken,
    Taken(Taken),
}

/// The right to work on a request; dropping it without [`taken`](Self::taken) gives it back.
#[derive(Debug)]
pub(in crate::http) struct Claim<'r> {
    replays: &'r Replays,
    digest: Digest,
    until: SystemTime,
    taken: bool,
}

impl Replays {
    pub(in crate::http) fn claim(&self, digest: Digest, until: SystemTime, now: SystemTime) -> Seen<'_> {
        let mut state = self.state.lock();
        while state.by_age.front().is_some_and(|(_, until)| *until < now)
            || state.by_age.len() >= REMEMBERED_MAX
        {
            if let Some((oldest, _)) = state.by_age.pop_front() {
                state.seen.remove(&oldest);
            }
        }
        match state.seen.get(&digest) {
            Some(Some(taken)) => Seen::Taken(*taken),
            Some(None) => Seen::BeingTaken,
            None => {
                state.seen.insert(digest, None);
                Seen::Never(Claim { replays: self, digest, until, taken: false })
            }
        }
    }
}

impl Claim<'_> {
    pub(in crate::http) fn taken(mut self, taken: Taken) {
        let mut state = self.replays.state.lock();
        state.seen.insert(self.digest, Some(taken));
        state.by_age.push_back((self.digest, self.until));
        drop(state);
        self.taken = true;
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        if !self.taken {
            self.replays.state.lock().seen.remove(&self.digest);
        }
    }
}
