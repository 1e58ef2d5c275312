//! Rows of what was measured.

use super::{ClockReads, Compared};
use crate::Row;

/// What is taken for a figure that noise has made nothing of.
const LEAST: f64 = 0.1;

const UNIT: &str = "ns over the bare service";

/// Makes rows of `medians`, one for each guard and each of its peers, in that order.
pub(super) fn rows(when: &str, clock: f64, compared: &[Compared], medians: &[[f64; 2]]) -> Vec<Row> {
    let mut rows = vec![Row::alone(format!("guards: reading the clock once{when}"), clock, "ns")];
    let mut medians = medians.iter().map(|added| added.map(|added| added.max(LEAST)));
    for guard in compared {
        let name = format!("guards: {}{when}", guard.name);
        let ours = medians.next().unwrap_or([f64::NAN; 2]);
        if guard.peers.is_empty() {
            let reads = guard.clock_reads;
            let name = format!("{name}, {reads} reading{} of the clock", if reads == 1 { "" } else { "s" });
            rows.push(Row::alone(format!("{name}, 1 thread"), ours[0], UNIT));
            rows.push(Row::alone(format!("{name}, 2 threads"), ours[1], UNIT));
            continue;
        }
        if let Some((bound, reads)) = guard.bound {
            rows.push(bounded(&name, clock, guard, ours[0], bound, reads));
        }
        rows.push(row(
            format!("{name}, 2 threads on one"),
            ours[1],
            2.0 * ours[0],
            "twice that of 1 thread",
            1.0,
        ));
        for ((peer_name, _), peer) in guard.peers.iter().zip(&mut medians) {
            for threads in [1, 2] {
                let name = format!("{name}, {threads} thread{}", if threads == 1 { "" } else { "s" });
                rows.push(row(name, ours[threads - 1], peer[threads - 1], peer_name, 1.0));
            }
        }
    }
    rows
}

/// Makes the row of what a guard may take at one thread.
fn bounded(name: &str, clock: f64, guard: &Compared, ours: f64, bound: f64, reads: ClockReads) -> Row {
    let count = guard.clock_reads;
    let (name, ours) = match reads {
        ClockReads::In => (format!("{name}, {count} readings of the clock in it"), ours),
        ClockReads::Apart if count == 0 => (format!("{name}, which does not read the clock"), ours),
        ClockReads::Apart => {
            (format!("{name}, without {count} reading of the clock"), ours - f64::from(count) * clock)
        }
    };
    row(name, ours.max(LEAST), bound, "allowed", 1.0)
}

/// Makes rows of the heap allocations of a call.
pub(super) fn allocations(compared: &[Compared]) -> Vec<Row> {
    let mut rows = Vec::new();
    for guard in compared {
        let ours = guard.ours.allocations();
        for (peer_name, peer) in &guard.peers {
            rows.push(Row {
                name: format!("guards: {}, heap allocations", guard.name),
                ours,
                peer: peer.allocations(),
                peer_name: (*peer_name).to_owned(),
                ratio: f64::NAN,
                ratio_wanted: None,
                unit: "per call, 0 wanted".to_owned(),
            });
        }
    }
    rows
}

fn row(name: String, ours: f64, peer: f64, peer_name: &str, wanted: f64) -> Row {
    Row {
        name,
        ours,
        peer,
        peer_name: peer_name.to_owned(),
        ratio: peer / ours,
        ratio_wanted: Some(wanted),
        unit: UNIT.to_owned(),
    }
}
