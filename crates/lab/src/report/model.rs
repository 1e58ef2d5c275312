//! The report as data: `report.json` is this, written with serde. Times are milliseconds since the run's start
//! unless a name says otherwise.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The value of [`Report::schema`] for documents of this version.
pub const SCHEMA: &str = "steadfast.dev/report/v1";

/// All that one experiment's run has shown.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Name and version of this format: [`SCHEMA`].
    pub schema: String,
    /// Which run this is.
    pub run: RunInfo,
    /// The verdict and why.
    pub verdict: Verdict,
    /// The phases that were reached, in order.
    pub phases: Vec<PhaseSpan>,
    /// Each indicator of each objective, measured against what was declared.
    pub objectives: Vec<ObjectiveResult>,
    /// What the load saw, per step of the scenario.
    pub steps: Vec<StepSeries>,
    /// Whether the load was driven as declared.
    pub load: LoadResult,
    /// Each fault with its dose and its undoing.
    pub faults: Vec<FaultResult>,
    /// Each invariant with what was found.
    pub invariants: Vec<InvariantResult>,
    /// The processes of the system.
    pub processes: Vec<ProcessResult>,
    /// Series scraped from the system beside the load, such as Prometheus counters.
    pub scrapes: Vec<ScrapeSeries>,
    /// What happened when, in words.
    pub timeline: Vec<TimelineEntry>,
    /// The document as it was given.
    pub document: String,
}

/// Which run a report is of.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RunInfo {
    /// The run's identity: its folder's name.
    pub id: String,
    /// The experiment's name.
    pub name: String,
    /// The experiment's description, if it has one.
    pub description: Option<String>,
    /// The document's file, as given.
    pub file: String,
    /// The seed that repeats the run.
    pub seed: u64,
    /// When it started, RFC 3339 in UTC.
    pub started_at: String,
    /// How long it took.
    pub duration_ms: u64,
    /// The version of `steadfast`.
    pub version: String,
}

/// How a run ended; the names and numbers of the exit codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Outcome {
    /// All was shown to hold.
    Pass,
    /// An objective, threshold, invariant or policy was violated.
    Fail,
    /// The input is wrong.
    Usage,
    /// Admission refused the run.
    Refused,
    /// Too little was observed.
    Inconclusive,
    /// Fault or load was not delivered as declared.
    Invalid,
    /// An undo or rollback failed, or the system did not come back.
    NotRestored,
    /// A defect of steadfast itself.
    Internal,
    /// Interrupted by the user; faults undone.
    Interrupted,
}

impl Outcome {
    /// Returns the exit code of the command.
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Pass => 0,
            Self::Fail => 1,
            Self::Usage => 2,
            Self::Refused => 3,
            Self::Inconclusive => 4,
            Self::Invalid => 5,
            Self::NotRestored => 6,
            Self::Internal => 70,
            Self::Interrupted => 130,
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pass => "PASS",
            Self::Fail => "FAIL",
            Self::Usage => "USAGE",
            Self::Refused => "REFUSED",
            Self::Inconclusive => "INCONCLUSIVE",
            Self::Invalid => "INVALID",
            Self::NotRestored => "NOT RESTORED",
            Self::Internal => "INTERNAL ERROR",
            Self::Interrupted => "INTERRUPTED",
        })
    }
}

/// The verdict of a run.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Verdict {
    /// How the run ended.
    pub outcome: Outcome,
    /// The exit code, repeated for pipelines.
    pub exit_code: u8,
    /// A stable word for the cause, such as `objective-violated`, `invariant-violated`, `dose-too-small`.
    pub reason_code: String,
    /// The cause in one sentence.
    pub reason: String,
    /// All that was found, the decisive finding first.
    pub findings: Vec<Finding>,
}

/// One thing that speaks against PASS.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// The outcome that this finding alone would cause.
    pub outcome: Outcome,
    /// A stable word for it.
    pub code: String,
    /// It in one sentence.
    pub message: String,
}

/// A phase and its window.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PhaseSpan {
    /// `admit`, `start`, `baseline`, `inject`, `recover`, `check` or `verdict`.
    pub name: String,
    /// When it began.
    pub from_ms: u64,
    /// When it ended.
    pub to_ms: u64,
}

/// One indicator of an objective.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ObjectiveResult {
    /// The step it speaks of.
    pub step: String,
    /// The phase it speaks of, or `all`.
    pub during: String,
    /// `success`, `p50`, `p95`, `p99`, `p99.9` or `max`.
    pub indicator: String,
    /// `ratio` (0 to 1) or `ms`.
    pub unit: String,
    /// What was declared: a lower bound for a ratio, an upper bound for a latency.
    pub declared: f64,
    /// What was measured, none without samples.
    pub measured: Option<f64>,
    /// Commands in the window.
    pub samples: u64,
    /// Whether it was met; none where too little was observed to say.
    pub met: Option<bool>,
    /// The window's begin.
    pub from_ms: u64,
    /// The window's end.
    pub to_ms: u64,
}

/// What the load saw of one step, second by second.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StepSeries {
    /// The step's name.
    pub name: String,
    /// One entry per second in which a command was intended to start.
    pub seconds: Vec<StepSecond>,
    /// Failures by cause over the whole run, such as `status 503` or `timeout`, most frequent first.
    pub failures: Vec<FailureCount>,
}

/// One second of a step; a command counts where it was intended to start.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StepSecond {
    /// The second's begin.
    pub at_ms: u64,
    /// Commands that were to start.
    pub offered: u64,
    /// Commands that were dispatched.
    pub dispatched: u64,
    /// Commands that succeeded.
    pub succeeded: u64,
    /// Commands that failed.
    pub failed: u64,
    /// Requests beyond the first of each command.
    pub retries: u64,
    /// Latency percentiles of the commands that succeeded, from the intended start; none without any.
    pub p50_ms: Option<f64>,
    /// See `p50Ms`.
    pub p95_ms: Option<f64>,
    /// See `p50Ms`.
    pub p99_ms: Option<f64>,
    /// See `p50Ms`.
    pub max_ms: Option<f64>,
}

/// How often a cause made commands fail.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FailureCount {
    /// The cause.
    pub cause: String,
    /// How many commands.
    pub count: u64,
}

/// Whether the load was driven as declared.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LoadResult {
    /// Arrivals that the document asks for in the time that the load ran.
    pub scheduled: u64,
    /// Arrivals dispatched within the tolerance of their intended start.
    pub on_schedule: u64,
    /// Arrivals dispatched at all.
    pub dispatched: u64,
    /// The worst delay between intended and real dispatch.
    pub lateness_max_ms: f64,
    /// Which share may be late or missing.
    pub shortfall_max: f64,
    /// Whether the share was kept.
    pub valid: bool,
}

/// A fault with its dose and its undoing.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FaultResult {
    /// The fault's name.
    pub name: String,
    /// What it was done to.
    pub target: String,
    /// Who did it: `process` or `signal`.
    pub injector: String,
    /// The fault in words, such as `delay 500 ms for 50 % of calls`.
    pub description: String,
    /// When it was active.
    pub windows: Vec<Window>,
    /// Each measure of the dose.
    pub dose: Vec<DoseResult>,
    /// How it was undone.
    pub undo: UndoResult,
}

/// A span of time.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Window {
    /// Its begin.
    pub from_ms: u64,
    /// Its end.
    pub to_ms: u64,
}

/// One measure of a fault's dose.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DoseResult {
    /// What is measured, such as `affected calls`, `share of calls`, `stalled time`, `kills`.
    pub measure: String,
    /// `count`, `ratio` or `ms`.
    pub unit: String,
    /// The least that the declaration asks for.
    pub declared_min: Option<f64>,
    /// The most that the declaration allows.
    pub declared_max: Option<f64>,
    /// What was delivered.
    pub delivered: f64,
    /// Whether it lies within the declaration.
    pub valid: bool,
}

/// How a fault was undone.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UndoResult {
    /// What was done to undo it.
    pub action: String,
    /// When it was undone, none if it was not.
    pub at_ms: Option<u64>,
    /// How it was seen that it is gone.
    pub verified: Option<String>,
    /// What went wrong.
    pub error: Option<String>,
}

/// An invariant and what was found.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InvariantResult {
    /// Its name.
    pub name: String,
    /// Its kind, such as `acknowledgedCommands`.
    pub kind: String,
    /// Whether it holds; none where it could not be checked.
    pub holds: Option<bool>,
    /// How many things were checked.
    pub checked: u64,
    /// The result in one sentence.
    pub summary: String,
    /// How many violations there are.
    pub violations_total: u64,
    /// The first of them, in words.
    pub violations: Vec<String>,
    /// Further figures, such as how many commands were acknowledged and how many timed out.
    pub figures: Vec<Figure>,
}

/// A named number.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Figure {
    /// What it counts.
    pub name: String,
    /// The number.
    pub value: f64,
}

/// A process of the system.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProcessResult {
    /// Its name.
    pub name: String,
    /// How often it was started.
    pub starts: u32,
    /// How it ended, such as `stopped by the run`, `killed by fault`, `exited with 1`.
    pub end: String,
    /// The file of its output, relative to the run's folder.
    pub log: String,
}

/// A series scraped from the system.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScrapeSeries {
    /// The process.
    pub process: String,
    /// The metric with its labels.
    pub metric: String,
    /// `counter` (values are increases since the last scrape, resets seen) or `gauge`.
    pub kind: String,
    /// One value per scrape; none where the scrape is missing.
    pub points: Vec<ScrapePoint>,
    /// How many scrapes are missing.
    pub missing: u64,
}

/// One scrape of a series.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScrapePoint {
    /// When.
    pub at_ms: u64,
    /// The value.
    pub value: Option<f64>,
}

/// Something that happened during the run.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TimelineEntry {
    /// When.
    pub at_ms: u64,
    /// What.
    pub what: String,
}
