use super::record::Record;
use crate::store::Position;
use crate::testing::store::tools::{Checked, check as holds};

/// Checks the order over all streams: an append that began when another had ended stands behind it, and every read of
/// everything got what stood first in the end.
pub(super) fn check(record: &Record) -> Checked {
    let mut appends = record.appends.clone();
    appends.sort_by_key(|append| append.begin);
    let mut ended = record.appends.clone();
    ended.sort_by_key(|append| append.end);
    let (mut ended, mut highest) = (ended.into_iter().peekable(), Position::START);
    for append in appends {
        while let Some(before) = ended.next_if(|before| before.end < append.begin) {
            highest = highest.max(before.position);
        }
        holds(append.position > highest, || {
            format!(
                "an append stands at {}, though one at {highest} had ended before it began",
                append.position
            )
        })?;
    }
    for read in &record.reads_of_all {
        holds(record.all.starts_with(read), || {
            let same = read.iter().zip(&record.all).take_while(|(read, all)| read == all).count();
            format!("a read of everything differs from what stands there in the end, from event {same} on")
        })?;
    }
    Ok(())
}
