use serde::Serialize;
use steadfast_backends::file::Erasure;
use steadfast_lab::report::Outcome;

use super::with_log;
use crate::arguments::{Format, LogFolder};
use crate::{Failure, print};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Erased {
    events: u64,
    segments: u64,
}

pub(super) fn run(arguments: &LogFolder) -> Result<Outcome, Failure> {
    let Erasure { events, segments, .. } = with_log(&arguments.folder, async |log| log.erase().await)?;
    match arguments.format {
        Format::Json => print::json(&Erased { events, segments })?,
        Format::Human if segments == 0 => print::result("nothing that was deleted is left in the files"),
        Format::Human => {
            print::result(&format!("{events} events that were deleted are erased, in {segments} segments"));
        }
    }
    Ok(Outcome::Pass)
}
