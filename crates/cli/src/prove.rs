//! `steadfast prove`.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use serde::Serialize;
use steadfast_base::Seed;
use steadfast_lab::report::{self, Outcome, Report, Verdict};
use steadfast_lab::run::{self, Options};
use steadfast_lab::spec::Document;
use steadfast_lab::undo::{StateDir, WatchdogCommand};
use tokio_util::sync::CancellationToken;

use crate::arguments::{Format, Prove};
use crate::{Failure, documents, print, signals, view};

/// The verdict of one experiment, as `--format json` prints it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Line<'a> {
    name: &'a str,
    outcome: Outcome,
    exit_code: u8,
    reason_code: &'a str,
    reason: &'a str,
    folder: String,
}

pub(crate) fn run(arguments: &Prove) -> Result<Outcome, Failure> {
    let documents = documents::only(documents::read(&arguments.files)?, &arguments.only)?;
    let seed = arguments.seed.map_or_else(Seed::random, Seed::new);
    let state = StateDir::open().map_err(Failure::usage)?;
    let folders = Folders::make(arguments.out.as_deref(), &documents)?;
    let watchdog = WatchdogCommand::this_program().map_err(Failure::internal)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(Failure::internal)?;
    let interrupt = CancellationToken::new();
    let last_words = "ended at once; the watchdog undoes what is open";
    runtime.spawn(signals::end_on_signals(interrupt.clone(), last_words));
    let mut reports: Vec<Report> = Vec::new();
    for (document, folder) in documents.iter().zip(&folders.each) {
        if interrupt.is_cancelled() {
            break;
        }
        if let Some(broken) = reports.last().filter(|report| report.verdict.outcome == Outcome::NotRestored) {
            print::aside(&format!(
                "\n{} and what follows is not run: {} left the system as it should not be; see `steadfast recover`",
                document.experiment.metadata.name, broken.run.name
            ));
            break;
        }
        let quiet = arguments.gate;
        if !quiet {
            print::aside(&format!("\n{} ({})", document.experiment.metadata.name, document.file.display()));
        }
        let options = Options {
            folder: folder.clone(),
            bin_dirs: arguments.bin_dir.clone(),
            seed,
            watchdog: watchdog.clone(),
            state: state.clone(),
        };
        let view: Arc<dyn run::Progress> = Arc::from(view::choose(quiet));
        let report = runtime.block_on(run::run(document, &options, view, interrupt.clone()));
        report::write(&report, folder).map_err(|error| {
            let (verdict, folder) = (&report.verdict, folder.display());
            let ended = format!("{}: {}", verdict.outcome, verdict.reason);
            Failure::internal(format!(
                "the report cannot be written to {folder}: {error}; the run ended {ended}"
            ))
        })?;
        if arguments.format == Format::Human {
            print::result(&verdict(&report, folder, arguments.gate));
        }
        reports.push(report);
    }
    if reports.len() > 1 {
        let all = folders.root.join("junit.xml");
        std::fs::write(&all, report::junit(&reports)).map_err(Failure::internal)?;
    }
    if arguments.format == Format::Json {
        let lines: Vec<Line<'_>> = reports.iter().zip(&folders.each).map(|(r, f)| line(r, f)).collect();
        print::json(&lines)?;
    }
    let verdicts = reports.iter().map(|report| &report.verdict);
    let outcome = if reports.len() < documents.len() {
        run::most_severe_of_interrupted(verdicts)
    } else {
        run::most_severe(verdicts)
    };
    if documents.len() > 1 && arguments.format == Format::Human {
        let passed = reports.iter().filter(|report| report.verdict.outcome == Outcome::Pass).count();
        print::result(&format!("{outcome}: {passed} of {} experiments passed", documents.len()));
    }
    Ok(outcome)
}

/// Writes verdict, reason and the place of the report; a gate gets them on one line.
fn verdict(report: &Report, folder: &Path, gate: bool) -> String {
    let Verdict { outcome, reason, .. } = &report.verdict;
    let page = folder.join("report.html");
    let (reason, separator) = match gate {
        true => (reason.lines().map(str::trim).collect::<Vec<_>>().join(" | "), "; "),
        false => (reason.replace('\n', "\n    "), "\n      "),
    };
    format!("{outcome}  {}: {reason}{separator}{}", report.run.name, page.display())
}

fn line<'a>(report: &'a Report, folder: &Path) -> Line<'a> {
    Line {
        name: &report.run.name,
        outcome: report.verdict.outcome,
        exit_code: report.verdict.exit_code,
        reason_code: &report.verdict.reason_code,
        reason: &report.verdict.reason,
        folder: folder.display().to_string(),
    }
}

/// Where runs are written: the folder that was asked for, and one for each experiment.
struct Folders {
    root: PathBuf,
    each: Vec<PathBuf>,
}

impl Folders {
    /// Makes the folders; one that exists is never written over.
    fn make(out: Option<&Path>, documents: &[Document]) -> Result<Self, Failure> {
        let name = |document: &Document| document.experiment.metadata.name.clone();
        let root = match (out, documents) {
            (Some(out), _) => out.to_owned(),
            (None, documents) => {
                let stamp = run::folder_stamp(SystemTime::now());
                let what = if let [only] = documents { name(only) } else { "suite".to_owned() };
                free(&Path::new("steadfast-runs").join(format!("{stamp}-{what}")))
            }
        };
        let failed = |folder: &Path, error: std::io::Error| {
            let mend = match error.kind() {
                std::io::ErrorKind::AlreadyExists => "it exists already; give another with --out",
                _ => "give a folder that can be written to with --out",
            };
            Failure::usage(format!("cannot make the folder {}: {error}; {mend}", folder.display()))
        };
        if let Some(parent) = root.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            std::fs::create_dir_all(parent).map_err(|error| failed(parent, error))?;
        }
        std::fs::create_dir(&root).map_err(|error| failed(&root, error))?;
        let each = match documents {
            [_] => vec![root.clone()],
            many => {
                many.iter().enumerate().map(|(n, d)| root.join(format!("{}-{}", n + 1, name(d)))).collect()
            }
        };
        for folder in each.iter().filter(|folder| **folder != root) {
            std::fs::create_dir(folder).map_err(|error| failed(folder, error))?;
        }
        // Processes start in the run's folder, so paths that they are given must not depend on where we stand.
        Ok(Self { root, each })
    }
}

/// Returns `folder`, or the first of `folder-2`, `folder-3`, … that does not exist.
fn free(folder: &Path) -> PathBuf {
    let numbered = (2..1000).map(|n| PathBuf::from(format!("{}-{n}", folder.display())));
    std::iter::once(folder.to_owned())
        .chain(numbered)
        .find(|candidate| !candidate.exists())
        .unwrap_or_else(|| folder.to_owned())
}
