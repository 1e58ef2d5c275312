use std::path::{Path, PathBuf};

use crate::spec::Document;
use crate::system::find_program;

/// What is known of this machine and matters for a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// Bytes that are free where the run leaves its files; none where that cannot be told.
    pub disk_free: Option<u64>,
    /// For each process of the document, in order: its program, or where it was looked for.
    pub programs: Vec<Result<PathBuf, Vec<PathBuf>>>,
    /// The processors that this process may use.
    pub cpus: usize,
    /// The files that this process may have open; none where there is no limit.
    pub files_max: Option<u64>,
    /// Who has the lock of the target, if it is not this run.
    pub busy: Option<String>,
    /// Why the watchdog cannot be started, if it cannot.
    pub watchdog: Option<String>,
}

/// Finds the facts about this machine for a run of `document` that leaves its files in `folder`. Whether another run
/// has the target is not among them: whoever takes the lock fills in `busy`.
pub fn gather(document: &Document, folder: &Path, bin_dirs: &[PathBuf]) -> Facts {
    let dir = std::path::absolute(&document.dir).unwrap_or_else(|_| document.dir.clone());
    let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    let programs = document.experiment.system.processes.iter().map(|process| {
        let program = process.command.first().map(|program| {
            program.resolve(|name| match name {
                "run.dir" => Some(folder.to_string_lossy().into_owned()),
                "document.dir" => Some(dir.to_string_lossy().into_owned()),
                _ => None,
            })
        });
        match program {
            Some(Ok(program)) => find_program(&program, &folder, bin_dirs),
            Some(Err(_)) | None => Err(Vec::new()),
        }
    });
    let files = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    Facts {
        disk_free: disk_free(&folder),
        programs: programs.collect(),
        cpus: std::thread::available_parallelism().map_or(1, Into::into),
        files_max: files.current,
        busy: None,
        watchdog: std::env::current_exe()
            .err()
            .map(|error| format!("this program's file is unknown: {error}")),
    }
}

/// Asks the nearest folder that exists already.
fn disk_free(folder: &Path) -> Option<u64> {
    let existing = folder.ancestors().find(|folder| folder.is_dir())?;
    let about = rustix::fs::statvfs(existing).ok()?;
    about.f_bavail.checked_mul(about.f_frsize)
}
