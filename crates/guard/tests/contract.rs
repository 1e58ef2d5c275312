//! All guards keep the contract of tower.

mod deadline {
    use std::time::Duration;

    use steadfast_guard::DeadlineLayer;
    use tower::Layer;

    steadfast_guard::tower_contract! { |inner| DeadlineLayer::default().layer(inner) }

    mod with_much_time {
        use super::*;

        steadfast_guard::tower_contract! {
            |inner| DeadlineLayer::new(Duration::ZERO, Duration::from_secs(60)).layer(inner)
        }
    }
}

mod retry {
    use std::sync::Arc;
    use std::time::Duration;

    use steadfast_base::{Budget, Seed};
    use steadfast_guard::{RetryLayer, RetryPolicy};
    use tower::Layer;

    steadfast_guard::tower_contract! {
        |inner| RetryLayer::new(RetryPolicy::default(), Arc::new(Budget::default()), Seed::new(1)).layer(inner)
    }

    mod with_a_timer {
        use super::*;

        steadfast_guard::tower_contract! {
            |inner| {
                let policy = RetryPolicy { attempt_timeout: Some(Duration::from_secs(60)), ..RetryPolicy::default() };
                RetryLayer::new(policy, Arc::new(Budget::default()), Seed::new(1)).layer(inner)
            }
        }
    }
}

mod breaker {
    use steadfast_guard::{Breaker, BreakerLayer, BreakerPolicy};
    use tower::Layer;

    steadfast_guard::tower_contract! {
        |inner| {
            // The suite ends half of the calls of one rule in failures.
            let policy = BreakerPolicy { failure_ratio: 1.0, ..BreakerPolicy::default() };
            BreakerLayer::new(Breaker::new("test", policy)).layer(inner)
        }
    }
}
