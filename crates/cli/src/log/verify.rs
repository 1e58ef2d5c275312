use serde::Serialize;
use steadfast_backends::file::{Damage, TornTail, survey};
use steadfast_lab::report::Outcome;

use super::{deleted_in_words, failure, in_words, to_delete_again_in_words};
use crate::arguments::{Format, LogFolder};
use crate::{Failure, print};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Verified<'a> {
    sound: bool,
    events: u64,
    deleted: u64,
    erased: u64,
    head: u64,
    clean: bool,
    damages: &'a [Damage],
    torn_tail: Option<&'a TornTail>,
    to_delete_again: &'a [String],
}

pub(super) fn run(arguments: &LogFolder) -> Result<Outcome, Failure> {
    let found = survey(&arguments.folder).map_err(|error| failure(&arguments.folder, &error))?;
    let sound = found.damages.is_empty() && found.to_delete_again.is_empty();
    match arguments.format {
        Format::Json => print::json(&Verified {
            sound,
            events: found.events,
            deleted: found.deleted,
            erased: found.erased,
            head: found.head,
            clean: found.clean,
            damages: &found.damages,
            torn_tail: found.torn_tail.as_ref(),
            to_delete_again: &found.to_delete_again,
        })?,
        Format::Human => {
            for damage in &found.damages {
                let what = if damage.unreadable { "unreadable" } else { "damaged" };
                print::result(&format!("{what}: {}", in_words(damage)));
            }
            let (events, head, segments) = (found.events, found.head, found.segments.len());
            print::result(&format!(
                "{events} events in {segments} segments can be read, the newest at {head}"
            ));
            if let Some(deleted) = deleted_in_words(&found) {
                print::result(&deleted);
            }
            if let Some(torn) = &found.torn_tail {
                print::result(&format!(
                    "{} at byte {}: a torn tail, or a batch being written; the next opening cuts what nobody \
                     was promised",
                    torn.segment, torn.byte
                ));
            }
            if let Some(again) = to_delete_again_in_words(&found) {
                print::result(&again);
            }
            let of_note = |damage: &Damage| !damage.segment.ends_with(".log");
            print::result(match sound {
                true => "sound",
                false if found.damages.is_empty() => "NOT REPAIRED: finish it by `steadfast log repair`",
                false if found.damages.iter().any(|damage| damage.unreadable) => {
                    "CANNOT BE READ, and may be whole: see to it that the files can be read, then verify again"
                }
                false if found.damages.iter().all(of_note) => "DAMAGED: mend it as said above; no event is",
                false => "DAMAGED: restore it from a copy, or cut it off with `steadfast log repair`",
            });
        }
    }
    Ok(if sound { Outcome::Pass } else { Outcome::Fail })
}
