//! How those who wait for a commit hear of it, without making the writer wake each of them.
//!
//! Waking a task from a foreign thread costs about a microsecond, and the disk is idle meanwhile. So the writer
//! wakes one waiter and goes on; that one, on a thread of its runtime where waking is cheap, wakes the others.
//! When the writer has nothing else to do, or is back from the next commit, it wakes whoever is left: a waiter that is
//! not polled for a while can delay the others by one commit at most.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Waker};

use parking_lot::Mutex;
use steadfast_core::store::{self, Appended, Error};

/// What became of a group.
#[derive(Debug, Clone)]
pub(super) enum Outcome {
    /// It is as safe as those who wait have asked for.
    Done,
    /// Writing it, or making it durable, failed.
    Failed(Error),
    /// It was never tried, for what came before failed like this.
    Refused(Error),
}

impl Outcome {
    /// What it means for a batch.
    fn result(&self, appended: Appended) -> Result<Appended, Error> {
        match self {
            Self::Done => Ok(appended),
            // A repeated batch shares the fate of the first one, which may be in the log or have been on its way.
            Self::Failed(error) | Self::Refused(error) if appended.duplicate => Err(undecided(error)),
            Self::Failed(error) => Err(error.clone()),
            Self::Refused(_) => Err(Error::Poisoned),
        }
    }
}

/// How the log failed, as it is told of what may be in it all the same.
pub(super) fn undecided(error: &Error) -> Error {
    let outcome = store::Outcome::Unknown;
    match error.clone() {
        Error::Full => Error::Io {
            doing: "writing to the log",
            source: Arc::new(io::ErrorKind::StorageFull.into()),
            outcome,
        },
        Error::Io { doing, source, .. } => Error::Io { doing, source, outcome },
        other => other,
    }
}

/// Where the waiters of one group meet.
#[derive(Debug, Default)]
pub(super) struct Meeting {
    outcome: OnceLock<Outcome>,
    wakers: Mutex<Vec<Waker>>,
    /// There is an outcome, and some have not been woken.
    rest: AtomicBool,
}

impl Meeting {
    /// Tells the outcome and wakes one waiter.
    pub(super) fn announce(&self, outcome: Outcome) {
        let mut wakers = self.wakers.lock();
        // Under the lock, or a waiter could look before and register after.
        let _ = self.outcome.set(outcome);
        let one = wakers.pop();
        self.rest.store(!wakers.is_empty(), Ordering::Release);
        drop(wakers);
        if let Some(one) = one {
            one.wake();
        }
    }

    /// Wakes whoever has not been woken, if there is an outcome.
    pub(super) fn wake_rest(&self) {
        if self.rest.swap(false, Ordering::AcqRel) {
            let rest = std::mem::take(&mut *self.wakers.lock());
            rest.into_iter().for_each(Waker::wake);
        }
    }
}

/// Waits until the batch is as safe as was asked for.
#[derive(Debug)]
pub(super) struct Answer {
    appended: Appended,
    meeting: Arc<Meeting>,
    /// Which of the wakers is ours, once there is one.
    place: Option<usize>,
}

impl Answer {
    pub(super) fn new(appended: Appended, meeting: Arc<Meeting>) -> Self {
        Self { appended, meeting, place: None }
    }
}

impl Future for Answer {
    type Output = Result<Appended, Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = &mut *self;
        let ready = |outcome: &Outcome, appended: Appended| {
            answer.meeting.wake_rest();
            Poll::Ready(outcome.result(appended))
        };
        if let Some(outcome) = answer.meeting.outcome.get() {
            return ready(outcome, answer.appended);
        }
        let mut wakers = answer.meeting.wakers.lock();
        if let Some(outcome) = answer.meeting.outcome.get() {
            drop(wakers);
            return ready(outcome, answer.appended);
        }
        match answer.place.and_then(|place| wakers.get_mut(place)) {
            Some(waker) => waker.clone_from(context.waker()),
            None => {
                answer.place = Some(wakers.len());
                wakers.push(context.waker().clone());
            }
        }
        Poll::Pending
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        // Whoever was woken passes it on, also when it has stopped waiting meanwhile.
        self.meeting.wake_rest();
    }
}

#[cfg(test)]
mod tests {
    use std::task::Wake;

    use steadfast_core::store::{Durability, Position, Revision};

    use super::*;

    /// An answer polled by hand, and whether it was woken.
    struct Waiter {
        answer: Answer,
        woken: Arc<Flag>,
    }

    #[derive(Default)]
    struct Flag(AtomicBool);

    impl Wake for Flag {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Ordering::Release);
        }
    }

    impl Waiter {
        fn new(meeting: &Arc<Meeting>) -> Self {
            Self { answer: answer(meeting), woken: Arc::default() }
        }

        /// Makes a waiter that has registered.
        fn waiting(meeting: &Arc<Meeting>) -> Self {
            let mut waiter = Self::new(meeting);
            assert!(waiter.poll().is_pending());
            waiter
        }

        fn poll(&mut self) -> Poll<Result<Appended, Error>> {
            let waker = Arc::clone(&self.woken).into();
            Pin::new(&mut self.answer).poll(&mut Context::from_waker(&waker))
        }

        fn is_woken(&self) -> bool {
            self.woken.0.load(Ordering::Acquire)
        }
    }

    fn answer(meeting: &Arc<Meeting>) -> Answer {
        let appended = Appended {
            position: Position::START,
            revision: Revision(0),
            achieved: Durability::Durable,
            duplicate: false,
        };
        Answer::new(appended, Arc::clone(meeting))
    }

    #[test]
    fn one_is_woken_and_wakes_the_others() {
        let meeting = Arc::default();
        let mut waiters: Vec<_> = (0..3).map(|_| Waiter::waiting(&meeting)).collect();
        meeting.announce(Outcome::Done);
        assert_eq!(waiters.iter().map(Waiter::is_woken).collect::<Vec<_>>(), [false, false, true]);
        assert!(matches!(waiters[2].poll(), Poll::Ready(Ok(_))));
        assert!(waiters.iter().all(Waiter::is_woken));
    }

    #[test]
    fn one_that_stops_waiting_passes_it_on() {
        let meeting = Arc::default();
        let (first, second) = (Waiter::waiting(&meeting), Waiter::waiting(&meeting));
        meeting.announce(Outcome::Done);
        assert!(second.is_woken() && !first.is_woken());
        drop(second);
        assert!(first.is_woken());
    }

    #[test]
    fn nobody_is_forgotten_when_the_one_is_gone() {
        let meeting = Arc::default();
        let mut first = Waiter::waiting(&meeting);
        drop(Waiter::waiting(&meeting));
        meeting.announce(Outcome::Refused(Error::Overloaded));
        assert!(!first.is_woken());
        meeting.wake_rest();
        assert!(first.is_woken());
        assert!(matches!(first.poll(), Poll::Ready(Err(Error::Poisoned))));
    }

    #[test]
    fn polling_again_does_not_register_twice() {
        let meeting = Arc::default();
        let mut first = Waiter::waiting(&meeting);
        assert!(first.poll().is_pending());
        assert_eq!(meeting.wakers.lock().len(), 1);
    }

    #[test]
    fn who_comes_late_need_not_wait() {
        let meeting = Arc::<Meeting>::default();
        meeting.announce(Outcome::Done);
        assert!(Waiter::new(&meeting).poll().is_ready());
    }
}
