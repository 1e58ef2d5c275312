//! Stacks keep the contract of tower, whether their guards are on or off.

use std::time::Duration;

use steadfast_base::Seed;
use steadfast_guard::breaker::BreakerPolicy;
use steadfast_guard::deadline::RefuseExpiredPolicy;
use steadfast_guard::rate_limit::{Key, Quota, RateLimitPolicy};
use steadfast_guard::stack::{
    DeadlineSettings, HedgeSettings, IncomingSettings, KeyedRateLimitSettings, OutgoingSettings,
    RateLimitSettings, RetrySettings, Stack,
};
use steadfast_guard::{BulkheadPolicy, HedgePolicy, ServerDeadlineLayer, ShedPolicy};
use tower::Layer;

const MINUTE: Duration = Duration::from_secs(60);

fn generous() -> OutgoingSettings {
    OutgoingSettings {
        fallback: false,
        deadline: Some(DeadlineSettings::measured(MINUTE)),
        // A hedge is made ready for each call after the first, and its time does not come.
        hedge: Some(HedgeSettings {
            policy: HedgePolicy { samples_min: 1, delay_min: MINUTE, ..HedgePolicy::default() },
            ..HedgeSettings::default()
        }),
        retry: Some(RetrySettings::default()),
        rate_limit: Some(RateLimitSettings {
            quota: Quota::per_second(1000),
            policy: RateLimitPolicy::default(),
        }),
        bulkhead: Some(BulkheadPolicy { concurrency_max: 8, queue_max: 0, ..BulkheadPolicy::default() }),
        shed: Some(ShedPolicy { limit_initial: 8, limit_min: 8, queue_max: 0, ..ShedPolicy::default() }),
        breaker: Some(BreakerPolicy { failure_ratio: 1.0, ..BreakerPolicy::default() }),
        timeout: Some(MINUTE),
    }
}

mod outgoing {
    use super::*;

    steadfast_guard::tower_contract! {
        |inner| {
            let stack = Stack::outgoing("test").seed(Seed::new(1)).configured(&generous());
            stack.expect("it can be").layer(inner)
        }
    }
}

mod outgoing_switched_off {
    use super::*;

    steadfast_guard::tower_contract! {
        |inner| {
            let stack = Stack::outgoing("test").configured(&OutgoingSettings::default());
            stack.expect("it can be").layer(inner)
        }
    }
}

mod outgoing_switched_over {
    use super::*;

    steadfast_guard::tower_contract! {
        |inner| {
            let stack = Stack::outgoing("test").configured(&OutgoingSettings::default()).expect("it can be");
            let service = stack.layer(inner);
            stack.apply(&generous()).expect("it can be");
            service
        }
    }
}

mod outgoing_with_what_is_named {
    use steadfast_guard::RetryPolicy;
    use steadfast_guard::stack::BudgetPolicy;

    use super::*;

    steadfast_guard::tower_contract! {
        |inner| {
            Stack::outgoing("test")
                .timeout(MINUTE)
                .breaker(BreakerPolicy { failure_ratio: 1.0, ..BreakerPolicy::default() })
                .retry(RetryPolicy::default(), BudgetPolicy::default())
                .deadline(DeadlineSettings { default: MINUTE, ..DeadlineSettings::default() })
                .build()
                .expect("it can be")
                .layer(inner)
        }
    }
}

mod incoming {
    use super::*;

    pub(super) fn settings() -> IncomingSettings {
        let OutgoingSettings { rate_limit, bulkhead, shed, .. } = generous();
        IncomingSettings {
            server_timing: false,
            deadline: Some(ServerDeadlineLayer::default()),
            keyed_rate_limit: None,
            fallback: false,
            rate_limit,
            bulkhead,
            shed,
            refuse_expired: Some(RefuseExpiredPolicy::default()),
        }
    }

    steadfast_guard::tower_contract! {
        |inner| Stack::incoming("test").configured(&settings()).expect("it can be").layer(inner)
    }
}

mod incoming_by_key_with_a_fallback {
    use steadfast_guard::testing::Failure;
    use steadfast_guard::testing::contract::{Request, Response};
    use steadfast_guard::{Error, FallbackLayer};

    use super::*;

    type Answer = Result<Response, Error<Failure>>;

    pub(super) fn all(wait_max: Duration) -> IncomingSettings {
        let limit = KeyedRateLimitSettings {
            quota: Quota::per_second(1000),
            policy: RateLimitPolicy { wait_max },
            keys_max: 10,
        };
        IncomingSettings { keyed_rate_limit: Some(limit), fallback: true, ..incoming::settings() }
    }

    macro_rules! stack {
        () => {
            Stack::incoming("test")
                .keyed_rate_limit(|request: &Request| Key::of(request.uri().path()), Default::default())
                .fallback(FallbackLayer::value(|_: &Answer| None))
        };
    }

    steadfast_guard::tower_contract! {
        |inner| stack!().configured(&all(Duration::ZERO)).expect("it can be").layer(inner)
    }

    mod that_waits {
        use super::*;

        steadfast_guard::tower_contract! {
            |inner| stack!().configured(&all(Duration::from_secs(1))).expect("it can be").layer(inner)
        }
    }

    mod switched_over {
        use super::*;

        steadfast_guard::tower_contract! {
            |inner| {
                let stack = stack!().configured(&IncomingSettings::default()).expect("it can be");
                let service = stack.layer(inner);
                stack.apply(&all(Duration::ZERO)).expect("it can be");
                service
            }
        }
    }

    mod that_is_named {
        use super::*;

        steadfast_guard::tower_contract! { |inner| stack!().build().expect("it can be").layer(inner) }
    }
}
