use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;
use parking_lot::Mutex;

use crate::{Command, CommandResult, Plan, Recorder};

/// A recorder that adds everything up: per step the counts by result and a histogram of latency.
#[derive(Debug)]
pub struct Tally {
    steps: Vec<Mutex<StepTally>>,
}

/// What became of the commands of one step.
#[derive(Debug, Clone)]
pub struct StepTally {
    /// The step's name.
    pub name: String,
    /// Commands by result.
    pub results: BTreeMap<String, u64>,
    /// Commands that succeeded.
    pub succeeded: u64,
    /// All commands.
    pub total: u64,
    /// Latency of all commands from their intended start, in microseconds with three significant digits, at most
    /// one hour.
    pub latency_us: Histogram<u64>,
    counts: Vec<(CommandResult, u64)>,
}

const LATENCY_US_MAX: u64 = 3_600_000_000;

impl Tally {
    /// Creates an empty tally for the steps of `plan`.
    pub fn new(plan: &Plan) -> Self {
        let step = |name: &String| StepTally {
            name: name.clone(),
            results: BTreeMap::new(),
            succeeded: 0,
            total: 0,
            latency_us: Histogram::new_with_max(LATENCY_US_MAX, 3)
                .expect("the bounds are constants and valid"),
            counts: Vec::new(),
        };
        Self { steps: plan.steps.iter().map(|s| Mutex::new(step(&s.name))).collect() }
    }

    /// Returns what was added up so far for step `step`, counted from 0.
    ///
    /// # Panics
    /// When the plan has no such step.
    pub fn step(&self, step: usize) -> StepTally {
        let mut tally = self.steps[step].lock().clone();
        tally.results = tally.counts.iter().map(|(result, n)| (result.cause().into_owned(), *n)).collect();
        tally
    }

    /// Returns what was added up so far for all steps.
    pub fn steps(&self) -> Vec<StepTally> {
        (0..self.steps.len()).map(|step| self.step(step)).collect()
    }
}

impl StepTally {
    /// Returns the latency that `percentile` percent of the commands did not exceed; zero where there is none.
    pub fn percentile(&self, percentile: f64) -> Duration {
        Duration::from_micros(self.latency_us.value_at_percentile(percentile))
    }

    /// Returns the longest latency, to three significant digits.
    pub fn max(&self) -> Duration {
        Duration::from_micros(self.latency_us.max())
    }
}

impl Recorder for Tally {
    fn command(&self, command: Command) {
        let micros = u64::try_from(command.latency().as_micros()).unwrap_or(u64::MAX);
        let mut step = self.steps[command.step].lock();
        step.total += 1;
        step.succeeded += u64::from(command.result.is_success());
        step.latency_us.saturating_record(micros);
        match step.counts.iter_mut().find(|(result, _)| *result == command.result) {
            Some((_, count)) => *count += 1,
            None => step.counts.push((command.result, 1)),
        }
    }
}
