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
    arrived: usize,
    first: Option<Instant>,
    full: Option<Instant>,
}

impl Rendezvous {
    /// Opens a round for as many workers and returns its number.
    pub(super) fn begin(&self, workers: usize) -> u64 {
        let mut state = self.state.lock();
        state.rounds += 1;
        let number = state.rounds;
        state.round = Some(Round { number, workers, arrived: 0, first: None, full: None });
        number
    }

    /// Holds the calling thread until `stall` after the last worker arrived, or until `lease_end` if that is
    /// earlier; when some do not arrive, until `stall` after the first.
    pub(super) fn hold(&self, number: u64, stall: Duration, lease_end: impl Fn() -> Instant) {
        let mut state = self.state.lock();
        let arrived = Instant::now();
        let Some(round) = state.open(number) else { return };
        round.arrived += 1;
        let first = *round.first.get_or_insert(arrived);
        if round.arrived == round.workers {
            round.full = Some(arrived);
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
        state.held(arrived.elapsed());
    }

    /// Waits until the round is over; gives it up at `patience` if nobody arrived by then.
    pub(super) fn finish(&self, number: u64, patience: Instant) {
        let mut state = self.state.lock();
        while let Some(round) = state.open(number) {
            // Once somebody has arrived, the workers close the round by themselves.
            if round.arrived > 0 {
                self.changed.wait(&mut state);
            } else if Instant::now() >= patience {
                state.close(Instant::now());
            } else {
                self.changed.wait_until(&mut state, patience);
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
    }

    fn held(&mut self, time: Duration) {
        let thread = thread::current().id();
        match self.workers.iter_mut().find(|(worker, _)| *worker == thread) {
            Some((_, held)) => *held += time,
            None => self.workers.push((thread, time)),
        }
    }
}
