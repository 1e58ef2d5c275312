use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use crate::Dose;

/// Where the workers of a runtime meet and are held, one round after another.
#[derive(Debug, Default)]
pub(crate) struct Rendezvous {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    round: Option<Round>,
    rounds: u64,
    stalls: u64,
    missed: u64,
    stalled: Duration,
    released: Option<Instant>,
    workers: Vec<(ThreadId, Duration)>,
}

/// One stall: it is open from when the driver begins it until the first worker leaves it or the driver gives up.
#[derive(Debug)]
struct Round {
    number: u64,
    workers: usize,
    /// Each worker's thread and when it arrived; never the same thread twice, for it is held.
    arrived: Vec<(ThreadId, Instant)>,
    full: Option<Instant>,
}

impl Rendezvous {
    /// Opens a round for as many workers and returns its number.
    pub(super) fn begin(&self, workers: usize) -> u64 {
        let mut state = self.state.lock();
        state.rounds += 1;
        let number = state.rounds;
        state.round = Some(Round { number, workers, arrived: Vec::with_capacity(workers), full: None });
        number
    }

    /// Holds the calling thread until `stall` after the last worker arrived, or until `lease_end` if that is
    /// earlier; when some do not arrive, until `stall` after the first.
    pub(super) fn hold(&self, number: u64, stall: Duration, lease_end: impl Fn() -> Instant) {
        let mut state = self.state.lock();
        let now = Instant::now();
        let Some(round) = state.open(number) else { return };
        round.arrived.push((thread::current().id(), now));
        let first = round.arrived[0].1;
        if round.arrived.len() == round.workers {
            round.full = Some(now);
            self.changed.notify_all();
        }
        while let Some(round) = state.open(number) {
            let until = (round.full.unwrap_or(first) + stall).min(lease_end());
            let now = Instant::now();
            if now >= until {
                state.close(now);
                self.changed.notify_all();
                break;
            }
            self.changed.wait_until(&mut state, until);
        }
    }

    /// Waits until the round is full or over, but no longer than `until`; returns how many workers are still to
    /// arrive, 0 when nobody is waited for any more.
    pub(super) fn gather(&self, number: u64, until: Instant) -> usize {
        let mut state = self.state.lock();
        while let Some(round) = state.open(number) {
            let missing = round.workers - round.arrived.len();
            if missing == 0 || Instant::now() >= until {
                return missing;
            }
            self.changed.wait_until(&mut state, until);
        }
        0
    }

    /// Waits until the round is over; ends it if nobody has arrived yet.
    pub(super) fn finish(&self, number: u64) {
        let mut state = self.state.lock();
        while let Some(round) = state.open(number) {
            if round.arrived.is_empty() {
                state.close(Instant::now());
            } else {
                // Whoever has arrived closes the round when its time is over.
                self.changed.wait(&mut state);
            }
        }
    }

    /// Waits until `until` or until [`wake`](Self::wake), whichever comes first, unless `over` says so already.
    pub(super) fn pause(&self, until: Instant, over: impl Fn() -> bool) {
        let mut state = self.state.lock();
        if !over() {
            self.changed.wait_until(&mut state, until);
        }
    }

    /// Lets everyone who waits look at the lease again.
    pub(crate) fn wake(&self) {
        // Taken so that nobody is between looking at the lease and waiting.
        drop(self.state.lock());
        self.changed.notify_all();
    }

    /// Returns how often all workers were held so far, and when they were last released.
    pub(crate) fn stalls(&self) -> (u64, Option<Instant>) {
        let state = self.state.lock();
        (state.stalls, state.released)
    }

    pub(crate) fn read(&self, dose: &mut Dose) {
        let state = self.state.lock();
        let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        dose.stalls = state.stalls;
        dose.stalls_missed = state.missed;
        dose.stalled_ms = millis(state.stalled);
        dose.stalled_ms_by_worker = state.workers.iter().map(|(_, held)| millis(*held)).collect();
    }
}

impl State {
    fn open(&mut self, number: u64) -> Option<&mut Round> {
        self.round.as_mut().filter(|round| round.number == number)
    }

    fn close(&mut self, now: Instant) {
        let Some(round) = self.round.take() else { return };
        if let Some(full) = round.full {
            self.stalls += 1;
            self.stalled += now - full;
            self.released = Some(now);
        } else {
            self.missed += 1;
        }
        for (thread, arrived) in round.arrived {
            self.held(thread, now - arrived);
        }
    }

    fn held(&mut self, thread: ThreadId, time: Duration) {
        match self.workers.iter_mut().find(|(worker, _)| *worker == thread) {
            Some((_, held)) => *held += time,
            None => self.workers.push((thread, time)),
        }
    }
}
