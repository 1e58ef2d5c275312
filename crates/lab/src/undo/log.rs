//! The undo log of one run.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use super::record::{self, Begun, Record};
use super::{Error, StateDir, Undo};
use crate::system::{Identity, boot_id};

/// What is not undone yet, by its number: what was done and what undoes it.
pub(crate) type Open = BTreeMap<u64, (String, Undo)>;

/// The undo log that a run writes. Each record is on disk when the call that writes it returns.
///
/// # Examples
/// ```
/// use steadfast_lab::system::Identity;
/// use steadfast_lab::undo::{StateDir, Undo, UndoLog};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// let state = StateDir::at(&folder.path().join("state"))?;
/// let log = UndoLog::create(&state, folder.path(), "run-1")?;
/// let opened = log.open("freeze orders", Undo::Resume { processes: vec![Identity::own()] })?;
/// // Now, not before, the fault is injected; later it is undone, and that is verified.
/// log.close(opened, "run", "it runs")?;
/// assert!(log.end()?.is_empty());
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct UndoLog {
    begun: Begun,
    state: StateDir,
    registration: PathBuf,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    file: File,
    next: u64,
    open: Open,
}

/// The number of an entry that must be undone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Opened(u64);

impl UndoLog {
    /// Creates the file `run.undo` in `folder` for `run`, whose owner is this process, and registers it.
    ///
    /// # Errors
    /// A file cannot be written; an `run.undo` that is there already is never overwritten.
    pub fn create(state: &StateDir, folder: &Path, run: &str) -> Result<Arc<Self>, Error> {
        let log = std::path::absolute(folder.join("run.undo")).map_err(Error::file("finding", folder))?;
        let owner = Identity::own();
        let safe = |c: char| if c.is_ascii_alphanumeric() || "-_".contains(c) { c } else { '_' };
        let name: String = run.chars().map(safe).take(100).collect();
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let marker = format!("{name}-{}-{}-{count}", owner.pid, owner.start_time);
        let begun = Begun { run: run.to_owned(), marker, owner, boot: boot_id(), log: log.clone() };
        let file = OpenOptions::new().append(true).create_new(true).open(&log);
        let file = file.map_err(Error::file("creating", &log))?;
        let this = Self {
            registration: PathBuf::new(),
            begun: begun.clone(),
            state: state.clone(),
            inner: Mutex::new(Inner { file, next: 1, open: Open::new() }),
        };
        this.inner.lock().append(&log, &Record::Begun(begun.clone()))?;
        let synced = File::open(folder).and_then(|folder| folder.sync_all());
        synced.map_err(Error::file("syncing", folder))?;
        let registration = state.register(&begun)?;
        Ok(Arc::new(Self { registration, ..this }))
    }

    /// Returns the run's name.
    pub fn run(&self) -> &str {
        &self.begun.run
    }

    /// Returns the text that marks every process of this run in its environment.
    pub fn marker(&self) -> &str {
        &self.begun.marker
    }

    /// Returns the state folder in which the log is registered.
    pub fn state(&self) -> &StateDir {
        &self.state
    }

    pub(crate) fn registration(&self) -> &Path {
        &self.registration
    }

    pub(crate) fn path(&self) -> &Path {
        &self.begun.log
    }

    /// Writes that `what` is about to be done and what undoes it. To be called *before* doing it.
    ///
    /// # Errors
    /// The record is not on disk; then it must not be done.
    pub fn open(&self, what: &str, undo: Undo) -> Result<Opened, Error> {
        let mut inner = self.inner.lock();
        let id = inner.next;
        let record = Record::Open { id, what: what.to_owned(), undo: undo.clone() };
        inner.append(&self.begun.log, &record)?;
        inner.next += 1;
        inner.open.insert(id, (what.to_owned(), undo));
        Ok(Opened(id))
    }

    /// Writes that it is undone, by whom, and how that was seen. To be called *after* verifying it.
    ///
    /// # Errors
    /// The record is not on disk; then it will be undone again by the next who looks, which does no harm.
    pub fn close(&self, opened: Opened, by: &str, how: &str) -> Result<(), Error> {
        let mut inner = self.inner.lock();
        if inner.open.remove(&opened.0).is_none() {
            return Ok(());
        }
        let record = Record::Undone { id: opened.0, by: by.to_owned(), how: how.to_owned() };
        inner.append(&self.begun.log, &record)
    }

    /// Returns what is not undone yet, in words.
    pub fn still_open(&self) -> Vec<String> {
        self.inner.lock().open.values().map(|(what, undo)| format!("{what}: {undo}")).collect()
    }

    /// Ends the log and removes its registration if all is undone; else returns what is not.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn end(&self) -> Result<Vec<String>, Error> {
        let left = self.still_open();
        if left.is_empty() {
            self.inner.lock().append(&self.begun.log, &Record::Ended { by: "run".to_owned() })?;
            unregister(&self.registration)?;
        }
        Ok(left)
    }
}

impl Inner {
    fn append(&mut self, path: &Path, record: &Record) -> Result<(), Error> {
        append(&mut self.file, path, record)
    }
}

/// The undo log of a run that is dead, held by whoever undoes it.
#[derive(Debug)]
pub(crate) struct DeadLog {
    file: Option<File>,
    path: PathBuf,
    /// What is open, the oldest first.
    pub(crate) open: Open,
    pub(crate) damaged_lines: usize,
}

impl DeadLog {
    /// Reads the log of `begun` and keeps others from undoing it meanwhile. A log that is gone is like an empty one:
    /// the run's processes can still be found by their marker.
    pub(crate) fn hold(begun: &Begun) -> Result<Self, Error> {
        let path = begun.log.clone();
        let mut file = match OpenOptions::new().append(true).open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Self { file: None, path, open: Open::new(), damaged_lines: 0 });
            }
            Err(error) => return Err(Error::file("opening", &path)(error)),
        };
        file.try_lock().map_err(|_| Error::BeingUndone { run: begun.run.clone() })?;
        let (open, damaged_lines) = read_open(&path)?;
        let torn = fs::read(&path).map_err(Error::file("reading", &path))?;
        if torn.last().is_some_and(|byte| *byte != b'\n') {
            // What follows begins on a line of its own.
            file.write_all(b"\n").map_err(Error::file("writing", &path))?;
        }
        Ok(Self { file: Some(file), path, open, damaged_lines })
    }

    pub(crate) fn close(&mut self, id: u64, by: &str, how: &str) -> Result<(), Error> {
        self.open.remove(&id);
        self.append(&Record::Undone { id, by: by.to_owned(), how: how.to_owned() })
    }

    pub(crate) fn end(mut self, by: &str, registration: &Path) -> Result<(), Error> {
        self.append(&Record::Ended { by: by.to_owned() })?;
        unregister(registration)
    }

    fn append(&mut self, record: &Record) -> Result<(), Error> {
        let Some(file) = &mut self.file else { return Ok(()) };
        append(file, &self.path, record)
    }
}

/// Reads what is open in the log at `path`, and how many of its lines are damaged.
pub(crate) fn read_open(path: &Path) -> Result<(Open, usize), Error> {
    let text = match fs::read(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        text => text.map_err(Error::file("reading", path))?,
    };
    let (records, damaged) = record::parse(&text);
    let mut open = Open::new();
    for record in records {
        match record {
            Record::Open { id, what, undo } => drop(open.insert(id, (what, undo))),
            Record::Undone { id, .. } => drop(open.remove(&id)),
            Record::Begun(_) | Record::Ended { .. } => {}
        }
    }
    Ok((open, damaged))
}

fn append(file: &mut File, path: &Path, record: &Record) -> Result<(), Error> {
    // One write, so that two writers could not mix their lines.
    let written = file.write_all(record.to_line().as_bytes()).and_then(|()| file.sync_data());
    written.map_err(Error::file("writing", path))
}

fn unregister(registration: &Path) -> Result<(), Error> {
    match fs::remove_file(registration) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::file("removing", registration)(error))
        }
        _ => Ok(()),
    }
}
