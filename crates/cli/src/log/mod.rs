//! `steadfast log`: event logs of the file store, from outside.

mod archive;
mod erase;
mod inspect;
mod repair;
mod tail;
mod verify;

use std::io::ErrorKind;
use std::path::Path;

use steadfast_backends::file::{Damage, FileLog, Survey};
use steadfast_core::store::{Error, EventStore};
use steadfast_lab::report::Outcome;

use crate::Failure;
use crate::arguments::{Log, LogCommand};

pub(crate) fn run(arguments: &Log) -> Result<Outcome, Failure> {
    match &arguments.command {
        LogCommand::Verify(arguments) => verify::run(arguments),
        LogCommand::Inspect(arguments) => inspect::run(arguments),
        LogCommand::Tail(arguments) => tail::run(arguments),
        LogCommand::Repair(arguments) => repair::run(arguments),
        LogCommand::Archive(arguments) => archive::run(arguments),
        LogCommand::Erase(arguments) => erase::run(arguments),
    }
}

/// What an error of the log means for whoever called.
fn failure(folder: &Path, error: &Error) -> Failure {
    let folder = folder.display();
    match error {
        Error::Io { source, .. } if source.kind() == ErrorKind::NotFound => {
            Failure::usage(format!("{folder}: no log is in this folder"))
        }
        Error::Io { source, .. } if source.kind() == ErrorKind::NotADirectory => {
            Failure::usage(format!("{folder}: this is a file: name the folder that the log is in"))
        }
        Error::Io { source, .. } if source.kind() == ErrorKind::PermissionDenied => Failure::usage(format!(
            "{folder}: {error}: run it as a user who may read the folder and its files, and write to them if the log is to be changed"
        )),
        Error::Unsupported { .. } => Failure::usage(format!("{folder}: {error}")),
        Error::Locked { .. } => Failure::refused(error),
        Error::Damaged { .. } => Failure::violated(format!(
            "{folder}: {error}; `steadfast log verify` shows all of it, `steadfast log repair` cuts it off"
        )),
        _ => Failure::internal(format!("{folder}: {error}")),
    }
}

/// Opens the log for writing, does something to it, and closes it.
fn with_log<T>(folder: &Path, work: impl AsyncFnOnce(&FileLog) -> Result<T, Error>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().map_err(Failure::internal)?;
    let log = FileLog::open_existing(folder).map_err(|error| failure(folder, &error))?;
    let done = runtime.block_on(async {
        let done = work(&log).await;
        log.close().await?;
        done
    });
    done.map_err(|error| failure(folder, &error))
}

/// Says what was deleted, if anything was.
fn deleted_in_words(found: &Survey) -> Option<String> {
    let (deleted, left) = (found.deleted, found.deleted - found.erased);
    (deleted > 0).then(|| match left {
        0 => format!("{deleted} events were deleted and are erased"),
        _ => format!(
            "{deleted} events were deleted, and {left} of them are still in the files until they are erased"
        ),
    })
}

/// Says which streams a repair has brought back, if there are any.
fn to_delete_again_in_words(found: &Survey) -> Option<String> {
    let streams = &found.to_delete_again;
    (!streams.is_empty()).then(|| {
        format!(
            "a repair that was not finished has brought back what was deleted: {}; `steadfast log repair`, or opening \
             the log for writing, deletes it again",
            streams.join(", ")
        )
    })
}

/// The failure that a file is which cannot be read: it may be whole, and so may be all behind it.
fn cannot_be_read(folder: &Path, damage: &Damage) -> Failure {
    let (folder, damage) = (folder.display(), in_words(damage));
    Failure::violated(format!(
        "{folder}: {damage}; it may be whole, so that nothing is cut: see to it that it can be read, then verify the log"
    ))
}

/// Says where damage is, in a form that can be looked up.
fn in_words(damage: &Damage) -> String {
    let Damage { segment, byte, position, problem, .. } = damage;
    format!("{segment} at byte {byte}: {problem} (from position {position} on)")
}
