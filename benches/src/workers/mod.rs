//! Jobs that need 2 GiB in all under a quota of 256 MiB, beside pools of a fixed size without one.
//!
//! The same jobs, drawn from a seed: 8 to 64 MiB each, all of it touched, then summed several times over. Every run is a
//! process of its own, whose peak of resident memory the kernel counts (`VmHWM`). The peer is the fixed size that is
//! fastest in the same round, whatever memory it takes.

mod child;
mod jobs;

pub(crate) use child::run_if_asked;

use child::{Asked, Found};

use crate::{Options, Row};

const QUOTA_MIB: u32 = 256;
/// What the jobs need in all.
const NEEDED_MIB: u64 = 2048;
const FIXED: [usize; 5] = [1, 2, 3, 4, 8];
const MIB: f64 = 1048576.0;

/// Returns what is resident while the jobs run, in seconds and mebibytes: on eight threads, and under the quota.
pub(crate) fn resident() -> anyhow::Result<[Vec<(f64, f64)>; 2]> {
    Ok([
        child::sample(&Asked::Fixed { threads: 8 })?,
        child::sample(&Asked::Ours { quota_mib: QUOTA_MIB, learns: false })?,
    ])
}

pub(crate) fn run(options: &Options) -> anyhow::Result<Vec<Row>> {
    let rounds = if options.quick { 1 } else { 5 };
    let (mut declared, mut learned) = (Vec::new(), Vec::new());
    let mut peaks = [0.0_f64; 2];
    for round in 1..=rounds {
        let fixed = FIXED.map(|threads| (threads, child::ask(&Asked::Fixed { threads })));
        let mut best: Option<(usize, Found)> = None;
        for (threads, found) in fixed {
            let found = found?;
            eprintln!("workers: round {round}: {threads} threads: {found}");
            if best.as_ref().is_none_or(|(_, best)| found.took < best.took) {
                best = Some((threads, found));
            }
        }
        let Some((threads, best)) = best else { continue };
        for (learns, results) in [(false, &mut declared), (true, &mut learned)] {
            let ours = child::ask(&Asked::Ours { quota_mib: QUOTA_MIB, learns })?;
            eprintln!("workers: round {round}: ours, learned {learns}: {ours}");
            anyhow::ensure!(ours.jobs == best.jobs && ours.sum == best.sum, "jobs were lost");
            peaks[usize::from(learns)] = peaks[usize::from(learns)].max(ours.peak);
            results.push((ours, threads, best));
        }
    }
    let mut rows = Vec::new();
    for (name, mut results) in [("declared", declared), ("learned", learned)] {
        results.sort_by(|(a, _, b), (c, _, d)| (b.took / a.took).total_cmp(&(d.took / c.took)));
        let Some((ours, threads, best)) = results.get(results.len() / 2) else { continue };
        rows.push(Row {
            name: format!("workers: throughput, sizes {name}"),
            ours: ours.jobs as f64 / ours.took,
            peer: best.jobs as f64 / best.took,
            peer_name: format!("best fixed size, {threads}"),
            ratio: best.took / ours.took,
            ratio_wanted: Some(0.8),
            unit: "jobs/s".to_owned(),
        });
    }
    for (name, peak) in ["declared", "learned"].into_iter().zip(peaks) {
        let allowed = f64::from(QUOTA_MIB) * 1.1;
        rows.push(Row {
            name: format!("workers: resident peak, sizes {name}"),
            ours: peak / MIB,
            peer: allowed,
            peer_name: "quota + 10 % allowed".to_owned(),
            ratio: allowed / (peak / MIB),
            ratio_wanted: Some(1.0),
            unit: "MiB".to_owned(),
        });
    }
    Ok(rows)
}
