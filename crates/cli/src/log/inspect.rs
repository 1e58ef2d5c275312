use steadfast_backends::file::survey;
use steadfast_lab::report::Outcome;

use super::{deleted_in_words, failure, in_words, to_delete_again_in_words};
use crate::arguments::{Format, LogFolder};
use crate::{Failure, print};

/// How many streams people are shown, the longest first.
const STREAMS_SHOWN: usize = 10;

pub(super) fn run(arguments: &LogFolder) -> Result<Outcome, Failure> {
    let mut found = survey(&arguments.folder).map_err(|error| failure(&arguments.folder, &error))?;
    if arguments.format == Format::Json {
        print::json(&found)?;
        return Ok(Outcome::Pass);
    }
    let state = match (found.clean, found.damages.is_empty()) {
        (_, false) => "damaged",
        (true, _) => "closed, or nothing was appended since it was opened",
        _ => "open, or not closed",
    };
    print::result(&format!("state     {state}"));
    let first = found.first.map_or_else(|| "none".to_owned(), |first| first.to_string());
    print::result(&format!("events    {} in {} batches", found.events, found.batches));
    if let Some(deleted) = deleted_in_words(&found) {
        print::result(&format!("deleted   {deleted}"));
    }
    print::result(&format!("positions {first} to {}", found.head));
    print::result(&format!("segments  {}", found.segments.len()));
    for segment in &found.segments {
        let first = segment.first.map_or_else(|| "-".to_owned(), |first| first.to_string());
        print::result(&format!(
            "  {}  {:>12} {} {:>12} bytes  {:>10} events from {first}",
            segment.file,
            segment.used,
            if segment.archived { "in" } else { "of" },
            segment.bytes,
            segment.events
        ));
    }
    print::result(&format!("streams   {}", found.streams.len()));
    found.streams.sort_by_key(|stream| std::cmp::Reverse(stream.events));
    for stream in found.streams.iter().take(STREAMS_SHOWN) {
        print::result(&format!(
            "  {:>10} events to revision {}  {}",
            stream.events, stream.revision, stream.name
        ));
    }
    if found.streams.len() > STREAMS_SHOWN {
        print::result("  … `--format json` lists all");
    }
    for damage in &found.damages {
        print::result(&format!("damaged   {}", in_words(damage)));
    }
    if let Some(torn) = &found.torn_tail {
        print::result(&format!("torn tail {} at byte {}", torn.segment, torn.byte));
    }
    if let Some(again) = to_delete_again_in_words(&found) {
        print::result(&again);
    }
    Ok(Outcome::Pass)
}
