use serde::Serialize;
use steadfast_backends::file::Archival;
use steadfast_lab::report::Outcome;

use super::with_log;
use crate::arguments::{Archive, Format};
use crate::{Failure, print};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Archived {
    segments: u64,
    bytes_before: u64,
    bytes_after: u64,
    events_erased: u64,
}

pub(super) fn run(arguments: &Archive) -> Result<Outcome, Failure> {
    let Archival { segments, bytes_before, bytes_after, events_erased, .. } =
        with_log(&arguments.log.folder, async |log| log.archive(arguments.keep).await)?;
    match arguments.log.format {
        Format::Json => {
            print::json(&Archived { segments, bytes_before, bytes_after, events_erased })?;
        }
        Format::Human if segments == 0 => print::result("no finished segment is left to be archived"),
        Format::Human => {
            print::result(&format!(
                "{segments} segments archived: {bytes_before} bytes before, {bytes_after} now"
            ));
            if events_erased > 0 {
                print::result(&format!("{events_erased} events that were deleted are left out"));
            }
        }
    }
    Ok(Outcome::Pass)
}
