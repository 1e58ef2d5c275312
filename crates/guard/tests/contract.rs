//! All guards keep the contract of tower.

mod deadline {
    use std::time::Duration;

    use steadfast_guard::DeadlineLayer;
    use tower::Layer;

    steadfast_guard::tower_contract! { |inner| DeadlineLayer::new(Duration::ZERO, Duration::from_secs(60)).layer(inner) }
}

mod deadline_measured {
    use std::time::Duration;

    use steadfast_guard::DeadlineLayer;
    use tower::Layer;

    steadfast_guard::tower_contract! { |inner| DeadlineLayer::measured(Duration::from_secs(60)).layer(inner) }
}

mod refuse_expired {
    use steadfast_guard::RefuseExpiredLayer;
    use tower::Layer;

    steadfast_guard::tower_contract! { |inner| RefuseExpiredLayer::default().layer(inner) }
}

mod timeout {
    use std::time::Duration;

    use steadfast_guard::TimeoutLayer;
    use tower::Layer;

    steadfast_guard::tower_contract! { |inner| TimeoutLayer::new(Duration::from_secs(60)).layer(inner) }
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
    use std::time::Duration;

    use steadfast_guard::breaker::{SlowCalls, Window};
    use steadfast_guard::{Breaker, BreakerLayer, BreakerPolicy};
    use tower::Layer;

    steadfast_guard::tower_contract! {
        |inner| {
            // The suite ends half of the calls of one rule in failures.
            let policy = BreakerPolicy { failure_ratio: 1.0, ..BreakerPolicy::default() };
            BreakerLayer::new(Breaker::new("test", policy)).layer(inner)
        }
    }

    mod with_slow_calls {
        use super::*;

        steadfast_guard::tower_contract! {
            |inner| {
                let policy = BreakerPolicy {
                    failure_ratio: 1.0,
                    window: Window::Time(Duration::from_secs(10)),
                    slow_calls: Some(SlowCalls { longer_than: Duration::from_secs(60), ratio: 0.5 }),
                    ..BreakerPolicy::default()
                };
                BreakerLayer::new(Breaker::new("test", policy)).layer(inner)
            }
        }
    }
}

/// All of them at once, outermost first.
mod stack {
    use std::sync::Arc;
    use std::time::Duration;

    use steadfast_base::{Budget, Seed};
    use steadfast_guard::{
        Breaker, BreakerLayer, BreakerPolicy, DeadlineLayer, RefuseExpiredLayer, RetryLayer, RetryPolicy,
        TimeoutLayer,
    };
    use tower::ServiceBuilder;

    steadfast_guard::tower_contract! {
        |inner| {
            let policy = BreakerPolicy { failure_ratio: 1.0, ..BreakerPolicy::default() };
            ServiceBuilder::new()
                .layer(RefuseExpiredLayer::default())
                .layer(DeadlineLayer::default())
                .layer(RetryLayer::new(RetryPolicy::default(), Arc::new(Budget::default()), Seed::new(1)))
                .layer(TimeoutLayer::new(Duration::from_secs(60)))
                .layer(BreakerLayer::new(Breaker::new("test", policy)))
                .service(inner)
        }
    }
}
