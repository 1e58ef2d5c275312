//! A rate limit that processes share by Redis, as metrics and diagnostics show it.

mod with_redis {
    use std::time::Duration;

    use axum::Router;
    use axum::body::Body;
    use axum::http::Request;
    use http_body_util::BodyExt;
    use serde_json::Value;
    use steadfast::backends::redis::Config;
    use steadfast::backends::redis::limiter::{RedisLimiter, Settings};
    use steadfast::diagnostics::{Diagnostics, Token};
    use steadfast::guard::rate_limit::{Quota, SharedLimiter};
    use steadfast::telemetry::Metrics;
    use steadfast_servers::{Redis, RedisProgram};
    use tokio::time::timeout;
    use tower::ServiceExt;

    const SECRET: &str = "2f0b6a1c9d4e8f73";
    const HOUR: Duration = Duration::from_secs(3600);

    async fn started() -> Redis {
        let start = || Redis::start_in(RedisProgram::Redis, &std::env::temp_dir(), &[("appendonly", "no")]);
        tokio::task::spawn_blocking(start).await.expect("it does not panic").expect("the server starts")
    }

    async fn shown(router: &Router) -> Value {
        let request = Request::get("/diagnostics/shared-rate-limits")
            .header("authorization", format!("Bearer {SECRET}"))
            .body(Body::empty());
        let Ok(response) = router.clone().oneshot(request.expect("a request")).await;
        let body = response.into_body().collect().await.expect("a body").to_bytes();
        let mut list: Value = serde_json::from_slice(&body).expect("JSON");
        list["shown"][0].take()
    }

    #[track_caller]
    fn has(metrics: &Metrics, lines: &[&str]) {
        let text = metrics.encode();
        for line in lines {
            let line = format!("orders_shared_rate_limit_{line}");
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
    }

    #[tokio::test]
    async fn shows_who_decided_what_leases_took_and_that_redis_is_away() {
        let mut redis = started().await;
        let config = Config { address: redis.address().to_string(), ..Config::default() };
        let settings = Settings {
            prefix: "tenants".to_owned(),
            answer_within: Duration::from_secs(5),
            lease: 10,
            lease_for: HOUR,
            ..Settings::new(Quota::new(20, HOUR), Quota::new(3, HOUR))
        };
        let limiter = RedisLimiter::open(&config, settings).await.expect("it opens");
        let (metrics, diagnostics) =
            (Metrics::new("orders"), Diagnostics::new(Token::new(SECRET).expect("one")));
        metrics.register_redis_limiter(&limiter);
        diagnostics.register_redis_limiter(&limiter);
        let router = diagnostics.router();
        let mut refused = 0;
        for _ in 0..22 {
            refused += usize::from(limiter.acquire("alice", 1).await.expect("it decides").is_err());
        }
        assert_eq!(refused, 2);
        // 10 at a time twice, one of each needed at once; then a refusal that is remembered.
        has(
            &metrics,
            &[
                r#"by_redis{shared_rate_limit="tenants"} 1"#,
                r#"calls_total{shared_rate_limit="tenants",outcome="allowed"} 20"#,
                r#"calls_total{shared_rate_limit="tenants",outcome="refused"} 2"#,
                r#"decisions_total{shared_rate_limit="tenants",by="redis"} 3"#,
                r#"decisions_total{shared_rate_limit="tenants",by="lease"} 19"#,
                r#"decisions_total{shared_rate_limit="tenants",by="local"} 0"#,
                r#"round_trips_total{shared_rate_limit="tenants",outcome="answered"} 3"#,
                r#"leases_total{shared_rate_limit="tenants"} 2"#,
                r#"leased_permits_total{shared_rate_limit="tenants",action="taken"} 18"#,
                r#"leased_permits_total{shared_rate_limit="tenants",action="used"} 18"#,
            ],
        );
        let seen = shown(&router).await;
        assert_eq!((&seen["name"], &seen["mode"]), (&"tenants".into(), &"shared".into()), "{seen}");
        assert_eq!((&seen["allowed"], &seen["roundTrips"]["count"]), (&20.into(), &3.into()), "{seen}");
        assert!(seen["roundTrips"]["totalUs"].as_u64() > Some(0), "{seen}");

        redis.kill();
        // Whichever call finds out, it is decided.
        let away = async {
            while limiter.snapshot().local == 0 {
                let _ = limiter.acquire("bob", 1).await;
            }
        };
        timeout(Duration::from_secs(30), away).await.expect("it is found out");
        let local = limiter.snapshot().local;
        has(
            &metrics,
            &[
                r#"by_redis{shared_rate_limit="tenants"} 0"#,
                &format!(r#"decisions_total{{shared_rate_limit="tenants",by="local"}} {local}"#),
                r#"changes_total{shared_rate_limit="tenants"} 2"#,
            ],
        );
        assert_eq!(shown(&router).await["mode"], "local");

        let before = metrics.encode();
        drop(limiter);
        assert_eq!(metrics.encode(), before, "what it has done is still shown");
    }
}
