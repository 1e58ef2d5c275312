//! Waiting, in tests whose clock is paused.

use std::time::Duration;

/// Waits until `is` says so, and fails after an hour, which costs nothing where the clock is paused.
pub(crate) async fn until(what: &str, is: impl Fn() -> bool) {
    let waiting = async {
        while !is() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(3600), waiting).await;
    assert!(waited.is_ok(), "waited for: {what}");
}
