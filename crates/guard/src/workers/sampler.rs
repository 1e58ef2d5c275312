//! The task that samples memory.

use std::sync::Arc;

use tokio::time::sleep;

use super::handle::Shared;
use super::policy::SAMPLE_EVERY_MIN;

/// Samples at an interval, sooner where memory grows, and at once on pressure; admits what has room then.
pub(super) async fn run(shared: Arc<Shared>) {
    let memory = Arc::clone(&shared.memory);
    let mut pressure = memory.pressure();
    loop {
        let is_pressed = tokio::select! {
            biased;
            () = &mut pressure => true,
            // What was just admitted, or a new policy, may call for an earlier one.
            () = shared.hurried.notified() => continue,
            () = sleep(shared.sample_in()) => false,
        };
        shared.sample(is_pressed);
        shared.dispatch();
        if is_pressed {
            pressure = memory.pressure();
            // However often it is told.
            sleep(SAMPLE_EVERY_MIN).await;
        }
    }
}
