//! The guards against load keep the contract of tower.

mod rate_limit {
    use std::time::Duration;

    use steadfast_guard::rate_limit::{Key, KeyedRateLimiter, Quota};
    use steadfast_guard::testing::contract::Request;
    use steadfast_guard::{
        HttpRateLimitLayer, RateLimitLayer, RateLimitPolicy, RateLimiter, SharedRateLimitLayer,
    };
    use tower::Layer;

    fn plenty() -> Quota {
        Quota::per_second(1000)
    }

    steadfast_guard::tower_contract! { |inner| RateLimitLayer::new(RateLimiter::new(plenty())).layer(inner) }

    mod shared {
        use super::*;

        steadfast_guard::tower_contract! {
            |inner| {
                let limiter = KeyedRateLimiter::new(plenty(), 10);
                SharedRateLimitLayer::new(limiter, |_: &Request| "all".to_owned()).layer(inner)
            }
        }
    }

    mod that_waits {
        use super::*;

        steadfast_guard::tower_contract! {
            |inner| {
                let policy = RateLimitPolicy { wait_max: Duration::from_secs(60) };
                RateLimitLayer::new(RateLimiter::new(plenty())).with_policy(policy).layer(inner)
            }
        }
    }

    mod by_key {
        use super::*;

        steadfast_guard::tower_contract! {
            |inner| {
                let limiter = KeyedRateLimiter::new(plenty(), 10);
                RateLimitLayer::new(limiter.by(|request: &Request| Key::of(&request.uri().path()))).layer(inner)
            }
        }
    }

    mod of_http {
        use super::*;

        steadfast_guard::tower_contract! {
            |inner| HttpRateLimitLayer::new("test", RateLimiter::new(plenty())).layer(inner)
        }
    }
}

mod bulkhead {
    use steadfast_guard::{Bulkhead, BulkheadLayer, BulkheadPolicy};
    use tower::Layer;

    steadfast_guard::tower_contract! {
        |inner| BulkheadLayer::new(Bulkhead::new("test", BulkheadPolicy::default())).layer(inner)
    }

    mod with_just_enough_room {
        use super::*;

        // A permit that leaks is missed by the 64th call.
        steadfast_guard::tower_contract! {
            |inner| {
                let policy = BulkheadPolicy { concurrency_max: 8, queue_max: 0, ..BulkheadPolicy::default() };
                BulkheadLayer::new(Bulkhead::new("test", policy)).layer(inner)
            }
        }
    }
}

mod shed {
    use steadfast_base::Seed;
    use steadfast_guard::{Shed, ShedLayer, ShedPolicy};
    use tower::Layer;

    steadfast_guard::tower_contract! {
        |inner| {
            let policy = ShedPolicy { limit_initial: 8, limit_min: 8, queue_max: 0, ..ShedPolicy::default() };
            ShedLayer::new(Shed::new("test", policy, Seed::new(1))).layer(inner)
        }
    }
}

mod hedge {
    use std::sync::Arc;
    use std::time::Duration;

    use steadfast_base::Budget;
    use steadfast_guard::{Hedge, HedgeLayer, HedgePolicy};
    use tower::Layer;

    steadfast_guard::tower_contract! {
        |inner| {
            // A hedge is made ready for each call after the first, and its time does not come.
            let policy = HedgePolicy {
                samples_min: 1,
                delay_min: Duration::from_secs(60),
                ..HedgePolicy::default()
            };
            HedgeLayer::new(Hedge::new("test", policy, Arc::new(Budget::default()))).layer(inner)
        }
    }
}

mod fallback {
    use std::future::ready;

    use steadfast_guard::fallback::{LastGood, LastGoodPolicy};
    use steadfast_guard::testing::contract::{Request, Response};
    use steadfast_guard::testing::{Failure, TRANSIENT};
    use steadfast_guard::{Error, FallbackLayer};
    use tower::{Layer, service_fn};

    type Answer = Result<Response, Error<Failure>>;

    mod by_a_value {
        use super::*;

        steadfast_guard::tower_contract! { |inner| FallbackLayer::value(|_: &Answer| None).layer(inner) }
    }

    mod by_the_last_good_answer {
        use super::*;

        steadfast_guard::tower_contract! {
            |inner| {
                let key = |request: &Request| Some(*request.body());
                let layer: FallbackLayer<LastGood<_, _, Response>> =
                    FallbackLayer::last_good(LastGoodPolicy::default(), key);
                layer.layer(inner)
            }
        }
    }

    mod by_a_service {
        use super::*;

        steadfast_guard::tower_contract! {
            |inner| {
                FallbackLayer::degraded(service_fn(|_: Request| ready(Answer::Err(TRANSIENT)))).layer(inner)
            }
        }
    }
}
