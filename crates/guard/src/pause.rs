//! A pause between rounds whose length can be changed while it lasts.

use std::time::Duration;

use steadfast_base::Deadline;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

/// Waits from now for as long as `length` says of the policy. When that changes meanwhile, the new length counts from
/// the same moment; where it would be over already it counts from the change, so that processes that are told together
/// do not begin together. However often it changes, the pause is over once the last length has passed since the last
/// change.
///
/// # Cancel safety
/// Dropping the future drops the pause.
pub(crate) async fn pause<P: Copy>(policy: &watch::Sender<P>, length: impl Fn(&P) -> Duration) {
    let mut changes = policy.subscribe();
    let began = Instant::now();
    let after = |start, policy: &P| Deadline::after(start, length(policy)).instant();
    let mut end = after(began, &changes.borrow_and_update());
    // It ends by the time alone, for who changes the policy is still there.
    while let Ok(Ok(())) = timeout_at(end, changes.changed()).await {
        let (now, policy) = (Instant::now(), *changes.borrow_and_update());
        let by_rights = after(began, &policy);
        end = if by_rights > now { by_rights } else { end.min(after(now, &policy)) };
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokio::time::{sleep, sleep_until};

    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// Returns after how long a pause of `first` ends when it is changed so long after it began.
    async fn ends(first: Duration, changes: &[(Duration, Duration)]) -> Duration {
        let (policy, began) = (watch::Sender::new(first), Instant::now());
        let change = async {
            for (after, length) in changes {
                sleep_until(began + *after).await;
                policy.send_replace(*length);
            }
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = pause(&policy, |length| *length) => {}
            () = change => {}
        }
        began.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn a_new_length_counts_from_the_beginning_or_else_from_the_change() {
        let about = |end: Duration, wanted: Duration| end >= wanted && end <= wanted + 2 * MS;
        for (changes, wanted) in [
            (vec![], 1000 * MS),
            (vec![(300 * MS, 5000 * MS)], 5000 * MS),
            (vec![(300 * MS, 500 * MS)], 500 * MS),
            (vec![(300 * MS, 100 * MS)], 400 * MS),
            (vec![(300 * MS, 800 * MS), (700 * MS, 600 * MS)], 800 * MS),
            (vec![(300 * MS, 5000 * MS), (700 * MS, 100 * MS)], 800 * MS),
            (vec![(300 * MS, Duration::MAX), (900 * MS, 1000 * MS)], 1000 * MS),
            (vec![(300 * MS, Duration::ZERO)], 300 * MS),
        ] {
            let end = ends(1000 * MS, &changes).await;
            assert!(about(end, wanted), "{changes:?}: {end:?} and not {wanted:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_far_away_does_not_overflow() {
        let policy = watch::Sender::new(Duration::MAX);
        let pause = pause(&policy, |length| *length);
        assert!(tokio::time::timeout(1000 * MS, pause).await.is_err());
        sleep(MS).await;
    }

    proptest! {
        /// It never ends before the shortest length, and not later than the last length after the last change.
        #[test]
        fn changes_neither_hasten_nor_starve_it(
            first in 1..2000_u64,
            changes in prop::collection::vec((1..400_u64, 1..2000_u64), 0..20),
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
            let mut at = 0;
            let changes: Vec<(u64, u64)> =
                changes.into_iter().map(|(after, length)| { at += after; (at, length) }).collect();
            let millis: Vec<_> =
                changes.iter().map(|(at, length)| (*at as u32 * MS, *length as u32 * MS)).collect();
            let end = runtime.expect("a runtime").block_on(ends(first as u32 * MS, &millis)).as_millis() as u64;
            let seen = |change: &&(u64, u64)| change.0 + 2 < end;
            let (last, length) = changes.iter().rfind(seen).copied().unwrap_or((0, first));
            prop_assert!(end <= last + length + 4, "{end} ms, though {length} ms since {last} ms");
            let lengths = changes.iter().filter(|change| change.0 <= end).map(|change| change.1);
            let shortest = lengths.chain([first]).min().unwrap_or(first);
            prop_assert!(end >= shortest, "{end} ms, and the shortest is {shortest} ms");
        }
    }
}
