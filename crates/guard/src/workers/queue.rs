//! Jobs that wait, in the order in which they are to go.
//!
//! A job's place is given when it comes: its time of arrival, put back by `promote_after` for each priority below the
//! highest. So a job of a lower priority is level with those of the next higher one that come `promote_after` later,
//! nothing has to be moved as time goes by, and nothing starves.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use super::job::{Job, Priority};

/// How many jobs are looked at for one that fits.
const LOOK_MAX: usize = 32;
/// Three years: longer than anything waits.
const PROMOTE_AFTER_MAX: Duration = Duration::from_secs(100_000_000);

/// The place of a job in the queue; no two have the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Ticket {
    place: Instant,
    number: u64,
}

#[derive(Debug)]
pub(super) struct Waiting<P> {
    pub(super) job: Job,
    pub(super) payload: P,
    overtaken: u32,
}

#[derive(Debug)]
pub(super) struct Queue<P> {
    jobs: BTreeMap<Ticket, Waiting<P>>,
    next: u64,
}

impl<P> Queue<P> {
    pub(super) fn new() -> Self {
        Self { jobs: BTreeMap::new(), next: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.jobs.len()
    }

    pub(super) fn push(&mut self, job: Job, payload: P, now: Instant, promote_after: Duration) -> Ticket {
        let steps = match job.priority {
            Priority::High => 0,
            Priority::Normal => 1,
            Priority::Low => 2,
        };
        // Longer than anything waits, and short enough to be added.
        let promote_after = promote_after.min(PROMOTE_AFTER_MAX);
        let ticket = Ticket { place: now + promote_after * steps, number: self.next };
        self.next += 1;
        self.jobs.insert(ticket, Waiting { job, payload, overtaken: 0 });
        ticket
    }

    pub(super) fn remove(&mut self, ticket: Ticket) -> Option<Waiting<P>> {
        self.jobs.remove(&ticket)
    }

    /// Takes the first job that `fits`, unless it would have to pass one that was passed `overtakes_max` times.
    pub(super) fn take(&mut self, overtakes_max: u32, fits: impl Fn(&Job) -> bool) -> Option<Waiting<P>> {
        let mut passed = Vec::new();
        let mut found = None;
        for (ticket, waiting) in self.jobs.iter().take(LOOK_MAX) {
            if fits(&waiting.job) {
                found = Some(*ticket);
                break;
            }
            if waiting.overtaken >= overtakes_max {
                return None;
            }
            passed.push(*ticket);
        }
        let found = found?;
        for ticket in passed {
            if let Some(waiting) = self.jobs.get_mut(&ticket) {
                waiting.overtaken += 1;
            }
        }
        self.jobs.remove(&found)
    }

    /// Takes one whose deadline has passed, of those that are next.
    pub(super) fn take_expired(&mut self, now: Instant) -> Option<Waiting<P>> {
        let is_expired = |job: &Job| job.deadline.is_some_and(|deadline| deadline.instant() <= now);
        let expired = self.jobs.iter().take(LOOK_MAX).find(|(_, waiting)| is_expired(&waiting.job));
        let ticket = *expired?.0;
        self.jobs.remove(&ticket)
    }

    /// Takes all that is left.
    pub(super) fn take_all(&mut self) -> Vec<Waiting<P>> {
        std::mem::take(&mut self.jobs).into_values().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn take(queue: &mut Queue<u32>) -> Option<u32> {
        queue.take(2, |_| true).map(|waiting| waiting.payload)
    }

    #[test]
    fn priorities_go_first_and_equals_in_order() {
        let (mut queue, now) = (Queue::new(), Instant::now());
        for (priority, number) in
            [(Priority::Low, 1), (Priority::Normal, 2), (Priority::High, 3), (Priority::Normal, 4)]
        {
            queue.push(Job::new("test").priority(priority), number, now, SECOND);
        }
        let order: Vec<_> = std::iter::from_fn(|| take(&mut queue)).collect();
        assert_eq!(order, [3, 2, 4, 1]);
    }

    #[test]
    fn a_job_that_waited_goes_before_a_higher_one_that_came_later() {
        let (mut queue, now) = (Queue::new(), Instant::now());
        queue.push(Job::new("test").priority(Priority::Low), 1, now, SECOND);
        let high = Job::new("test").priority(Priority::High);
        queue.push(high, 2, now + 2 * SECOND - SECOND / 100, SECOND);
        queue.push(high, 3, now + 2 * SECOND + SECOND / 100, SECOND);
        let order: Vec<_> = std::iter::from_fn(|| take(&mut queue)).collect();
        assert_eq!(order, [2, 1, 3]);
    }

    #[test]
    fn a_job_that_does_not_fit_is_passed_only_so_often() {
        let (mut queue, now) = (Queue::new(), Instant::now());
        queue.push(Job::new("big"), 0, now, SECOND);
        for number in 1..5 {
            queue.push(Job::new("small"), number, now, SECOND);
        }
        let take_small =
            |queue: &mut Queue<u32>| queue.take(2, |job| job.name == "small").map(|waiting| waiting.payload);
        assert_eq!(take_small(&mut queue), Some(1));
        assert_eq!(take_small(&mut queue), Some(2));
        assert_eq!(take_small(&mut queue), None, "passed twice");
        assert_eq!(take(&mut queue), Some(0), "now it fits");
        assert_eq!(take_small(&mut queue), Some(3));
    }
}
