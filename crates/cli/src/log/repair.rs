use std::path::PathBuf;

use serde::Serialize;
use steadfast_backends::file::{Damage, repair, survey};
use steadfast_lab::report::Outcome;

use super::{cannot_be_read, failure, in_words};
use crate::arguments::{Format, Repair};
use crate::{Failure, print};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Cut {
    done: bool,
    damage: Option<Damage>,
    events_cut: u64,
    streams_deleted: u64,
    copy: Option<PathBuf>,
    /// What an earlier repair had brought back, and is deleted again if this one was told to.
    to_delete_again: Vec<String>,
}

/// Without `--yes` it only tells, and a log that needs it is a failure.
pub(super) fn run(arguments: &Repair) -> Result<Outcome, Failure> {
    let folder = &arguments.log.folder;
    let found = survey(folder).map_err(|error| failure(folder, &error))?;
    if let Some(damage) = found.damages.iter().find(|damage| damage.unreadable) {
        return Err(cannot_be_read(folder, damage));
    }
    let cut = if arguments.yes {
        let repaired = repair(folder).map_err(|error| failure(folder, &error))?;
        match repaired {
            Some(done) => Cut {
                done: true,
                damage: Some(done.damage),
                events_cut: done.events_cut,
                streams_deleted: done.streams_deleted,
                copy: Some(done.copy),
                to_delete_again: Vec::new(),
            },
            None => {
                let (done, to_delete_again) = (!found.to_delete_again.is_empty(), found.to_delete_again);
                Cut { done, damage: None, events_cut: 0, streams_deleted: 0, copy: None, to_delete_again }
            }
        }
    } else {
        let damage = found.damages.into_iter().next();
        let events = found.events + found.deleted;
        let events_cut = damage.as_ref().map_or(0, |damage| (events + 1).saturating_sub(damage.position));
        let to_delete_again = found.to_delete_again;
        Cut { done: false, damage, events_cut, streams_deleted: 0, copy: None, to_delete_again }
    };
    match arguments.log.format {
        Format::Json => print::json(&cut)?,
        Format::Human => show(&cut),
    }
    let is_whole = cut.damage.is_none() && cut.to_delete_again.is_empty();
    Ok(if is_whole || cut.done { Outcome::Pass } else { Outcome::Fail })
}

fn show(cut: &Cut) {
    let again = cut.to_delete_again.join(", ");
    let Some(damage) = &cut.damage else {
        print::result("nothing is damaged, nothing is cut");
        match (again.as_str(), cut.done) {
            ("", _) => {}
            (again, true) => {
                print::result(&format!("what an earlier repair had brought back is deleted again: {again}"));
            }
            (again, false) => print::result(&format!(
                "would be deleted again, for an earlier repair that was not finished has brought it back: {again}; add \
                 --yes to do it"
            )),
        }
        return;
    };
    let (position, events) = (damage.position, cut.events_cut);
    print::result(&format!("damaged: {}", in_words(damage)));
    match &cut.copy {
        Some(copy) => {
            print::result(&format!(
                "cut: everything from position {position} on, with {events} events that could still be read; \
                 the segments as they were are in {}",
                copy.display()
            ));
            if cut.streams_deleted > 0 {
                let streams = cut.streams_deleted;
                print::result(&format!("{streams} streams that were deleted behind it are deleted again"));
            }
            print::result(&format!(
                "positions from {position} on are given again: whoever has read beyond must start over"
            ));
            if position == 1 {
                print::result("no event is left in the log");
            }
        }
        None => print::result(&format!(
            "would be cut: everything from position {position} on, with {events} events that can still be read, \
             after a copy of the segments is made; add --yes to do it"
        )),
    }
}
