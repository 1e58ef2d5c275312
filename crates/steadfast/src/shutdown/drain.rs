//! Work that ends in time once it was asked to.

use std::future::Future;
use std::time::Duration;

use steadfast_base::units::format_duration;
use tokio_util::sync::CancellationToken;

/// Runs `work` to its end; from when `shutdown` is cancelled, it has `within` left. `work` watches the same token.
///
/// # Errors
/// [`DrainTimedOut`] when `work` took longer, and was dropped.
///
/// # Cancel safety
/// As far as `work` is: dropping the future drops it.
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use steadfast::shutdown::drain;
/// use tokio_util::sync::CancellationToken;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let shutdown = CancellationToken::new();
/// let work = shutdown.clone().cancelled_owned();
/// shutdown.cancel();
/// assert!(drain(&shutdown, Duration::from_secs(1), work).await.is_ok());
/// # }
/// ```
pub async fn drain<F: Future>(
    shutdown: &CancellationToken,
    within: Duration,
    work: F,
) -> Result<F::Output, DrainTimedOut> {
    tokio::pin!(work);
    tokio::select! {
        output = &mut work => return Ok(output),
        () = shutdown.cancelled() => {}
    }
    tokio::time::timeout(within, work).await.map_err(|_| DrainTimedOut { within })
}

/// The work did not end in time after the shutdown was asked for, and was dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("work still under way {} after the shutdown was asked for; it was dropped", format_duration(*.within))]
pub struct DrainTimedOut {
    /// The time that it had.
    pub within: Duration,
}

#[cfg(test)]
mod tests {
    use tokio::time::{Instant, sleep};

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn takes_its_time_until_shutdown_is_asked_for() {
        let shutdown = CancellationToken::new();
        assert_eq!(drain(&shutdown, SECOND, sleep(100 * SECOND)).await, Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn has_the_deadline_from_then_on() {
        let shutdown = CancellationToken::new();
        let ask = async {
            sleep(5 * SECOND).await;
            shutdown.cancel();
        };
        let start = Instant::now();
        let (drained, ()) = tokio::join!(drain(&shutdown, SECOND, sleep(100 * SECOND)), ask);
        assert_eq!(drained, Err(DrainTimedOut { within: SECOND }));
        assert_eq!(start.elapsed().as_secs(), 6);
        assert_eq!(drain(&shutdown, SECOND, sleep(SECOND / 2)).await, Ok(()));
    }

    #[test]
    fn says_how_long() {
        let error = DrainTimedOut { within: Duration::from_millis(1500) };
        assert_eq!(
            error.to_string(),
            "work still under way 1.5s after the shutdown was asked for; it was dropped"
        );
    }
}
