//! The resident set of a process stays within the quota of a pool, whatever its jobs need in all.
//!
//! Each test starts this program again, as the process whose memory is looked at.

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use steadfast_base::Seed;
use steadfast_base::units::Size;
use steadfast_guard::workers::memory::{Memory, ProcessMemory};
use steadfast_guard::workers::{Job, Workers, WorkersPolicy};

const RUN: &str = "STEADFAST_TEST_RUN";
/// What the process says in the end.
const HELD: &str = "it held";
const QUOTA: Size = Size::from_mebibytes(256);
/// What all jobs need together.
const NEEDED: u64 = 1 << 30;
const JOB_MAX: u64 = 64 << 20;

/// Returns the sizes of jobs of `least` to [`JOB_MAX`] bytes that need [`NEEDED`] in all.
fn sizes(seed: Seed, least: u64) -> Vec<u64> {
    let mut rng = seed.stream("sizes");
    let (mut sizes, mut left) = (Vec::new(), NEEDED);
    while left > 0 {
        let size = (least + rng.below(JOB_MAX - least)).min(left);
        sizes.push(size);
        left -= size;
    }
    sizes
}

/// Takes as much memory as it is told, touches all of it, and returns how many pages it has.
fn work(size: u64) -> u64 {
    let bytes = vec![1_u8; size as usize];
    // As a job does that waits for a disk meanwhile: without the quota many of them have their memory at a time.
    std::thread::sleep(Duration::from_millis(10));
    bytes.iter().step_by(4096).map(|byte| u64::from(*byte)).sum()
}

/// Runs all jobs under `quota` and returns the most that was resident.
async fn peak(quota: Size, sizes: &[u64]) -> u64 {
    let policy = WorkersPolicy { quota, concurrency_max: 16, queue_max: 10_000, ..WorkersPolicy::default() };
    let workers = Workers::start("test", policy, Arc::new(ProcessMemory::new()));
    let mut jobs = Vec::new();
    for size in sizes.iter().copied() {
        let job = Job::new("pages").needs(Size::from_bytes(size));
        jobs.push(workers.submit(job, move |_| work(size)).expect("the queue has room"));
    }
    for (job, size) in jobs.into_iter().zip(sizes) {
        assert_eq!(job.await, Ok(size.div_ceil(4096)), "a job is lost");
    }
    let drained = workers.drain(Duration::from_secs(60)).await;
    assert!(drained.is_clean(), "{drained}");
    assert_eq!(workers.snapshot().finished, sizes.len() as u64);
    ProcessMemory::new().peak().expect("this is Linux")
}

/// Not a test of its own: the body of the process that the others start, which say the least size of a job.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn process() {
    let Ok(least) = std::env::var(RUN) else { return };
    let seed = Seed::random();
    let sizes = sizes(seed, least.parse().expect("a number"));
    let allowed = QUOTA.bytes() / 10 * 11;
    let held = peak(QUOTA, &sizes).await;
    assert!(held <= allowed, "{held} of {allowed} bytes with {} jobs, seed {seed}", sizes.len());
    // Without the quota it does not: what is tested is the quota, and not that the jobs are small.
    let unbounded = peak(Size::from_mebibytes(4096), &sizes).await;
    assert!(unbounded > allowed, "{unbounded} bytes, seed {seed}");
    eprintln!("{HELD}");
}

fn assert_holds(least: u64, environment: &[(&str, &str)]) {
    let program = std::env::current_exe().expect("this program");
    let mut process = Command::new(program);
    process.args(["--exact", "process", "--nocapture"]).env(RUN, least.to_string());
    let output = process.envs(environment.iter().copied()).output().expect("it starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    // A program that runs none of its tests succeeds as well.
    assert!(said.contains(HELD), "{said}");
}

/// Blocks so large that any allocator gives them back.
#[test]
fn large_jobs_stay_within_the_quota() {
    assert_holds(33 << 20, &[]);
}

/// glibc keeps blocks of less than 32 MiB for the thread that had them, unless it is told not to.
#[test]
fn jobs_of_all_sizes_stay_within_the_quota_where_the_allocator_gives_back() {
    assert_holds(1 << 20, &[("MALLOC_MMAP_THRESHOLD_", "131072")]);
}
