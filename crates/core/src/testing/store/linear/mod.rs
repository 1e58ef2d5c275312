//! Linearizability: what concurrent callers of a store see is what they would see if each call took effect at one
//! moment between its begin and its end (Herlihy and Wing, *Linearizability: a correctness condition for concurrent
//! objects*, TOPLAS 1990).
//!
//! [`record`](mod@record) lets clients append and read at the same time and notes when each call began and ended and
//! what it returned. [`check`](mod@check) looks for an order of the calls that explains all answers, a stream at a
//! time, for linearizability is a property of each object by itself. [`order`](mod@order) checks what spans streams.
//!
//! A call whose outcome nobody knows (its future was dropped, or it failed with an error whose outcome is unknown) may
//! take effect at any time after its begin, or never.

mod check;
mod history;
mod order;
mod record;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use steadfast_base::Seed;

use super::StoreFactory;
use super::tools::{Checked, check};
use crate::store::EventStore;
use crate::testing;
use check::Verdict;

/// How many histories a case records.
const HISTORIES: u64 = 4;

/// Several clients append, with conditions and without, read streams and all, ask for revisions, give up appends and
/// repeat them, all at the same time. There is an order of their calls that explains what each of them got, and the
/// order over all streams agrees with it.
///
/// The calls are drawn from a seed, which a finding names; the environment variable `STEADFAST_SEED` repeats it, as far
/// as threads do what they did.
///
/// # Errors
/// What the store got wrong.
pub async fn histories_are_linearizable(factory: &mut dyn StoreFactory) -> Checked {
    let seed = testing::seed();
    let store = factory.open().await;
    for number in 0..HISTORIES {
        one_history(&store, number, seed.derive(&number.to_string()))
            .await
            .map_err(|problem| format!("seed {seed}, history {number}: {problem}"))?;
    }
    Ok(())
}

async fn one_history(store: &Arc<dyn EventStore>, number: u64, seed: Seed) -> Checked {
    let record = record::record(store, number, seed).await?;
    for (stream, history) in &record.streams {
        match check::check(history) {
            Verdict::Explained => {}
            Verdict::Unexplained(what) => {
                return Err(format!("no order of the calls on stream `{stream}` explains this: {what}"));
            }
            Verdict::Undecided => {
                return Err(format!("the calls on stream `{stream}` are too many orders to try"));
            }
        }
    }
    check(!record.streams.is_empty(), || "no call was made".to_owned())?;
    order::check(&record)
}
