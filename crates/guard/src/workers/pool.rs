//! Which job is admitted when. Pure: time and samples of memory go in, decisions come out.

use std::collections::BTreeMap;
use std::time::Duration;

use steadfast_base::units::Size;
use tokio::time::Instant;

use super::job::Job;
use super::learn::Learned;
use super::limit::{Limit, Seen};
use super::memory::Sample;
use super::policy::{SAMPLE_EVERY_MIN, WorkersPolicy, share};
use super::queue::{Queue, Ticket};
use super::{Refused, Snapshot};

/// How often to look whether the cgroup has room for a job that it holds back.
const HELD_SAMPLE_EVERY: Duration = Duration::from_millis(250);

#[derive(Debug)]
pub(super) struct Pool<P> {
    policy: WorkersPolicy,
    queue: Queue<P>,
    limit: Limit,
    pub(super) learned: Learned,
    running: BTreeMap<u64, Running>,
    next: u64,
    /// The sum of what those that run have reserved.
    reserved: u64,
    /// What of that was not seen to become resident yet. It may never, where an allocator has kept memory that is used
    /// again; but that cannot be told apart, and the allocator's other threads cannot use it.
    coming: u64,
    /// The least that was resident while nothing ran: what the process has without jobs.
    base: Option<u64>,
    last: Option<Last>,
    is_closed: bool,
}

#[derive(Debug)]
struct Running {
    job: Job,
    need: u64,
    admitted: Instant,
    /// Nothing of the job's name is known, so it runs alone.
    is_first: bool,
    /// How the resident set grew, of a job whose size is learned and that ran alone so far.
    watched: Option<Watched>,
}

#[derive(Debug, Clone, Copy)]
struct Watched {
    start: u64,
    peak: u64,
}

#[derive(Debug, Clone, Copy)]
struct Last {
    at: Instant,
    sample: Sample,
    /// How fast the resident set grew since the sample before, in bytes a second.
    growth: f64,
}

/// A job that may start.
#[derive(Debug)]
pub(super) struct Admitted<P> {
    pub(super) id: u64,
    pub(super) job: Job,
    pub(super) need: u64,
    pub(super) is_watched: bool,
    pub(super) payload: P,
}

/// What is to be done with a job that waited.
#[derive(Debug)]
pub(super) enum Next<P> {
    Start(Admitted<P>),
    Expired(P),
}

impl<P> Pool<P> {
    pub(super) fn new(policy: WorkersPolicy) -> Self {
        Self {
            limit: Limit::new(&policy),
            learned: Learned::new(policy.need_min.bytes()),
            policy,
            queue: Queue::new(),
            running: BTreeMap::new(),
            next: 0,
            reserved: 0,
            coming: 0,
            base: None,
            last: None,
            is_closed: false,
        }
    }

    pub(super) fn policy(&self) -> WorkersPolicy {
        self.policy
    }

    /// Goes by `policy` from now on. Jobs that run keep what they have reserved, those that wait keep their places.
    pub(super) fn set_policy(&mut self, policy: WorkersPolicy) {
        self.limit.set_max(self.policy.concurrency_max, policy.concurrency_max);
        self.learned.set_need_min(policy.need_min.bytes());
        self.policy = policy;
    }

    /// Takes a job into the queue.
    pub(super) fn enqueue(&mut self, job: Job, payload: P, now: Instant) -> Result<Ticket, (Refused, P)> {
        let WorkersPolicy { quota, queue_max, promote_after, .. } = self.policy;
        let refused = match job.need {
            _ if self.is_closed => Refused::Closed,
            Some(need) if need > quota => Refused::TooLarge { need, quota },
            _ if self.queue.len() >= queue_max => Refused::QueueFull { queue_max },
            _ => return Ok(self.queue.push(job, payload, now, promote_after)),
        };
        Err((refused, payload))
    }

    /// Takes a job out of the queue, unless it was admitted or has gone otherwise.
    pub(super) fn withdraw(&mut self, ticket: Ticket) -> Option<P> {
        self.queue.remove(ticket).map(|waiting| waiting.payload)
    }

    /// Decides on one job; to be called until there is none.
    pub(super) fn next(&mut self, now: Instant) -> Option<Next<P>> {
        if let Some(expired) = self.queue.take_expired(now) {
            return Some(Next::Expired(expired.payload));
        }
        // Not a method, for the queue is borrowed meanwhile.
        let door = self.door();
        let learned = &self.learned;
        let fits = |job: &Job| door.lets(need(job, learned));
        let waiting = self.queue.take(self.policy.overtakes_max, fits)?;
        let job = waiting.job;
        let known = need(&job, &self.learned);
        let rest = self.policy.fill().saturating_sub(self.base.unwrap_or(0));
        let needed = known.unwrap_or_else(|| rest.max(self.policy.need_min.bytes()));
        // Who comes second ends the solitude of the first.
        self.running.values_mut().for_each(|running| running.watched = None);
        let resident = self.resident();
        let watched = (job.need.is_none() && self.running.is_empty())
            .then_some(Watched { start: resident, peak: resident });
        let id = self.next;
        self.next += 1;
        self.reserved += needed;
        self.coming += needed;
        let is_first = known.is_none();
        self.running.insert(id, Running { job, need: needed, admitted: now, is_first, watched });
        let is_watched = watched.is_some();
        Some(Next::Start(Admitted { id, job, need: needed, is_watched, payload: waiting.payload }))
    }

    /// Gives back what a job had reserved; `peak` is the most that was resident, where it is known to be the job's.
    pub(super) fn finish(&mut self, id: u64, peak: Option<u64>) {
        let Some(running) = self.running.remove(&id) else { return };
        self.reserved -= running.need;
        self.coming = self.coming.min(self.reserved);
        if let Some(Watched { start, peak: seen }) = running.watched {
            let peak = seen.max(peak.unwrap_or(0));
            self.learned.saw(running.job.name, peak.saturating_sub(start));
        }
    }

    /// Gives back what a job had reserved that did not run, and of whose size nothing was learned.
    pub(super) fn revoke(&mut self, id: u64) {
        if let Some(running) = self.running.get_mut(&id) {
            running.watched = None;
        }
        self.finish(id, None);
    }

    /// Takes note of how much memory there is.
    pub(super) fn observe(&mut self, sample: Sample, now: Instant, is_pressed: bool) {
        let growth = self.last.map_or(0.0, |last| {
            let seconds = now.saturating_duration_since(last.at).as_secs_f64();
            let bytes = sample.resident as f64 - last.sample.resident as f64;
            if seconds > 0.0 { bytes / seconds } else { last.growth }
        });
        let arrived = self.last.map_or(0, |last| sample.resident.saturating_sub(last.sample.resident));
        self.coming = self.coming.saturating_sub(arrived);
        self.last = Some(Last { at: now, sample, growth });
        if self.running.is_empty() {
            self.base = Some(self.base.map_or(sample.resident, |base| base.min(sample.resident)));
        }
        for running in self.running.values_mut() {
            if let Some(watched) = &mut running.watched {
                watched.peak = watched.peak.max(sample.resident);
            }
        }
        let seen = Seen {
            now,
            resident: sample.resident,
            quota: self.quota(),
            running: self.running.len(),
            is_pressed,
        };
        self.limit.observe(&self.policy, seen);
    }

    /// Says whether the last sample is too old to decide on.
    pub(super) fn is_stale(&self, now: Instant) -> bool {
        self.last.is_none_or(|last| now.saturating_duration_since(last.at) >= SAMPLE_EVERY_MIN)
    }

    /// Returns how long the next sample can wait, so that memory cannot get from here to the quota unseen.
    pub(super) fn sample_in(&self, now: Instant) -> Duration {
        let mut wait = self.policy.sample_every;
        let Some(last) = self.last else { return HELD_SAMPLE_EVERY };
        if self.running.values().any(|running| running.is_first) {
            return SAMPLE_EVERY_MIN;
        }
        if let Some(youngest) = self.running.values().map(|running| running.admitted).max() {
            // What it takes is seen soon after it has begun, and then less and less often.
            wait = wait.min(now.saturating_duration_since(youngest));
            if last.growth > 0.0 {
                let left = share(self.quota(), self.policy.shrink_at).saturating_sub(last.sample.resident);
                wait = wait.min(Duration::from_secs_f64((left as f64 / last.growth / 2.0).min(1e6)));
            }
        }
        if self.queue.len() > 0 {
            if self.running.is_empty() {
                wait = wait.min(HELD_SAMPLE_EVERY);
            } else if self.limit.current() < self.policy.concurrency_max {
                wait = wait.min(self.policy.grow_every);
            }
        }
        wait.max(SAMPLE_EVERY_MIN)
    }

    /// Takes no more jobs.
    pub(super) fn close(&mut self) {
        self.is_closed = true;
    }

    /// Takes all jobs out of the queue.
    pub(super) fn take_queue(&mut self) -> Vec<(Job, P)> {
        self.queue.take_all().into_iter().map(|waiting| (waiting.job, waiting.payload)).collect()
    }

    /// Returns the names of the jobs that run.
    pub(super) fn running(&self) -> Vec<&'static str> {
        self.running.values().map(|running| running.job.name).collect()
    }

    /// Says whether nothing waits and nothing runs.
    pub(super) fn is_empty(&self) -> bool {
        self.queue.len() == 0 && self.running.is_empty()
    }

    /// Says whether something waits though nothing runs: the cgroup has no room for it.
    pub(super) fn is_held(&self) -> bool {
        self.queue.len() > 0 && self.running.is_empty()
    }

    /// Fills in what the pool knows.
    pub(super) fn describe(&self, snapshot: &mut Snapshot) {
        snapshot.quota = self.policy.quota.bytes();
        snapshot.resident = self.resident();
        snapshot.reserved = self.reserved;
        snapshot.running = self.running.len() as u64;
        snapshot.queued = self.queue.len() as u64;
        snapshot.concurrency = self.limit.current() as u64;
        snapshot.concurrency_max = self.policy.concurrency_max as u64;
    }

    fn resident(&self) -> u64 {
        self.last.map_or(0, |last| last.sample.resident)
    }

    /// Returns how large the resident set may be.
    fn quota(&self) -> u64 {
        let room = self.last.and_then(|last| last.sample.room());
        room.map_or(u64::MAX, |room| self.resident().saturating_add(room)).min(self.policy.quota.bytes())
    }

    fn door(&self) -> Door {
        Door {
            is_idle: self.running.is_empty(),
            is_open: self.running.len() < self.limit.current()
                && !self.running.values().any(|running| running.is_first),
            committed: self.base.unwrap_or(0).saturating_add(self.reserved),
            fill: self.policy.fill(),
            quota: self.policy.quota.bytes(),
            resident: self.resident(),
            coming: self.coming,
            room: self.last.and_then(|last| last.sample.room()).unwrap_or(u64::MAX),
        }
    }
}

/// Returns what the job needs, if that is known.
fn need(job: &Job, learned: &Learned) -> Option<u64> {
    job.need.map(Size::bytes).or_else(|| learned.need(job.name))
}

/// What the next job is let in by.
#[derive(Debug, Clone, Copy)]
struct Door {
    is_idle: bool,
    /// There is one place more, and nobody runs who has to be alone.
    is_open: bool,
    /// What the process has without jobs, and what is reserved.
    committed: u64,
    fill: u64,
    quota: u64,
    resident: u64,
    /// What is reserved and was not seen to become resident.
    coming: u64,
    /// What the cgroup has left.
    room: u64,
}

impl Door {
    fn lets(&self, need: Option<u64>) -> bool {
        if self.is_idle {
            // The estimates may be wrong, and one must always run; but not into the arms of the kernel.
            return need.unwrap_or(0) <= self.room;
        }
        let Some(need) = need else { return false };
        let coming = self.coming.saturating_add(need);
        self.is_open
            && self.committed.saturating_add(need) <= self.fill
            && self.resident.saturating_add(coming) <= self.quota
            && coming <= self.room
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;
    use steadfast_base::Deadline;

    use super::*;
    use crate::workers::Priority;
    use crate::workers::memory::Cgroup;

    #[derive(Debug, Clone, Copy)]
    enum Step {
        Enqueue { need: Option<u64>, priority: u8, within: u64 },
        Withdraw { nth: usize },
        Finish { nth: usize },
        Observe { resident: u64, left: Option<u64>, is_pressed: bool },
        Pass { millis: u64 },
        Policy { quota: u64, concurrency_max: usize, queue_max: usize },
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => (prop::option::weighted(0.8, 0_u64..1100), 0_u8..3, 0_u64..3000)
                .prop_map(|(need, priority, within)| Step::Enqueue { need, priority, within }),
            1 => (0_usize..20).prop_map(|nth| Step::Withdraw { nth }),
            3 => (0_usize..20).prop_map(|nth| Step::Finish { nth }),
            2 => (0_u64..1200, prop::option::of(0_u64..1200), prop::bool::weighted(0.1))
                .prop_map(|(resident, left, is_pressed)| Step::Observe { resident, left, is_pressed }),
            2 => (0_u64..2000).prop_map(|millis| Step::Pass { millis }),
            1 => (10_u64..1500, 1_usize..6, 1_usize..20).prop_map(|(quota, concurrency_max, queue_max)| {
                Step::Policy { quota, concurrency_max, queue_max }
            }),
        ]
    }

    /// A pool, and what a model knows of it.
    struct Run {
        pool: Pool<u32>,
        now: Instant,
        tickets: Vec<(Ticket, u32)>,
        running: Vec<(u64, u64)>,
        settled: BTreeSet<u32>,
    }

    impl Run {
        fn settle(&mut self, job: u32) -> Result<(), TestCaseError> {
            prop_assert!(self.settled.insert(job), "{job} has gone twice");
            Ok(())
        }

        /// Admits what is let in, and checks each admission.
        fn admit(&mut self) -> Result<(), TestCaseError> {
            loop {
                let (before, limit) = (self.running.len(), self.pool.limit.current());
                match self.pool.next(self.now) {
                    None => break,
                    Some(Next::Expired(job)) => self.settle(job)?,
                    Some(Next::Start(admitted)) => {
                        self.running.push((admitted.id, admitted.need));
                        self.settle(admitted.payload)?;
                        if before > 0 {
                            prop_assert!(before < limit);
                            let base = self.pool.base.unwrap_or(0);
                            prop_assert!(base + self.pool.reserved <= self.pool.policy.fill());
                            prop_assert!(
                                self.pool.resident() + self.pool.coming <= self.pool.policy.quota.bytes()
                            );
                        }
                    }
                }
            }
            let reserved: u64 = self.running.iter().map(|(_, need)| need).sum();
            prop_assert_eq!(reserved, self.pool.reserved);
            prop_assert!(self.pool.coming <= reserved);
            // Nothing stands still while there is room.
            let has_room = self.pool.last.is_none_or(|last| last.sample.room().is_none());
            prop_assert!(!has_room || !self.running.is_empty() || self.pool.queue.len() == 0);
            Ok(())
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        /// Whatever comes and however the policy is changed, no job is lost, none is settled twice, and no admission
        /// breaks the quota.
        #[test]
        fn every_job_goes_one_way(steps in prop::collection::vec(step(), 1..120)) {
            let policy = WorkersPolicy {
                quota: Size::from_bytes(1000),
                concurrency_max: 4,
                queue_max: 16,
                need_min: Size::from_bytes(10),
                ..WorkersPolicy::default()
            };
            let mut run = Run {
                pool: Pool::new(policy),
                now: Instant::now(),
                tickets: Vec::new(),
                running: Vec::new(),
                settled: BTreeSet::new(),
            };
            let mut taken = 0;
            for step in steps {
                match step {
                    Step::Enqueue { need, priority, within } => {
                        let priority = [Priority::Low, Priority::Normal, Priority::High][usize::from(priority)];
                        let at = run.now + Duration::from_millis(within);
                        let mut job = Job::new("drawn").priority(priority).deadline(Deadline::at(at));
                        job.need = need.map(Size::from_bytes);
                        if let Ok(ticket) = run.pool.enqueue(job, taken, run.now) {
                            run.tickets.push((ticket, taken));
                            taken += 1;
                        }
                    }
                    Step::Withdraw { nth } if nth < run.tickets.len() => {
                        let (ticket, job) = run.tickets.swap_remove(nth);
                        if let Some(withdrawn) = run.pool.withdraw(ticket) {
                            prop_assert_eq!(withdrawn, job);
                            run.settle(job)?;
                        }
                    }
                    Step::Finish { nth } if nth < run.running.len() => {
                        let (id, _) = run.running.swap_remove(nth);
                        run.pool.finish(id, None);
                    }
                    Step::Withdraw { .. } | Step::Finish { .. } => {}
                    Step::Observe { resident, left, is_pressed } => {
                        let cgroup = left.map(|left| Cgroup { limit: 5000, used: 5000 - left });
                        run.pool.observe(Sample { resident, cgroup }, run.now, is_pressed);
                    }
                    Step::Pass { millis } => run.now += Duration::from_millis(millis),
                    Step::Policy { quota, concurrency_max, queue_max } => {
                        let quota = Size::from_bytes(quota);
                        run.pool.set_policy(WorkersPolicy { quota, concurrency_max, queue_max, ..policy });
                    }
                }
                run.admit()?;
                let concurrency_max = run.pool.policy.concurrency_max;
                prop_assert!((1..=concurrency_max).contains(&run.pool.limit.current()));
                let wait = run.pool.sample_in(run.now);
                prop_assert!((SAMPLE_EVERY_MIN..=policy.sample_every).contains(&wait));
            }
            // Without a cgroup in the way, all that is left goes through.
            run.pool.observe(Sample { resident: 0, cgroup: None }, run.now, false);
            run.admit()?;
            while let Some((id, _)) = run.running.pop() {
                run.pool.finish(id, None);
                run.admit()?;
            }
            prop_assert!(run.pool.is_empty());
            prop_assert_eq!(run.settled.len(), taken as usize);
        }
    }
}
