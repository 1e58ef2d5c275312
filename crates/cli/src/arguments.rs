//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Proves event-driven services under fault.
#[derive(Debug, Parser)]
#[command(name = "steadfast", version, long_about = LONG_ABOUT, after_help = EXIT_CODES)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

const LONG_ABOUT: &str = "Proves event-driven services under fault.\n\n\
    An experiment declares a system, a load, faults, and what must hold. `steadfast prove` runs it: it checks that \
    it may, measures the steady state, injects, undoes, measures again, reads the data back, and gives a verdict \
    that a release pipeline can trust.";

const EXIT_CODES: &str = "Exit codes: 0 PASS, 1 FAIL, 2 wrong input, 3 refused by admission, 4 inconclusive, \
    5 invalid (fault or load not delivered as declared), 6 not restored, 70 internal error, 130 interrupted and \
    undone.";

const LOG_EXIT_CODES: &str = "Exit codes: 0 done (of `verify`: the log is sound); 1 it is damaged, or needs a repair that \
    was not asked for, or, of `verify` and `repair`, a file of it cannot be read; 2 there is no log, it is of a later \
    format, what the command needs may not be opened, or the arguments are wrong; 3 another process has it open for \
    writing; 70 anything else. `inspect` shows what can be read of a damaged log and ends with 0.";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Runs experiments and gives a verdict.
    Prove(Prove),
    /// Checks documents without running them, and shows what admission will check.
    Validate(Validate),
    /// Lists and undoes what a dead run left behind.
    Recover(Recover),
    /// Drives load alone and prints what it saw.
    Load(Load),
    /// Looks at the event logs that the file store keeps.
    Log(Log),
    /// Undoes what is open when the run that it watches dies; started by `prove`.
    #[command(hide = true)]
    Watchdog(Watchdog),
}

/// How results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Default)]
pub(crate) enum Format {
    /// For people.
    #[default]
    Human,
    /// For programs.
    Json,
}

#[derive(Debug, Args)]
pub(crate) struct Prove {
    /// Documents to run, one experiment after another.
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// Folder for report.html, report.json, junit.xml and logs; must not exist. Several experiments get a
    /// subfolder each. Default: steadfast-runs/TIME-NAME.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Seed of all randomness; repeats a run. Default: a new one, printed in the report.
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,
    /// Runs only the experiments of this name.
    #[arg(long, value_name = "NAME")]
    pub(crate) only: Vec<String>,
    /// For pipelines: prints only verdicts, one line each, and no progress.
    #[arg(long)]
    pub(crate) gate: bool,
    /// Where the programs of the system are looked for before PATH; may be given several times.
    #[arg(long, value_name = "DIR")]
    pub(crate) bin_dir: Vec<PathBuf>,
    /// How results are printed.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: Format,
}

#[derive(Debug, Args)]
pub(crate) struct Validate {
    /// Documents to check.
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// Where the programs of the system are looked for before PATH; may be given several times.
    #[arg(long, value_name = "DIR")]
    pub(crate) bin_dir: Vec<PathBuf>,
    /// How results are printed.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: Format,
}

#[derive(Debug, Args)]
pub(crate) struct Recover {
    /// Lists what is left without touching it.
    #[arg(long)]
    pub(crate) list: bool,
    /// How results are printed.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: Format,
}

#[derive(Debug, Args)]
pub(crate) struct Load {
    /// A URL to get, or a document whose `load` section is driven (its system must be running, and its URLs
    /// must name it without variables).
    #[arg(value_name = "FILE|URL")]
    pub(crate) target: String,
    /// Arrivals per unit of time, for a URL.
    #[arg(long, default_value = "100/s")]
    pub(crate) rate: steadfast_base::units::Rate,
    /// How long, for a URL.
    #[arg(long = "for", value_name = "DURATION", default_value = "10s")]
    pub(crate) length: steadfast_base::units::HumanDuration,
    /// Seed of all randomness.
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,
    /// How results are printed.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: Format,
}

#[derive(Debug, Args)]
#[command(after_help = LOG_EXIT_CODES)]
pub(crate) struct Log {
    #[command(subcommand)]
    pub(crate) command: LogCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum LogCommand {
    /// Reads all of a log and tells what is damaged, or brought back by a repair that was not finished: exit code 0 if
    /// nothing is, 1 otherwise. It may be written to meanwhile.
    Verify(LogFolder),
    /// Shows segments, streams and positions of a log. It may be written to meanwhile.
    Inspect(LogFolder),
    /// Prints events, the newest ten unless told otherwise. The log may be written to meanwhile.
    Tail(Tail),
    /// Cuts a log off at its first damage, after copying all that is cut. No process may have it open for writing.
    Repair(Repair),
    /// Compresses finished segments, which are read as before. No process may have the log open for writing.
    Archive(Archive),
    /// Overwrites in the files what was deleted. No process may have the log open for writing.
    Erase(LogFolder),
}

#[derive(Debug, Args)]
pub(crate) struct LogFolder {
    /// The folder of the log.
    #[arg(value_name = "DIR")]
    pub(crate) folder: PathBuf,
    /// How results are printed.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: Format,
}

#[derive(Debug, Args)]
pub(crate) struct Tail {
    #[command(flatten)]
    pub(crate) log: LogFolder,
    /// Goes on with what is appended, until interrupted.
    #[arg(long, short)]
    pub(crate) follow: bool,
    /// Only events of this stream; may be given several times.
    #[arg(long, value_name = "S")]
    pub(crate) stream: Vec<String>,
    /// Only events of this type; may be given several times.
    #[arg(long = "type", value_name = "T")]
    pub(crate) kind: Vec<String>,
    /// Begins with the event at this position.
    #[arg(long, value_name = "P")]
    pub(crate) from: Option<u64>,
    /// At most so many events; the newest, or, with --from, the first. Those that --follow waits for do not count.
    #[arg(short = 'n', value_name = "N")]
    pub(crate) number: Option<u64>,
}

#[derive(Debug, Args)]
pub(crate) struct Repair {
    #[command(flatten)]
    pub(crate) log: LogFolder,
    /// Does it. Without, only says what would be cut.
    #[arg(long)]
    pub(crate) yes: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Archive {
    #[command(flatten)]
    pub(crate) log: LogFolder,
    /// Leaves so many of the newest finished segments as they are.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) keep: u32,
}

#[derive(Debug, Args)]
pub(crate) struct Watchdog {
    /// What the run hands over.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub(crate) arguments: Vec<std::ffi::OsString>,
}
