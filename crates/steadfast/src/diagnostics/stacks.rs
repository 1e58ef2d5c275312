//! What the processor does: stacks, sampled by a timer of processor time.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use pprof::{ProfilerGuard, ProfilerGuardBuilder, Report};
use tokio::sync::OwnedSemaphorePermit;

/// Where no sample is taken: the loader and the unwinder hold locks there, which a signal handler must not wait for.
const LEFT_OUT: [&str; 4] = ["libc", "libgcc", "pthread", "vdso"];
/// What stands on each stack of which the sampler has left out its handler.
const SAMPLER: &str = "pprof::backtrace";
/// How many different stacks are kept; the rest is counted together.
const STACKS_MAX: usize = 5000;

/// How often each stack was seen, outermost frame first; the first is the thread.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Stacks(pub(super) BTreeMap<Vec<String>, u64>);

/// Samples the stacks of all threads that run, for `length` and `per_second` times for each second of processor time.
///
/// # Cancel safety
/// Dropping the future ends the sampling.
pub(super) async fn sample(
    length: Duration,
    per_second: u32,
    turn: OwnedSemaphorePermit,
) -> Result<Stacks, Error> {
    let guard = start(per_second)?;
    tokio::time::sleep(length).await;
    // Finding the names reads the program's symbols, which takes long enough to keep other tasks waiting.
    let found = tokio::task::spawn_blocking(move || {
        let stacks = report(&guard);
        drop(guard);
        // The next one waits for the sampler also where nobody waits for this any more.
        drop(turn);
        stacks
    });
    found.await.map_err(|_| Error::Unresolved)?
}

fn start(per_second: u32) -> Result<ProfilerGuard<'static>, Error> {
    let frequency = i32::try_from(per_second).unwrap_or(i32::MAX);
    Ok(ProfilerGuardBuilder::default().frequency(frequency).blocklist(&LEFT_OUT).build()?)
}

fn report(guard: &ProfilerGuard<'_>) -> Result<Stacks, Error> {
    Ok(Stacks::of(&guard.report().build()?))
}

impl Stacks {
    fn of(report: &Report) -> Self {
        let mut stacks = BTreeMap::new();
        for (frames, &count) in &report.data {
            let mut stack = vec![thread_kind(&frames.thread_name).to_owned()];
            stack.extend(
                frames
                    .frames
                    .iter()
                    .rev()
                    .flat_map(|inlined| inlined.iter().rev())
                    .map(|symbol| symbol.name()),
            );
            // What took the sample is no work of the program.
            if let Some(at) = stack.iter().position(|frame| frame.contains(SAMPLER)) {
                stack.truncate(at);
            }
            if stacks.len() >= STACKS_MAX && !stacks.contains_key(&stack) {
                stack = vec!["(others)".to_owned()];
            }
            *stacks.entry(stack).or_default() += count.max(0) as u64;
        }
        Self(stacks)
    }

    /// Returns how many samples there are.
    pub(super) fn samples(&self) -> u64 {
        self.0.values().sum()
    }

    /// Writes a line for each stack: its frames with semicolons between, and how often it was seen.
    pub(super) fn folded(&self) -> String {
        let mut text = String::new();
        for (stack, count) in &self.0 {
            for (at, frame) in stack.iter().enumerate() {
                let _ = write!(text, "{}{}", if at == 0 { "" } else { ";" }, frame.replace([';', '\n'], ":"));
            }
            let _ = writeln!(text, " {count}");
        }
        text
    }
}

/// Returns a thread's name without its number, so that the workers of a runtime make one picture.
fn thread_kind(name: &str) -> &str {
    name.trim_end_matches(|digit: char| digit.is_ascii_digit()).trim_end_matches('-')
}

/// There is no profile.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(super) enum Error {
    /// The sampler did not start or end.
    #[error("the processor cannot be sampled: {0}")]
    Sampler(#[from] pprof::Error),
    /// Finding names panicked.
    #[error("the names of the functions could not be found")]
    Unresolved,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folded_stacks_have_one_line_each() {
        let stack = |frames: &[&str]| frames.iter().map(|&frame| frame.to_owned()).collect::<Vec<_>>();
        let stacks = Stacks([(stack(&["worker", "a;b", "c"]), 3), (stack(&["worker", "a;b"]), 2)].into());
        assert_eq!(stacks.folded(), "worker;a:b 2\nworker;a:b;c 3\n");
        assert_eq!(stacks.samples(), 5);
    }

    #[test]
    fn threads_of_a_kind_are_one() {
        let kinds = ["worker-0", "worker-12", "signals", "7"].map(thread_kind);
        assert_eq!(kinds, ["worker", "worker", "signals", ""]);
    }
}
