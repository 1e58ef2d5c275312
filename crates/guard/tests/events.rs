//! What a breaker tells by `tracing`. Alone in its process: tests that run beside it would share its call sites.

use std::sync::Arc;

use parking_lot::Mutex;
use steadfast_guard::{Breaker, BreakerPolicy};
use tokio::time::advance;

#[tokio::test(start_paused = true)]
async fn each_transition_is_told_once() {
    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);
    impl std::io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().write(bytes)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt()
        .without_time()
        .with_target(false)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let policy = BreakerPolicy { calls_min: 4, probes: 2, ..BreakerPolicy::default() };
    let breaker = Breaker::new("test", policy);
    let acquire = || breaker.acquire(None).expect("a call is let through");
    (0..4).for_each(|_| acquire().fail());
    assert!(breaker.acquire(None).is_err());
    advance(policy.open_for).await;
    let probes = (acquire(), acquire());
    probes.0.succeed();
    probes.1.succeed();
    breaker.close();
    let text = String::from_utf8(lines.0.lock().clone()).expect("text");
    let told: Vec<&str> = text.lines().map(str::trim).collect();
    assert_eq!(
        told,
        [
            r#"WARN breaker opened breaker="test" from="closed" to="open" cause=4 of 4 calls failed"#,
            r#"INFO breaker lets probes through breaker="test" from="open" to="half-open" cause=the time to stay open has passed"#,
            r#"INFO breaker closed breaker="test" from="half-open" to="closed" cause=all probes succeeded"#,
        ]
    );
}
