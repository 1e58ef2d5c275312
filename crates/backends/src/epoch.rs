//! Times as columns of numbers: SQL's own types are too coarse.

use std::time::{Duration, SystemTime};

/// Seconds since 1970, rounded down, and the nanoseconds after that.
pub(crate) fn split(time: SystemTime) -> (i64, u32) {
    let whole = |seconds: u64| i64::try_from(seconds).unwrap_or(i64::MAX);
    match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(since) => (whole(since.as_secs()), since.subsec_nanos()),
        Err(before) => match (before.duration().as_secs(), before.duration().subsec_nanos()) {
            (seconds, 0) => (-whole(seconds), 0),
            (seconds, nanos) => (-whole(seconds) - 1, 1_000_000_000 - nanos),
        },
    }
}

/// Makes a time of what [`split`] returned; none if it is out of range.
pub(crate) fn join(seconds: i64, nanos: u32) -> Option<SystemTime> {
    let whole = Duration::from_secs(seconds.unsigned_abs());
    let start = if seconds < 0 {
        SystemTime::UNIX_EPOCH.checked_sub(whole)
    } else {
        SystemTime::UNIX_EPOCH.checked_add(whole)
    };
    start?.checked_add(Duration::from_nanos(nanos.into()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn times_survive(seconds in -10_000_000_000_i64..10_000_000_000, nanos in 0_u32..1_000_000_000) {
            let time = join(seconds, nanos).expect("in range");
            prop_assert_eq!(split(time), (seconds, nanos));
        }
    }
}
