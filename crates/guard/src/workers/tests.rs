use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use steadfast_base::Deadline;
use steadfast_base::units::Size;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{Instant, advance, sleep, timeout};

use super::memory::{Cgroup, Sample};
use super::*;

const SECOND: Duration = Duration::from_secs(1);
const MILLI: Duration = Duration::from_millis(1);
/// Longer than a sample is fresh.
const SETTLED: Duration = Duration::from_millis(60);

/// Memory as a test says.
#[derive(Default)]
struct Fake {
    resident: AtomicU64,
    cgroup: Mutex<Option<Cgroup>>,
    pressed: Notify,
    samples: AtomicU64,
}

impl Fake {
    fn with(resident: u64) -> Arc<Self> {
        let fake = Self::default();
        fake.set(resident);
        Arc::new(fake)
    }

    fn set(&self, resident: u64) {
        self.resident.store(resident, Ordering::Relaxed);
    }
}

impl Memory for Fake {
    fn sample(&self) -> std::io::Result<Sample> {
        self.samples.fetch_add(1, Ordering::Relaxed);
        Ok(Sample { resident: self.resident.load(Ordering::Relaxed), cgroup: *self.cgroup.lock() })
    }

    fn pressure(&self) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(self.pressed.notified())
    }
}

/// A quota of 1,000 bytes, of which reservations fill 900.
fn policy() -> WorkersPolicy {
    WorkersPolicy {
        quota: Size::from_bytes(1000),
        concurrency_max: 8,
        queue_max: 10,
        need_min: Size::from_bytes(10),
        ..WorkersPolicy::default()
    }
}

/// A process that has 100 bytes without jobs.
fn pool() -> (Workers, Arc<Fake>) {
    let memory = Fake::with(100);
    (Workers::start("test", policy(), Arc::clone(&memory) as _), memory)
}

fn job(bytes: u64) -> Job {
    Job::new("test").needs(Size::from_bytes(bytes))
}

async fn admit(workers: &Workers, bytes: u64) -> Grant {
    timeout(Duration::ZERO, workers.admit(job(bytes))).await.expect("there is room").expect("it is taken")
}

/// Asks in a task of its own.
fn ask(workers: &Workers, job: Job) -> JoinHandle<Result<Grant, JobError>> {
    let workers = workers.clone();
    tokio::spawn(async move { workers.admit(job).await })
}

async fn granted(asked: JoinHandle<Result<Grant, JobError>>) -> Grant {
    let asked = timeout(60 * SECOND, asked).await.expect("it is admitted");
    asked.expect("it does not panic").expect("it is taken")
}

/// Lets everything run that can without time going by.
async fn settle() {
    for _ in 0..30 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn reservations_fill_their_share_and_no_more() {
    let (workers, _memory) = pool();
    let first = admit(&workers, 400).await;
    let second = admit(&workers, 400).await;
    assert_eq!((first.reserved(), workers.snapshot().reserved), (Size::from_bytes(400), 800));
    let third = ask(&workers, job(1));
    sleep(10 * SECOND).await;
    assert!(!third.is_finished(), "100 without jobs and 800 reserved are 900");
    drop(second);
    let _third = granted(third).await;
    assert_eq!(workers.snapshot().reserved, 401);
}

#[tokio::test(start_paused = true)]
async fn what_is_resident_counts_where_the_rest_of_the_process_has_grown() {
    let (workers, memory) = pool();
    let _first = admit(&workers, 100).await;
    memory.set(700);
    sleep(SETTLED).await;
    let too_much = ask(&workers, job(301));
    settle().await;
    assert!(!too_much.is_finished(), "700 are there, so 301 more are over the quota");
    too_much.abort();
    settle().await;
    let _just = admit(&workers, 300).await;
}

#[tokio::test(start_paused = true)]
async fn what_was_admitted_counts_until_it_is_seen_to_be_resident() {
    let (workers, memory) = pool();
    let _first = admit(&workers, 1).await;
    memory.set(600);
    sleep(SETTLED).await;
    let second = admit(&workers, 200).await;
    let third = ask(&workers, job(201));
    sleep(60 * SECOND).await;
    assert!(!third.is_finished(), "600 are there and 200 are coming, however long they take");
    // Half of it has come, and the rest of the process has given back as much.
    memory.set(700);
    sleep(6 * SECOND).await;
    memory.set(600);
    drop(granted(third).await);
    drop(second);
}

#[tokio::test(start_paused = true)]
async fn one_job_always_runs_and_a_big_one_runs_alone() {
    let (workers, memory) = pool();
    memory.set(990);
    sleep(SECOND * 6).await;
    let big = admit(&workers, 1000).await;
    let small = ask(&workers, job(1));
    sleep(10 * SECOND).await;
    assert!(!small.is_finished());
    drop(big);
    drop(granted(small).await);
}

#[tokio::test(start_paused = true)]
async fn what_can_never_run_is_refused_at_once() {
    let (workers, _memory) = pool();
    let refused = workers.admit(job(1001)).await.map(drop);
    let (need, quota) = (Size::from_bytes(1001), Size::from_bytes(1000));
    assert_eq!(refused, Err(JobError::Refused(Refused::TooLarge { need, quota })));
    assert!(workers.submit(job(1001), |_| ()).is_err());
    assert_eq!(workers.snapshot().refused, 2);
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_refuses_at_once() {
    let (workers, _memory) = pool();
    let _all = admit(&workers, 900).await;
    let waiting: Vec<_> = (0..10).map(|_| ask(&workers, job(1))).collect();
    settle().await;
    let refused = workers.admit(job(1)).await.map(drop);
    assert_eq!(refused, Err(JobError::Refused(Refused::QueueFull { queue_max: 10 })));
    waiting[3].abort();
    settle().await;
    assert_eq!(workers.snapshot().queued, 9);
    drop(ask(&workers, job(1)));
    settle().await;
    let seen = workers.snapshot();
    assert_eq!((seen.queued, seen.cancelled, seen.refused), (10, 1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_cgroup_without_room_holds_back_even_the_only_job() {
    let (workers, memory) = pool();
    *memory.cgroup.lock() = Some(Cgroup { limit: 500, used: 450 });
    sleep(6 * SECOND).await;
    let _fits = admit(&workers, 50).await;
    drop(_fits);
    let held = ask(&workers, job(51));
    sleep(10 * SECOND).await;
    assert!(!held.is_finished(), "50 are left");
    *memory.cgroup.lock() = Some(Cgroup { limit: 500, used: 449 });
    let start = Instant::now();
    drop(granted(held).await);
    assert!(start.elapsed() <= SECOND / 2, "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn concurrency_shrinks_before_the_quota_and_before_the_limit_of_the_cgroup() {
    for by_cgroup in [false, true] {
        let (workers, memory) = pool();
        let mut grants = Vec::new();
        for _ in 0..8 {
            grants.push(admit(&workers, 1).await);
        }
        if by_cgroup {
            // 100 are resident and 11 are left: 90 % of what can be.
            *memory.cgroup.lock() = Some(Cgroup { limit: 511, used: 500 });
        } else {
            memory.set(900);
        }
        sleep(6 * SECOND).await;
        assert_eq!(workers.snapshot().concurrency, 6);
        grants.truncate(6);
        let waits = ask(&workers, job(1));
        settle().await;
        assert!(!waits.is_finished(), "six run");
        // There is room again.
        *memory.cgroup.lock() = None;
        memory.set(799);
        let _seventh = granted(waits).await;
        sleep(60 * SECOND).await;
        assert_eq!(workers.snapshot().concurrency, 8, "it has grown back");
    }
}

#[tokio::test(start_paused = true)]
async fn memory_pressure_is_heard_at_once() {
    let (workers, memory) = pool();
    let mut grants = Vec::new();
    for _ in 0..8 {
        grants.push(admit(&workers, 1).await);
    }
    let start = Instant::now();
    settle().await;
    memory.pressed.notify_one();
    settle().await;
    let seen = workers.snapshot();
    assert_eq!((seen.concurrency, seen.pressures), (4, 1));
    assert_eq!(start.elapsed(), Duration::ZERO, "no time has passed");
}

#[tokio::test(start_paused = true)]
async fn an_idle_pool_samples_at_the_interval() {
    let (_workers, memory) = pool();
    settle().await;
    assert_eq!(memory.samples.load(Ordering::Relaxed), 1);
    advance(5 * SECOND - MILLI).await;
    settle().await;
    assert_eq!(memory.samples.load(Ordering::Relaxed), 1);
    advance(2 * MILLI).await;
    settle().await;
    assert_eq!(memory.samples.load(Ordering::Relaxed), 2);
}

#[tokio::test(start_paused = true)]
async fn growing_memory_is_seen_before_it_reaches_the_quota() {
    // From 40 s to a twentieth of a second until it is full; the interval is 5 s.
    for millis in [50, 500, 5_000, 40_000] {
        let (workers, memory) = pool();
        let _grants = [admit(&workers, 1).await, admit(&workers, 1).await];
        let grow = async {
            for resident in 100..1000 {
                memory.set(resident);
                if workers.snapshot().concurrency == 1 {
                    return resident;
                }
                sleep(Duration::from_millis(millis) / 900).await;
            }
            1000
        };
        let seen = grow.await;
        assert!(seen < 1000, "unseen until the quota, in {millis} ms");
    }
}

#[tokio::test(start_paused = true)]
async fn a_job_whose_size_nobody_knows_runs_alone_and_is_watched() {
    let (workers, memory) = pool();
    let unknown = Job::new("resize");
    let first = workers.admit(unknown).await.expect("nothing else runs");
    let others: Vec<_> = (0..3).map(|_| ask(&workers, unknown)).collect();
    let declared = ask(&workers, job(1));
    settle().await;
    for resident in [300, 400, 250] {
        memory.set(resident);
        sleep(20 * MILLI).await;
    }
    assert!(!declared.is_finished() && others.iter().all(|other| !other.is_finished()));
    memory.set(100);
    drop(first);
    sleep(SETTLED).await;
    let running: Vec<_> = others.iter().filter(|other| other.is_finished()).collect();
    assert_eq!(running.len(), 2, "it took 300, so 375 are reserved for each, and 800 are there");
    assert_eq!(workers.snapshot().reserved, 2 * 375 + 1);
}

#[tokio::test(start_paused = true)]
async fn a_job_can_tell_its_size() {
    let (workers, memory) = pool();
    let kind = Job::new("resize");
    let first = workers.admit(kind).await.expect("nothing else runs");
    memory.set(900);
    sleep(SETTLED).await;
    first.report(Size::from_bytes(80));
    drop(first);
    memory.set(100);
    sleep(SETTLED).await;
    let second = workers.admit(kind).await.expect("there is room");
    assert_eq!(second.reserved(), Size::from_bytes(100), "a quarter more than it said");
}

#[tokio::test(start_paused = true)]
async fn a_job_that_waits_beyond_its_deadline_is_never_started() {
    let (workers, _memory) = pool();
    let all = admit(&workers, 900).await;
    let (start, late) = (Instant::now(), job(1).deadline(Deadline::within(SECOND)));
    let asked = ask(&workers, late);
    let ran = Arc::new(AtomicUsize::new(0));
    let runs = Arc::clone(&ran);
    let submitted =
        workers.submit(late, move |_| runs.fetch_add(1, Ordering::Relaxed)).expect("there is room");
    // Nobody waits for this one, so it is found to be late when its turn comes.
    let runs = Arc::clone(&ran);
    drop(workers.submit(late, move |_| runs.fetch_add(1, Ordering::Relaxed)).expect("there is room"));
    assert_eq!(asked.await.expect("it does not panic").map(drop), Err(JobError::DeadlineExceeded));
    assert_eq!(start.elapsed().as_millis() / 10, 100);
    assert_eq!(submitted.await, Err(JobError::DeadlineExceeded));
    drop(all);
    settle().await;
    let seen = workers.snapshot();
    assert_eq!((seen.expired, seen.queued, seen.running, ran.load(Ordering::Relaxed)), (3, 0, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn draining_runs_what_waits_and_takes_nothing_new() {
    let (workers, _memory) = pool();
    let done = Arc::new(AtomicUsize::new(0));
    let jobs: Vec<_> = (0..8)
        .map(|_| {
            let (workers, done) = (workers.clone(), Arc::clone(&done));
            tokio::spawn(async move {
                let _grant = workers.admit(job(700)).await.expect("it is taken");
                sleep(SECOND).await;
                done.fetch_add(1, Ordering::Relaxed);
            })
        })
        .collect();
    settle().await;
    let drained = workers.drain(60 * SECOND).await;
    assert!(drained.is_clean(), "{drained}");
    assert_eq!(workers.admit(job(1)).await.map(drop), Err(JobError::Refused(Refused::Closed)));
    for job in jobs {
        job.await.expect("it ends");
    }
    assert_eq!(done.load(Ordering::Relaxed), 8);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_drained_in_time_is_named_and_told() {
    let (workers, _memory) = pool();
    let _running = workers.admit(Job::new("slow").needs(Size::from_bytes(800))).await.expect("there is room");
    let waiting = ask(&workers, job(500));
    let submitted = workers.submit(job(500), |_| ()).expect("it is taken");
    settle().await;
    let start = Instant::now();
    let drained = workers.drain(3 * SECOND).await;
    assert_eq!(start.elapsed().as_secs(), 3);
    assert_eq!((drained.running.as_slice(), drained.not_started.len()), (&["slow"][..], 2));
    assert_eq!(drained.to_string(), "2 jobs were not started, 1 still run: slow");
    assert_eq!(waiting.await.expect("it does not panic").map(drop), Err(JobError::NotStarted));
    assert_eq!(submitted.await, Err(JobError::NotStarted));
}

#[tokio::test(start_paused = true)]
async fn dropping_the_pool_tells_those_that_wait() {
    let (workers, _memory) = pool();
    let _running = admit(&workers, 900).await;
    let submitted = workers.submit(job(500), |_| ()).expect("it is taken");
    drop(workers);
    assert_eq!(submitted.await, Err(JobError::NotStarted));
}

/// Counts what the log warns of.
#[derive(Clone, Default)]
struct Warnings(Arc<AtomicUsize>);

impl<S: tracing::Subscriber> tracing_subscriber::Layer<S> for Warnings {
    fn on_event(&self, event: &tracing::Event<'_>, _: tracing_subscriber::layer::Context<'_, S>) {
        if *event.metadata().level() <= tracing::Level::WARN {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn dropping_a_pool_that_was_drained_warns_of_nothing() {
    use tracing_subscriber::layer::SubscriberExt;

    let warnings = Warnings::default();
    let _log = tracing::subscriber::set_default(tracing_subscriber::registry().with(warnings.clone()));
    let (workers, memory) = pool();
    let probe = workers.probe();
    drop(admit(&workers, 500).await);
    assert!(workers.drain(SECOND).await.is_clean());
    drop(workers);
    settle().await;
    assert_eq!(warnings.0.load(Ordering::Relaxed), 0);
    let samples = memory.samples.load(Ordering::Relaxed);
    sleep(60 * SECOND).await;
    assert_eq!(memory.samples.load(Ordering::Relaxed), samples, "the sampler is gone");
    assert_eq!(probe.snapshot().finished, 1);
}

#[tokio::test(start_paused = true)]
async fn however_many_jobs_find_no_thread_each_is_told() {
    const JOBS: usize = 20_000;
    let policy = WorkersPolicy { queue_max: JOBS, ..policy() };
    let workers = Workers::start("test", policy, Fake::with(100));
    let running = admit(&workers, 800).await;
    let submit =
        |_| workers.submit(Job::new("learned").priority(Priority::Low), |_| ()).expect("it is taken");
    let jobs: Vec<_> = (0..JOBS).map(submit).collect();
    workers.run_out_of_threads();
    drop(running);
    for job in jobs {
        assert_eq!(job.await, Err(JobError::NoThread));
    }
    let seen = workers.snapshot();
    assert_eq!((seen.not_started, seen.running, seen.queued, seen.reserved), (JOBS as u64, 0, 0, 0));
    assert!(workers.drain(SECOND).await.is_clean());
}

#[tokio::test(start_paused = true)]
async fn low_jobs_do_not_starve_under_a_stream_of_high_ones() {
    let (workers, _memory) = pool();
    let mut running = admit(&workers, 800).await;
    let low = ask(&workers, job(800).priority(Priority::Low));
    settle().await;
    let start = Instant::now();
    while !low.is_finished() {
        assert!(start.elapsed() < 10 * SECOND, "it starves");
        let high = ask(&workers, job(800).priority(Priority::High));
        sleep(SECOND / 10).await;
        drop(running);
        settle().await;
        if low.is_finished() {
            break;
        }
        running = granted(high).await;
    }
    assert!(start.elapsed() >= 2 * SECOND, "the high ones go first: {:?}", start.elapsed());
}

#[tokio::test]
async fn jobs_run_on_threads_of_the_pool() {
    let (workers, _memory) = pool();
    let name = workers.submit(job(1), |_| std::thread::current().name().map(str::to_owned));
    assert_eq!(name.expect("it is taken").await, Ok(Some("test-0".to_owned())));
    let panics = workers.submit(job(1), |_| panic!("in the test")).expect("it is taken");
    assert_eq!(panics.await, Err(JobError::Panicked { message: "in the test".into() }) as Result<(), _>);
    let again = workers.submit(job(1), |_| 7).expect("it is taken");
    assert_eq!(again.await, Ok(7), "the thread goes on");
    let seen = workers.snapshot();
    assert_eq!((seen.finished, seen.panicked, seen.running, seen.reserved), (2, 1, 0, 0));
}

#[tokio::test]
async fn a_job_that_runs_is_told_that_nobody_waits() {
    let (workers, _memory) = pool();
    let (release, released) = std::sync::mpsc::channel::<()>();
    let released = Arc::new(Mutex::new(released));
    let (tell, told) = std::sync::mpsc::channel();
    let waits_for_it = move |grant: &Grant| {
        let give_up = std::time::Instant::now() + 10 * SECOND;
        while !grant.is_cancelled() && std::time::Instant::now() < give_up {
            std::thread::sleep(MILLI);
        }
        let _ = tell.send(grant.is_cancelled());
        let _ = released.lock().recv_timeout(10 * SECOND);
    };
    let cancelled = workers.submit(job(1), waits_for_it.clone()).expect("it is taken");
    let late = job(1).deadline(Deadline::within(20 * MILLI));
    let late = workers.submit(late, waits_for_it).expect("it is taken");
    cancelled.cancel();
    assert_eq!(late.await, Err(JobError::DeadlineExceeded), "though the job goes on");
    assert!(told.recv().expect("it runs") && told.recv().expect("it runs"));
    drop(release);
    assert!(workers.drain(10 * SECOND).await.is_clean());
}

#[tokio::test]
async fn a_job_whose_handle_was_dropped_is_run_all_the_same() {
    let (workers, _memory) = pool();
    let done = Arc::new(AtomicUsize::new(0));
    for _ in 0..10 {
        let done = Arc::clone(&done);
        drop(workers.submit(job(500), move |_| done.fetch_add(1, Ordering::Relaxed)).expect("it is taken"));
    }
    assert!(workers.drain(10 * SECOND).await.is_clean());
    assert_eq!(done.load(Ordering::Relaxed), 10);
}

#[tokio::test(start_paused = true)]
async fn a_larger_quota_starts_what_waits_and_a_smaller_one_ends_nothing() {
    let (workers, memory) = pool();
    let first = admit(&workers, 400).await;
    let second = admit(&workers, 400).await;
    let (third, fourth) = (ask(&workers, job(300)), ask(&workers, job(700)));
    settle().await;
    assert_eq!(workers.snapshot().queued, 2);
    workers.apply(WorkersPolicy { quota: Size::from_bytes(2000), ..policy() }).expect("it can be");
    let third = granted(third).await;
    assert_eq!((workers.snapshot().running, workers.snapshot().queued), (3, 1));

    workers.apply(WorkersPolicy { quota: Size::from_bytes(500), ..policy() }).expect("it can be");
    let snapshot = workers.snapshot();
    assert_eq!((snapshot.quota, snapshot.reserved, snapshot.running, snapshot.queued), (500, 1100, 3, 1));
    let quota = Size::from_bytes(500);
    let refused = workers.admit(job(700)).await.unwrap_err();
    assert_eq!(refused, Refused::TooLarge { need: Size::from_bytes(700), quota }.into());
    drop((first, second));
    sleep(10 * SECOND).await;
    assert!(!fourth.is_finished(), "it is larger than the quota, and another runs");
    drop(third);
    memory.set(100);
    assert_eq!(granted(fourth).await.reserved(), Size::from_bytes(700));
}

#[tokio::test(start_paused = true)]
async fn fewer_at_a_time_and_a_shorter_queue_hold_for_what_comes() {
    let (workers, _memory) = pool();
    let mut running = vec![admit(&workers, 10).await, admit(&workers, 10).await];
    workers.apply(WorkersPolicy { concurrency_max: 1, queue_max: 1, ..policy() }).expect("it can be");
    let mut waiting = vec![ask(&workers, job(10))];
    settle().await;
    assert_eq!(workers.admit(job(10)).await.unwrap_err(), Refused::QueueFull { queue_max: 1 }.into());
    workers.apply(WorkersPolicy { concurrency_max: 1, queue_max: 3, ..policy() }).expect("it can be");
    waiting.extend([ask(&workers, job(10)), ask(&workers, job(10))]);
    settle().await;
    workers.apply(WorkersPolicy { concurrency_max: 1, queue_max: 1, ..policy() }).expect("it can be");
    assert_eq!((workers.snapshot().running, workers.snapshot().queued), (2, 3), "nobody is sent away");
    running.pop();
    sleep(SECOND).await;
    assert_eq!((workers.snapshot().running, workers.snapshot().queued), (1, 3));
    workers.apply(policy()).expect("it can be");
    for asked in waiting {
        running.push(granted(asked).await);
    }
    assert_eq!(workers.snapshot().running, 4);
}

#[tokio::test(start_paused = true)]
async fn the_sampler_follows_a_shorter_interval_at_once() {
    let memory = Fake::with(100);
    let slow = WorkersPolicy { sample_every: 3600 * SECOND, ..policy() };
    let workers = Workers::start("test", slow, Arc::clone(&memory) as _);
    sleep(10 * SECOND).await;
    let before = memory.samples.load(Ordering::Relaxed);
    workers.apply(WorkersPolicy { sample_every: SECOND, ..slow }).expect("it can be");
    sleep(10 * SECOND + 50 * MILLI).await;
    let samples = memory.samples.load(Ordering::Relaxed) - before;
    assert!((10..=11).contains(&samples), "one with the change, and one each second: {samples}");
}

#[tokio::test(start_paused = true)]
async fn a_policy_that_cannot_be_is_refused_by_name_and_changes_nothing() {
    let (workers, _memory) = pool();
    for (text, problem) in [
        (r#"{"quota": "0B"}"#, "quota: 0B is too little; write 1B or more"),
        (r#"{"concurrencyMax": 0}"#, "concurrencyMax: 0 is too little; write 1 or more"),
        (r#"{"queueMax": 0}"#, "queueMax: 0 is too little; write 1 or more"),
        (r#"{"shrinkAt": "0%", "growBelow": "0%"}"#, "shrinkAt: 0% of the quota is nothing; raise it"),
        (
            r#"{"growBelow": "95%"}"#,
            "growBelow: 95% is more than `shrinkAt`, 90%; lower it, or raise `shrinkAt`",
        ),
        (r#"{"sampleEvery": "1ms"}"#, "sampleEvery: 1ms is too little; write 10ms or more"),
        (
            r#"{"quota": "1MiB", "needMin": "2MiB"}"#,
            "needMin: 2MiB is more than the quota, 1MiB; lower it, or raise `quota`",
        ),
    ] {
        let policy = serde_json::from_str(text).expect("it is a policy");
        assert_eq!(workers.apply(policy).unwrap_err().to_string(), problem);
    }
    assert_eq!(workers.policy(), policy());
    let text = serde_json::to_string(&policy()).expect("it is plain");
    assert_eq!(serde_json::from_str::<WorkersPolicy>(&text).expect("it is a policy"), policy());
    let typo = serde_json::from_str::<WorkersPolicy>(r#"{"qouta": "1MiB"}"#).unwrap_err().to_string();
    assert!(typo.contains("unknown field `qouta`"), "{typo}");
}
