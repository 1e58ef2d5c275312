use std::time::{Duration, SystemTime};

use super::Missed;
use super::plan::Plan;

/// What is to be done with the ticks that have come due.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Due {
    /// The due times of ticks to be handed out, in order.
    pub(super) ticks: Vec<SystemTime>,
    /// How many of them were missed.
    pub(super) late: usize,
    /// Whether ticks are left out.
    pub(super) gap: bool,
}

impl Missed {
    /// Decides on the ticks after `after` and up to `newest`, which is one; `late` says which of them were missed.
    ///
    /// It looks from the newest backwards, and no further than it needs to: the time without ticks may be long.
    pub(super) fn decide(
        self,
        plan: &Plan,
        after: SystemTime,
        newest: SystemTime,
        late: impl Fn(SystemTime) -> bool,
    ) -> Due {
        let late_max = match self {
            Self::Skip => 0,
            Self::Once => 1,
            Self::All { max } => max,
        };
        let mut due = Due::default();
        let mut tick = Some(newest);
        while let Some(time) = tick.filter(|time| *time > after) {
            if late(time) {
                if due.late == late_max {
                    due.gap = true;
                    break;
                }
                due.late += 1;
            }
            due.ticks.push(time);
            tick = plan.before(time);
        }
        due.ticks.reverse();
        due
    }
}

/// Returns whether `now` is more than `allowed` after `due`.
pub(super) fn is_late(due: SystemTime, now: SystemTime, allowed: Duration) -> bool {
    now.duration_since(due).is_ok_and(|late| late > allowed)
}
