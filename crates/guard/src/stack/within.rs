//! Which guards need a deadline around them.

use super::chain::Absent;
use super::places::{Deadline, Hedge, RefuseExpired, Retry, ServerDeadline};

/// A guard that may stand within `D`, the place of the deadline. A retry without a deadline goes on when nobody waits any
/// more, and so does a hedge; without a deadline no call is ever expired.
#[diagnostic::on_unimplemented(
    message = "a stack with this guard needs a deadline",
    label = "no deadline was named",
    note = "name one: `.deadline(DeadlineSettings::default())`, for incoming calls `.deadline(ServerDeadlineLayer::default())`"
)]
pub trait WithinDeadline<D> {}

impl<D> WithinDeadline<D> for Absent {}
impl WithinDeadline<Deadline> for Retry {}
impl WithinDeadline<Deadline> for Hedge {}
impl WithinDeadline<ServerDeadline> for RefuseExpired {}
