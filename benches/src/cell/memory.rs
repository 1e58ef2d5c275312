//! How much memory an entry takes.

use dashmap::DashMap;
use papaya::HashMap;
use steadfast_core::CellMap;

use crate::Row;
use crate::memory::resident;

const ENTRIES: u64 = 1_000_000;

/// Makes one map after the other and keeps all, so that none takes what another has given back.
pub(super) fn run() -> anyhow::Result<Vec<Row>> {
    let entries = || (0..ENTRIES).map(|key| (key, key));
    let (ours, our_bytes) = measure(|| entries().collect::<CellMap<_, _>>())?;
    let (papaya, papaya_bytes) = measure(|| entries().collect::<HashMap<_, _>>())?;
    let (dashmap, dashmap_bytes) = measure(|| entries().collect::<DashMap<_, _>>())?;
    drop((ours, papaya, dashmap));
    let row = |peer_name: &str, peer: f64| Row {
        name: "map, memory, u64 by u64, 1,000,000 entries".to_owned(),
        ours: our_bytes,
        peer,
        peer_name: peer_name.to_owned(),
        ratio: peer / our_bytes,
        ratio_wanted: None,
        unit: "bytes each".to_owned(),
    };
    Ok(vec![row("papaya", papaya_bytes), row("dashmap", dashmap_bytes)])
}

/// How many bytes of memory each entry has added, as the kernel counts them.
fn measure<T>(make: impl FnOnce() -> T) -> anyhow::Result<(T, f64)> {
    let before = resident()?;
    let made = make();
    Ok((made, (resident()? - before) / ENTRIES as f64))
}
