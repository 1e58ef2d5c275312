use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::factory::{Feed, Mark, Opened};
use super::tools::{Checked, STEP_MAX, check, close, receive_for, settlements, within};
use crate::transport::{Ordering, Outcome, Received, Receiver};

/// What is known of the events of one group: it checks their order, and that none comes twice without cause.
pub(super) struct Tally {
    feed: Arc<dyn Feed>,
    order: Ordering,
    /// Connections are lost and receivers die: an event may come again at any time.
    lossy: bool,
    states: HashMap<Mark, State>,
    /// The newest of each key; under total order of all, as the only one.
    newest: HashMap<Option<u32>, (u32, u32)>,
    handled: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Held,
    Released,
    Handled,
}

impl Tally {
    pub(super) fn new(opened: &Opened) -> Self {
        let (feed, order) = (Arc::clone(&opened.feed), opened.source.capabilities().order);
        Self { feed, order, lossy: false, states: HashMap::new(), newest: HashMap::new(), handled: 0 }
    }

    /// Makes a tally for a case in which connections are lost or receivers die.
    pub(super) fn lossy(opened: &Opened) -> Self {
        Self { lossy: true, ..Self::new(opened) }
    }

    /// Makes a tally for a case in which each key has a sender of its own, so that there is no order of all.
    pub(super) fn of_many_senders(opened: &Opened) -> Self {
        let lossy = Self::lossy(opened);
        Self { order: lossy.order.min(Ordering::PerKey), ..lossy }
    }

    /// Takes note of events as they were received, before they are settled; returns the marks of those that were
    /// fed.
    pub(super) fn note(&mut self, events: &[Received]) -> Result<Vec<Mark>, String> {
        let mut marks = Vec::new();
        for received in events {
            if let Some(mark) = self.feed.mark(&received.event) {
                self.note_one(mark)?;
                marks.push(mark);
            }
        }
        Ok(marks)
    }

    fn note_one(&mut self, mark: Mark) -> Checked {
        let state = self.states.get(&mark).copied();
        match state {
            None if self.order != Ordering::Unordered => {
                let within = (self.order == Ordering::PerKey).then_some(mark.key);
                let this = (mark.number, mark.key);
                let newest = self.newest.insert(within, this);
                check(newest.is_none_or(|newest| newest < this), || {
                    format!("order {:?}: {mark:?} came after (number, key) {newest:?}", self.order)
                })?;
            }
            Some(state @ (State::Held | State::Handled)) if !self.lossy => {
                return Err(format!("{mark:?} came again although it was {state:?}"));
            }
            _ => {}
        }
        if state != Some(State::Handled) {
            self.states.insert(mark, State::Held);
        }
        Ok(())
    }

    /// Takes note that events were settled.
    pub(super) fn settled(&mut self, events: &[Received], outcome: Outcome) {
        for received in events {
            let Some(mark) = self.feed.mark(&received.event) else { continue };
            let state = self.states.entry(mark).or_insert(State::Held);
            match outcome {
                Outcome::Handled if *state != State::Handled => {
                    *state = State::Handled;
                    self.handled += 1;
                }
                Outcome::Released if *state != State::Handled => *state = State::Released,
                _ => {}
            }
        }
    }

    fn progress(&self) -> (usize, bool) {
        (self.handled, self.lossy)
    }

    pub(super) fn handled(&self) -> usize {
        self.handled
    }

    /// Checks that every one of `marks` was handled.
    pub(super) fn check_complete(&self, marks: &[Mark]) -> Checked {
        let missing: Vec<_> =
            marks.iter().filter(|mark| self.states.get(mark) != Some(&State::Handled)).collect();
        check(missing.is_empty(), || {
            let some = &missing[..missing.len().min(5)];
            format!("{} of {} events were lost, such as {some:?}", missing.len(), marks.len())
        })
    }
}

/// Receives and handles as long as `goes_on` says; with something handled now and then, it does not give up.
///
/// While the connection is lost settling may fail; such events come again, or were told all the same.
pub(super) async fn handle_while(
    receiver: &dyn Receiver,
    tally: &Mutex<Tally>,
    max: usize,
    mut goes_on: impl FnMut(&Tally) -> bool,
) -> Checked {
    let mut seen = (0, tokio::time::Instant::now());
    while goes_on(&tally.lock()) {
        let (handled, lossy) = tally.lock().progress();
        super::tools::begun(&format!("handling, after {handled} events"));
        if handled > seen.0 {
            seen = (handled, tokio::time::Instant::now());
        }
        check(seen.1.elapsed() < STEP_MAX, || {
            format!("{handled} events came, then none for {STEP_MAX:?}, although more were sent")
        })?;
        let events = receive_for(receiver, max, Duration::from_millis(100)).await?;
        tally.lock().note(&events)?;
        let told = settlements(&events, Outcome::Handled);
        match within("settle", receiver.settle(&told)).await? {
            Err(error) if !lossy => return Err(format!("settle failed: {error}")),
            _ => tally.lock().settled(&events, Outcome::Handled),
        }
    }
    Ok(())
}

/// Receives and handles until `enough` events are handled, by this receiver or by others with the same tally.
pub(super) async fn handle_until(
    receiver: &dyn Receiver,
    tally: &Mutex<Tally>,
    max: usize,
    enough: usize,
) -> Checked {
    handle_while(receiver, tally, max, |tally| tally.handled() < enough).await
}

/// Handles until all of `marks` are handled, with one receiver, then closes it.
pub(super) async fn handle_all(
    receiver: &dyn Receiver,
    tally: &Mutex<Tally>,
    max: usize,
    marks: &[Mark],
) -> Checked {
    let handled = handle_while(receiver, tally, max, |tally| tally.check_complete(marks).is_err()).await;
    match (handled, tally.lock().check_complete(marks)) {
        (Err(problem), Err(missing)) => return Err(format!("{problem}; then {missing}")),
        (handled, complete) => handled.and(complete)?,
    }
    close(receiver).await
}

/// Receives until `enough` events are held that nobody has settled, and returns them.
pub(super) async fn hold(
    receiver: &dyn Receiver,
    tally: &Mutex<Tally>,
    enough: usize,
) -> Result<Vec<Received>, String> {
    let mut held = Vec::new();
    while held.len() < enough {
        let events = super::tools::receive(receiver, enough - held.len()).await?;
        let asked_for = tally.lock().note(&events)?.len();
        if asked_for == events.len() {
            held.extend(events);
        } else {
            let feed = Arc::clone(&tally.lock().feed);
            let (fed, other): (Vec<_>, Vec<_>) =
                events.into_iter().partition(|received| feed.mark(&received.event).is_some());
            super::tools::settle(receiver, &settlements(&other, Outcome::Handled)).await?;
            held.extend(fed);
        }
    }
    Ok(held)
}

/// Checks that nothing more that was fed comes for a while.
pub(super) async fn check_quiet(receiver: &dyn Receiver, tally: &Mutex<Tally>, why: &str) -> Checked {
    let events = receive_for(receiver, 100, super::tools::QUIET).await?;
    let marks = tally.lock().note(&events).map_err(|error| format!("{why}: {error}"))?;
    super::tools::settle(receiver, &settlements(&events, Outcome::Handled)).await?;
    check(marks.is_empty(), || format!("{why}: received {marks:?}"))
}
