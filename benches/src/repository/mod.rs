//! Commands on aggregates that are in the cache, kept in a file log, and how much memory an aggregate takes.
//!
//! 64 tasks on two threads carry out one command after the other, each of which causes one event, written as JSON. A
//! command waits until its event is `Written`. Where the row says keys, each command has an idempotency key of its own,
//! the text of a UUID, and each aggregate remembers 256 of them, which is the default. Names are texts of UUIDs too.
//!
//! The peer of two rows is the log alone: the same 64 tasks append one event of the same size each, and nobody decides
//! anything.

mod account;
mod alone;
mod commands;
mod memory;
mod nothing;

use std::time::Duration;

pub(crate) use memory::measure_if_asked;

use self::commands::{Case, Choice};
use crate::{Options, Row, servers};

/// How many tasks carry out commands.
const TASKS: usize = 64;

/// Runs all comparisons of the repository.
pub(crate) fn run(options: &Options) -> anyhow::Result<Vec<Row>> {
    let budget = if options.quick { Duration::from_millis(1500) } else { Duration::from_secs(6) };
    let part = if options.quick { 10 } else { 1 };
    let folder = servers::folder("bench-repository-")?;
    let mut rows = Vec::new();
    for case in [
        Case { aggregates: TASKS, choice: Choice::Own, keys: false },
        Case { aggregates: TASKS, choice: Choice::Own, keys: true },
        Case { aggregates: 100_000 / part, choice: Choice::Random, keys: true },
        Case { aggregates: 16, choice: Choice::Random, keys: true },
        Case { aggregates: 1, choice: Choice::Random, keys: true },
    ] {
        rows.extend(case.run(folder.path(), budget)?);
    }
    rows.extend(memory::run(part)?);
    Ok(rows)
}
