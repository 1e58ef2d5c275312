//! Defects on purpose, each one thing, to show that proof finds them.

mod send_and_forget;
mod write_behind;

use super::guards::Guards;

pub(super) use send_and_forget::send_and_forget;
pub(super) use write_behind::WriteBehind;

/// Which defects are switched on. None should ever be but under proof.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::Args)]
#[command(next_help_heading = "Defects, each of them here only to show that `steadfast prove` finds it")]
pub struct Defects {
    /// Carry out a repeated command again, although its key is known.
    #[arg(long)]
    pub no_idempotency: bool,
    /// Answer from memory and write to the log every 250 ms: what was acknowledged dies with the process.
    #[arg(long)]
    pub acknowledge_before_append: bool,
    /// Call payment and inventory once: each passing failure reaches the caller.
    #[arg(long)]
    pub no_retry: bool,
    /// Let calls take as long as they take, whatever time the caller has, and keep calling what does not answer.
    #[arg(long)]
    pub no_breaker_no_deadline: bool,
    /// Send shipments to the broker once, after they are in the log, and forget those that it does not take.
    #[arg(long)]
    pub no_outbox: bool,
}

impl Defects {
    /// Switches off the guards that are missing.
    pub fn switch_off(self, guards: &mut Guards) {
        for outgoing in [&mut guards.payment, &mut guards.inventory] {
            if self.no_retry {
                outgoing.retry = None;
            }
            if self.no_breaker_no_deadline {
                (outgoing.deadline, outgoing.breaker) = (None, None);
            }
        }
    }
}
