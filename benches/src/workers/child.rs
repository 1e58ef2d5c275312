//! The process that runs the jobs.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use steadfast_base::units::Size;
use steadfast_guard::workers::memory::{Memory, ProcessMemory};
use steadfast_guard::workers::{Job, Workers, WorkersPolicy};

use super::MIB;
use super::jobs::{Work, draw};

const ASKED: &str = "STEADFAST_BENCH_WORKERS";

/// How the jobs are run.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Asked {
    /// By so many threads, without a look at memory.
    Fixed { threads: usize },
    /// By our pool, to which the jobs say what they need, or do not.
    Ours { quota_mib: u32, learns: bool },
}

/// What a run has found.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Found {
    pub(super) jobs: usize,
    /// The sum of all results, by which lost jobs show.
    pub(super) sum: u64,
    /// How long it took, in seconds.
    pub(super) took: f64,
    /// The most that was resident, in bytes.
    pub(super) peak: f64,
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} jobs in {:.2} s, peak {:.0} MiB", self.jobs, self.took, self.peak / MIB)
    }
}

/// Names a file for what is resident while the jobs run: lines of seconds and mebibytes.
const SAMPLES: &str = "STEADFAST_BENCH_WORKERS_SAMPLES";

/// Returns what is resident while the jobs run: seconds and mebibytes.
pub(super) fn sample(asked: &Asked) -> anyhow::Result<Vec<(f64, f64)>> {
    let file = tempfile::NamedTempFile::new()?;
    let mut child = std::process::Command::new(std::env::current_exe()?);
    let status = child.env(ASKED, serde_json::to_string(asked)?).env(SAMPLES, file.path()).output()?.status;
    anyhow::ensure!(status.success(), "the process that runs the jobs ended with {status}");
    Ok(serde_json::from_slice(&std::fs::read(file.path())?)?)
}

/// Runs `work`, with a look at what is resident every 20 ms if a parent wants to know.
fn sampled<T>(work: impl FnOnce() -> T) -> anyhow::Result<T> {
    let Some(file) = std::env::var_os(SAMPLES) else { return Ok(work()) };
    let is_done = AtomicBool::new(false);
    let (done, samples) = std::thread::scope(|scope| {
        let sampler = scope.spawn(|| {
            let (start, mut samples) = (Instant::now(), Vec::new());
            while !is_done.load(Ordering::Relaxed) {
                samples.push((start.elapsed().as_secs_f64(), crate::memory::resident().unwrap_or(0.0) / MIB));
                std::thread::sleep(Duration::from_millis(20));
            }
            samples
        });
        let done = work();
        is_done.store(true, Ordering::Relaxed);
        (done, sampler.join().unwrap_or_default())
    });
    std::fs::write(file, serde_json::to_vec(&samples)?)?;
    Ok(done)
}

pub(super) fn ask(asked: &Asked) -> anyhow::Result<Found> {
    let mut child = std::process::Command::new(std::env::current_exe()?);
    let output = child.env(ASKED, serde_json::to_string(asked)?).output()?;
    let said = || String::from_utf8_lossy(&output.stderr).into_owned();
    serde_json::from_slice(&output.stdout).with_context(said)
}

/// Runs the jobs that a parent asks for; says whether there was one.
#[allow(clippy::print_stdout, reason = "the parent reads it")]
pub(crate) fn run_if_asked() -> anyhow::Result<bool> {
    let Ok(asked) = std::env::var(ASKED) else { return Ok(false) };
    let jobs = draw();
    let start = Instant::now();
    let asked: Asked = serde_json::from_str(&asked)?;
    let sums = sampled(|| match asked {
        Asked::Fixed { threads } => fixed(&jobs, threads),
        Asked::Ours { quota_mib, learns } => {
            let runtime =
                tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
            runtime.block_on(ours(&jobs, Size::from_mebibytes(quota_mib), learns))
        }
    })??;
    let took = start.elapsed().as_secs_f64();
    let sum = sums.iter().fold(0_u64, |sum, result| sum.wrapping_add(*result));
    let peak = ProcessMemory::new().peak().context("the kernel does not say the peak")? as f64;
    println!("{}", serde_json::to_string(&Found { jobs: sums.len(), sum, took, peak })?);
    Ok(true)
}

fn fixed(jobs: &[Work], threads: usize) -> anyhow::Result<Vec<u64>> {
    let (queue, results) = (Mutex::new(jobs.iter()), Mutex::new(Vec::new()));
    let next = || queue.lock().ok().and_then(|mut queue| queue.next());
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(job) = next() {
                    let sum = job.run();
                    if let Ok(mut results) = results.lock() {
                        results.push(sum);
                    }
                }
            });
        }
    });
    results.into_inner().map_err(|_| anyhow::anyhow!("a job panicked"))
}

async fn ours(jobs: &[Work], quota: Size, learns: bool) -> anyhow::Result<Vec<u64>> {
    let policy = WorkersPolicy { quota, ..WorkersPolicy::default() };
    let workers = Workers::start("bench", policy, Arc::new(ProcessMemory::new()));
    let mut submitted = Vec::new();
    for work in jobs.iter().copied() {
        let job = Job::new(work.name);
        let job = if learns { job } else { job.needs(Size::from_bytes(work.bytes as u64)) };
        submitted.push(workers.submit(job, move |_| work.run())?);
    }
    let mut sums = Vec::new();
    for job in submitted {
        sums.push(job.await?);
    }
    let drained = workers.drain(Duration::from_secs(60)).await;
    anyhow::ensure!(drained.is_clean(), "{drained}");
    Ok(sums)
}
