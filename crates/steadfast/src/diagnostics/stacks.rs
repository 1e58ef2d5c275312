//! What the processor does.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::io;
use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;

use super::sampler::{SAMPLES_MAX, Samples, Sampling};

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
    let samples_max = (processor_time(length) * f64::from(per_second)) as usize;
    let sampling = Sampling::start(per_second, samples_max)?;
    tokio::time::sleep(length).await;
    // Finding the names reads the program's symbols, which takes long enough to keep other tasks waiting.
    let found = tokio::task::spawn_blocking(move || {
        let stacks = Stacks::of(&sampling.stop());
        // The next one waits for this also where nobody waits for it any more.
        drop(turn);
        stacks
    });
    found.await.map_err(|_| Error::Unresolved)
}

/// Returns how often it can be sampled for so long, at most `per_second`, so that there is a place for each sample.
pub(super) fn affordable(length: Duration, per_second: u32) -> u32 {
    per_second.min((SAMPLES_MAX as f64 / processor_time(length)) as u32).max(1)
}

/// Returns the seconds that all processors can be used for in that time, and a quarter more.
fn processor_time(length: Duration) -> f64 {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    length.as_secs_f64() * processors as f64 * 1.25
}

impl Stacks {
    fn of(samples: &Samples) -> Self {
        let (mut names, mut threads) = (HashMap::new(), HashMap::new());
        let mut stacks = BTreeMap::new();
        samples.for_each(|thread, frames, is_cut| {
            let mut stack = vec![threads.entry(thread).or_insert_with(|| thread_kind(thread)).clone()];
            if is_cut {
                stack.push("(outer frames are missing)".to_owned());
            }
            for &frame in frames.iter().rev() {
                let inlined: &mut Vec<String> = names.entry(frame).or_insert_with(|| resolve(frame));
                stack.extend(inlined.iter().rev().cloned());
            }
            if stacks.len() >= STACKS_MAX && !stacks.contains_key(&stack) {
                stack = vec!["(others)".to_owned()];
            }
            *stacks.entry(stack).or_default() += 1;
        });
        // What was read of the program's symbols is given back.
        backtrace::clear_symbol_cache();
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

/// Returns the names of the functions at an address: that which was inlined first, then what it was inlined into.
fn resolve(address: usize) -> Vec<String> {
    let mut names = Vec::new();
    backtrace::resolve(address as *mut _, |symbol| {
        names.push(symbol.name().map_or_else(|| "Unknown".to_owned(), |name| format!("{name:#}")));
    });
    if names.is_empty() {
        names.push("Unknown".to_owned());
    }
    names
}

fn thread_kind(thread: i32) -> String {
    let name = std::fs::read_to_string(format!("/proc/self/task/{thread}/comm"));
    name.map_or_else(|_| "(ended)".to_owned(), |name| kind(name.trim_end()).to_owned())
}

/// Returns a thread's name without its number, so that the workers of a runtime make one picture.
fn kind(name: &str) -> &str {
    name.trim_end_matches(|digit: char| digit.is_ascii_digit()).trim_end_matches('-')
}

/// There is no profile.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(super) enum Error {
    /// Sampling did not begin.
    #[error("the processor cannot be sampled: {0}")]
    Sampler(#[from] io::Error),
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
    fn there_is_a_place_for_each_sample() {
        let second = Duration::from_secs(1);
        let processors = std::thread::available_parallelism().map_or(1, usize::from) as f64;
        let most = affordable(30 * second, u32::MAX);
        assert!(f64::from(most) * 30.0 * processors <= SAMPLES_MAX as f64, "{most}");
        assert_eq!(affordable(second / 10, 99), 99);
        assert_eq!(affordable(1_000_000 * second, 99), 1);
    }

    #[test]
    fn threads_of_a_kind_are_one() {
        let kinds = ["worker-0", "worker-12", "signals", "7"].map(kind);
        assert_eq!(kinds, ["worker", "worker", "signals", ""]);
    }
}
