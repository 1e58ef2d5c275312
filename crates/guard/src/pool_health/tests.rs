use std::time::Duration;

use proptest::prelude::*;
use steadfast_base::Seed;
use steadfast_base::units::Percentage;
use tokio::time::{Instant, advance, sleep, timeout};

use super::fake::{FAST, Fake, Kind};
use super::health::Machine;
use super::*;

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

fn supervised(fake: &Fake, policy: PoolHealthPolicy) -> PoolHealth<Fake> {
    PoolHealth::new("test", fake.clone(), policy, Seed::new(1))
}

/// A pool, the supervisor of which has the usual policy.
fn usual(kinds: impl IntoIterator<Item = Kind>) -> (Fake, PoolHealth<Fake>) {
    let fake = Fake::new(kinds);
    let health = supervised(&fake, PoolHealthPolicy::default());
    (fake, health)
}

fn takes(time: Duration) -> Kind {
    Kind::Takes(time)
}

#[track_caller]
fn nothing_wrong(fake: &Fake) {
    assert_eq!(fake.state().wrong, [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn what_answers_in_time_stays_and_what_does_not_goes() {
    let (fake, mut health) = usual([takes(199 * MS), takes(201 * MS), FAST, FAST, FAST]);
    let start = Instant::now();
    let round = health.round().await;
    assert_eq!((round.fast, round.slow, round.broken, round.evicted), (3, 1, 0, 1));
    assert_eq!((fake.evicted(), fake.opened()), (vec![1], 0));
    assert!(start.elapsed() <= 202 * MS, "they are checked at the same time: {:?}", start.elapsed());
    assert!(round.slowest >= 199 * MS);
    nothing_wrong(&fake);
}

#[tokio::test(start_paused = true)]
async fn what_has_answered_is_back_though_others_are_still_being_checked() {
    let (fake, mut health) = usual([FAST, Kind::Frozen, takes(100 * MS), FAST, FAST]);
    let watch = async {
        sleep(10 * MS).await;
        assert_eq!(fake.state().idle, [4, 0, 3]);
        sleep(100 * MS).await;
        assert_eq!(fake.state().idle, [4, 0, 3, 2]);
    };
    let (round, ()) = tokio::join!(health.round(), watch);
    assert_eq!((round.fast, round.slow, fake.evicted()), (3, 1, vec![1]));
    nothing_wrong(&fake);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_fails_is_evicted_and_the_pool_is_degraded_until_it_is_clean() {
    let (fake, mut health) = usual([Kind::Broken, FAST, FAST]);
    let probe = health.probe();
    assert_eq!(probe.health(), Health::Healthy);
    health.round().await;
    assert_eq!((probe.health(), fake.evicted()), (Health::Degraded, vec![0]));
    assert_eq!(probe.snapshot().last_error.as_deref(), Some("broken"));
    health.round().await;
    assert_eq!(probe.health(), Health::Degraded);
    health.round().await;
    assert_eq!((probe.health(), probe.snapshot().changes), (Health::Healthy, 2));
}

#[tokio::test(start_paused = true)]
async fn the_last_idle_one_is_taken_only_when_nobody_uses_the_pool() {
    for (idle, used, waiting, checked) in
        [(1, 0, 0, 1), (1, 1, 0, 0), (2, 0, 0, 1), (2, 3, 0, 1), (6, 1, 0, 4), (6, 0, 1, 0), (0, 3, 0, 0)]
    {
        let (fake, mut health) = usual((0..idle + used).map(|_| FAST));
        {
            let mut state = fake.state();
            (0..used).for_each(|_| state.take());
            state.waiting = waiting;
        }
        let round = health.round().await;
        assert_eq!(round.fast, checked, "{idle} idle, {used} used, {waiting} waiting");
        let is_wanted = waiting > 0 || (used > 0 && (1..=4).contains(&idle));
        assert_eq!(round.yielded, is_wanted, "{idle} idle, {used} used, {waiting} waiting");
        nothing_wrong(&fake);
    }
}

#[tokio::test(start_paused = true)]
async fn who_was_faster_gets_the_last_one_unchecked() {
    let (fake, mut health) = usual([FAST, FAST]);
    fake.state().race = Some(|state| state.take());
    let round = health.round().await;
    assert!(round.yielded && round.fast == 0);
    assert_eq!(fake.checked(), [0; 0]);
    assert_eq!(fake.state().idle, [1]);
}

#[tokio::test(start_paused = true)]
async fn a_round_checks_so_many_and_each_has_its_turn() {
    let (fake, mut health) = usual([FAST; 10]);
    for _ in 0..3 {
        assert_eq!(health.round().await.fast, 4);
    }
    assert_eq!(fake.checked(), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1]);
}

#[tokio::test(start_paused = true)]
async fn a_slow_server_does_not_empty_the_pool() {
    let (fake, mut health) = usual([takes(300 * MS); 8]);
    fake.state().server = Some(takes(300 * MS));
    let probe = health.probe();
    for evicted in 1..=3 {
        let round = health.round().await;
        assert_eq!((round.slow, round.evicted, round.kept, round.opened), (4, 1, 3, Some(false)));
        assert_eq!((probe.health(), fake.evicted().len()), (Health::Unhealthy, evicted));
    }
    // The server is well again: so are its connections.
    fake.state().server = Some(FAST);
    (0..8).for_each(|id| fake.set(id, FAST));
    let round = health.round().await;
    assert_eq!((round.fast, round.evicted, probe.health()), (4, 0, Health::Degraded));
    health.round().await;
    assert_eq!((probe.health(), fake.idle()), (Health::Healthy, 5));
    assert_eq!(probe.snapshot().kept, 9);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_well_proves_that_all_its_connections_are_dead() {
    let (fake, mut health) = usual([Kind::Frozen; 8]);
    let round = health.round().await;
    assert_eq!((round.slow, round.evicted, round.opened), (4, 4, Some(true)));
    assert_eq!(health.probe().health(), Health::Degraded);
    health.round().await;
    health.round().await;
    assert_eq!((fake.idle(), fake.opened()), (0, 3));
    nothing_wrong(&fake);
}

#[tokio::test(start_paused = true)]
async fn an_empty_pool_that_was_unhealthy_asks_the_server_itself_once_in_a_round() {
    let (fake, mut health) = usual([Kind::Broken]);
    fake.state().server = None;
    let probe = health.probe();
    for opened in 1..=3 {
        health.round().await;
        assert_eq!((probe.health(), fake.opened()), (Health::Unhealthy, opened));
    }
    assert_eq!((fake.idle(), probe.snapshot().opened_failed), (0, 3));
    fake.state().server = Some(FAST);
    health.round().await;
    assert_eq!(probe.health(), Health::Degraded);
    health.round().await;
    assert_eq!((probe.health(), fake.opened()), (Health::Healthy, 5));
    health.round().await;
    assert_eq!(fake.opened(), 5, "a healthy pool is left alone");
}

#[tokio::test(start_paused = true)]
async fn what_the_pool_itself_throws_away_counts_as_evicted() {
    let (fake, mut health) = usual([Kind::Closed, Kind::Closed, FAST, FAST]);
    let round = health.round().await;
    assert_eq!((round.fast, round.broken, round.evicted, round.opened), (1, 2, 2, None));
    assert_eq!(fake.idle(), 2);
}

#[tokio::test(start_paused = true)]
async fn what_the_pool_itself_throws_away_leaves_callers_one() {
    let (fake, mut health) = usual([FAST, FAST, Kind::Closed, Kind::Closed]);
    let round = health.round().await;
    assert_eq!((round.broken, round.evicted, round.yielded), (2, 2, true));
    assert_eq!(fake.checked().len(), 1, "the other one was left");
    assert_eq!(fake.state().wrong, [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn borrowing_that_hangs_ends() {
    let (_, mut health) = usual([FAST, Kind::Hangs, FAST, FAST]);
    let start = Instant::now();
    let round = health.round().await;
    assert_eq!((round.fast, round.slow, round.evicted), (1, 1, 1));
    assert!(start.elapsed() <= 203 * MS, "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn connecting_that_hangs_ends() {
    let (fake, mut health) = usual([Kind::Frozen, FAST]);
    fake.set(1, Kind::Frozen);
    fake.state().server = Some(Kind::Frozen);
    let start = Instant::now();
    assert_eq!(health.round().await.opened, Some(false));
    assert!(start.elapsed() <= 402 * MS, "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn rounds_come_at_jittered_intervals_by_the_seed() {
    async fn times(seed: u64) -> Vec<Duration> {
        let (fake, start) = (Fake::new([FAST]), Instant::now());
        let health =
            PoolHealth::new("test", fake.clone(), PoolHealthPolicy::default(), Seed::new(seed)).run();
        let watch = async {
            let mut times = Vec::new();
            while times.len() < 20 {
                sleep(MS).await;
                if fake.checked().len() > times.len() {
                    times.push(start.elapsed());
                }
            }
            times
        };
        tokio::select! {
            times = watch => times,
            () = health => panic!("it ended"),
        }
    }
    let first = times(1).await;
    for pair in first.windows(2) {
        let pause = pair[1] - pair[0];
        assert!((3990 * MS..=6010 * MS).contains(&pause), "{pause:?}");
    }
    assert!(first[0] >= 4 * SECOND, "not at once: {first:?}");
    // The runtime's timers tick each millisecond, wherever the test has begun between two of them.
    let is_same = |other: Vec<Duration>| first.iter().zip(other).all(|(a, b)| a.abs_diff(b) <= 2 * MS);
    assert!(is_same(times(1).await));
    assert!(!is_same(times(2).await));
}

#[tokio::test(start_paused = true)]
async fn dropping_it_gives_back_what_is_checked_and_ends_it() {
    let (fake, health) = usual([Kind::Frozen, FAST, FAST]);
    let policy = PoolHealthPolicy { jitter: Percentage::from_ratio(0.0), ..PoolHealthPolicy::default() };
    drop(health);
    let run = supervised(&fake, policy).run();
    assert!(timeout(5 * SECOND + 100 * MS, run).await.is_err());
    assert_eq!((fake.checked().len(), fake.idle()), (2, 3));
    advance(60 * SECOND).await;
    assert_eq!(fake.checked().len(), 2);
    assert_eq!(fake.evicted(), [0; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_pool_that_is_closed_ends_it() {
    let (fake, health) = usual([FAST]);
    fake.state().is_closed = true;
    timeout(7 * SECOND, health.run()).await.expect("it ends");
    assert_eq!(fake.checked(), [0; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_scope_owns_it_and_a_snapshot_shows_it() {
    let scope = crate::Scope::new("test", crate::ScopePolicy::default());
    let (fake, health) = usual([FAST, Kind::Broken, FAST]);
    let probe = health.probe();
    drop(scope.spawn_until_closed("pool health", health.run()).expect("there is room"));
    sleep(7 * SECOND).await;
    let snapshot = serde_json::to_value(probe.snapshot()).expect("it is plain");
    for (field, value) in [("size", 2), ("idle", 2), ("rounds", 1), ("stale", 1), ("evicted", 1), ("fast", 1)]
    {
        assert_eq!(snapshot[field], value, "{field}: {snapshot}");
    }
    assert_eq!(snapshot["health"], "degraded");
    drop(scope.close(Duration::ZERO).await);
    let rounds = fake.checked().len();
    sleep(60 * SECOND).await;
    assert_eq!(fake.checked().len(), rounds);
}

#[test]
fn states_follow_the_policy() {
    let policy = PoolHealthPolicy { unhealthy_after: 2, healthy_after: 2, ..PoolHealthPolicy::default() };
    let clean = Round { fast: 1, ..Round::default() };
    let stale = Round { fast: 1, slow: 1, ..Round::default() };
    let proven = Round { broken: 1, opened: Some(true), ..Round::default() };
    let silent = Round { slow: 1, opened: Some(false), ..Round::default() };
    let nothing = Round::default();
    let (mut machine, mut states) = (Machine::default(), Vec::new());
    for round in [
        clean, stale, clean, nothing, clean, proven, silent, nothing, silent, stale, silent, silent, clean,
        clean,
    ] {
        machine = machine.after(&round, &policy);
        states.push(machine.health());
    }
    use Health::{Degraded as D, Healthy as H, Unhealthy as U};
    assert_eq!(states, [H, D, D, D, H, D, D, D, U, D, D, U, D, H]);
}

#[test]
fn settings_without_bounds_are_cut() {
    let policy = PoolHealthPolicy {
        interval: Duration::ZERO,
        check_within: Duration::ZERO,
        checks_max: 0,
        jitter: Percentage::from_ratio(9.0),
        ..PoolHealthPolicy::default()
    };
    let cut = policy.cut();
    assert_eq!((cut.interval, cut.check_within, cut.checks_max), (10 * MS, MS, 1));
    let mut rng = Seed::new(1).rng();
    assert!((0..1000).all(|_| (MS..=20 * MS).contains(&cut.pause(rng.unit()))));
    let far = PoolHealthPolicy { interval: Duration::MAX, ..policy }.cut();
    assert!(far.pause(rng.unit()) > SECOND);
}

#[test]
fn what_is_written_is_read_back_and_what_cannot_be_is_refused_by_name() {
    let policy = PoolHealthPolicy { interval: 90 * SECOND, evictions_max: 0, ..PoolHealthPolicy::default() };
    let text = serde_json::to_string(&policy).expect("it is plain");
    assert!(text.contains(r#""interval":"1m30s","jitter":"20%""#), "{text}");
    assert_eq!(serde_json::from_str::<PoolHealthPolicy>(&text).expect("it is a policy"), policy);
    let without_unit =
        serde_json::from_str::<PoolHealthPolicy>(r#"{"interval": 5}"#).unwrap_err().to_string();
    assert!(without_unit.contains("a duration with a unit"), "{without_unit}");

    let health = supervised(&Fake::new([FAST]), PoolHealthPolicy::default());
    let handle = health.handle();
    for (text, problem) in [
        (r#"{"interval": "9ms"}"#, "interval: 9ms is too little; write 10ms or more"),
        (r#"{"checkWithin": "0s"}"#, "checkWithin: 0s is too little; write 1ms or more"),
        (r#"{"connectWithin": "1us"}"#, "connectWithin: 1us is too little; write 1ms or more"),
        (r#"{"checksMax": 0}"#, "checksMax: 0 is too little; write 1 or more"),
        (r#"{"unhealthyAfter": 0}"#, "unhealthyAfter: 0 is too little; write 1 or more"),
        (r#"{"healthyAfter": 0}"#, "healthyAfter: 0 is too little; write 1 or more"),
    ] {
        let policy = serde_json::from_str(text).expect("it is a policy");
        assert_eq!(handle.apply(policy).unwrap_err().to_string(), problem);
    }
    assert_eq!(handle.policy(), PoolHealthPolicy::default());
    assert_eq!(handle.apply(policy), Ok(()));
    assert_eq!((handle.policy(), health.probe().snapshot().policy), (policy, policy));
}

/// Runs a supervisor with no jitter beside what is done, which changes its policy.
async fn beside<T>(fake: &Fake, policy: PoolHealthPolicy, done: impl AsyncFnOnce(Handle) -> T) -> T {
    let health = supervised(fake, steady(policy));
    let handle = health.handle();
    tokio::select! {
        done = done(handle) => done,
        () = health.run() => panic!("the pool is open"),
    }
}

fn steady(policy: PoolHealthPolicy) -> PoolHealthPolicy {
    PoolHealthPolicy { jitter: Percentage::ZERO, ..policy }
}

#[tokio::test(start_paused = true)]
async fn the_timer_is_set_anew_by_a_new_interval() {
    let fake = Fake::new([FAST]);
    let every = |interval| steady(PoolHealthPolicy { interval, ..PoolHealthPolicy::default() });
    beside(&fake, every(3600 * SECOND), async |handle| {
        sleep(SECOND).await;
        handle.apply(every(3 * SECOND)).expect("it can be");
        sleep(2 * SECOND - 5 * MS).await;
        assert_eq!(fake.checked().len(), 0, "3 s since it began");
        sleep(10 * MS).await;
        assert_eq!(fake.checked().len(), 1);
        sleep(2 * SECOND).await;
        handle.apply(every(SECOND)).expect("it can be");
        sleep(SECOND - 10 * MS).await;
        assert_eq!(fake.checked().len(), 1, "not at once, though 2 s have passed");
        sleep(20 * MS).await;
        assert_eq!(fake.checked().len(), 2);
        handle.apply(every(3600 * SECOND)).expect("it can be");
        sleep(3599 * SECOND).await;
        assert_eq!(fake.checked().len(), 2);
        sleep(2 * SECOND).await;
        assert_eq!(fake.checked().len(), 3);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_round_ends_as_it_began_and_drops_nobody() {
    let fake = Fake::new([takes(150 * MS), Kind::Frozen, takes(150 * MS), FAST, FAST, FAST]);
    beside(&fake, PoolHealthPolicy::default(), async |handle| {
        sleep(5 * SECOND + 20 * MS).await;
        // Three connections are being checked. Callers come for the rest, and one more waits.
        (0..4).for_each(|_| fake.state().take());
        assert_eq!((fake.idle(), fake.state().waiting), (0, 1));
        let policy = PoolHealthPolicy {
            check_within: 10 * MS,
            checks_max: 1,
            evictions_max: 0,
            ..PoolHealthPolicy::default()
        };
        handle.apply(steady(policy)).expect("it can be");
        sleep(100 * MS).await;
        assert_eq!((fake.evicted(), fake.state().waiting), (vec![], 1), "they still have time");
        sleep(100 * MS).await;
        // Who waited has got one of those that answered; the frozen one is gone.
        assert_eq!((fake.evicted(), fake.idle(), fake.state().waiting), (vec![1], 1, 0));
        assert_eq!(fake.state().used.len(), 4);
        sleep(5 * SECOND + 500 * MS).await;
        assert_eq!(fake.checked().len(), 4, "the last idle one is not taken, by the new policy either");
        [0, 2].into_iter().for_each(|id| fake.set(id, FAST));
        fake.state().all_leave();
        sleep(5 * SECOND).await;
        assert_eq!(fake.checked().len(), 5, "one in a round now");
    })
    .await;
    nothing_wrong(&fake);
}

#[tokio::test(start_paused = true)]
async fn health_goes_by_what_holds_and_keeps_what_was_found() {
    let (fake, mut health) = usual([Kind::Broken; 3]);
    fake.state().server = None;
    let (probe, handle) = (health.probe(), health.handle());
    let policy = PoolHealthPolicy { unhealthy_after: 3, evictions_max: 0, ..PoolHealthPolicy::default() };
    handle.apply(policy).expect("it can be");
    for _ in 0..2 {
        health.round().await;
        assert_eq!(probe.health(), Health::Degraded);
    }
    handle.apply(PoolHealthPolicy { unhealthy_after: 2, ..policy }).expect("it can be");
    assert_eq!((probe.health(), probe.snapshot().rounds), (Health::Degraded, 2));
    health.round().await;
    assert_eq!((probe.health(), fake.idle()), (Health::Unhealthy, 3));
}

#[test]
fn waits_are_told_by_their_tail() {
    let waits = Waits::default();
    assert_eq!(waits.times(), WaitTimes::default());
    (0..99).for_each(|_| waits.record(3 * MS));
    assert_eq!(waits.times().p99_us, 3000, "not more than the longest");
    waits.record(SECOND);
    let times = waits.times();
    assert_eq!((times.count, times.max_us, times.p99_us), (100, 1_000_000, 4096));
    assert_eq!(times.total_us, 99 * 3000 + 1_000_000);
    waits.record(Duration::MAX);
    assert!(waits.times().max_us > u64::MAX / 1001);
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Take,
    Give,
    Turn(u32, Kind),
    Server(Option<Kind>),
    Pass(u64),
    /// Interval, most checks and most evictions of a new policy.
    Apply(u64, usize, usize),
}

fn kinds() -> impl Strategy<Value = Kind> {
    prop_oneof![
        4 => Just(FAST),
        1 => Just(takes(150 * MS)),
        1 => Just(takes(400 * MS)),
        1 => Just(Kind::Frozen),
        1 => Just(Kind::Broken),
        1 => Just(Kind::Closed),
    ]
}

fn steps() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => Just(Step::Take),
        3 => Just(Step::Give),
        2 => (0..12_u32, kinds()).prop_map(|(id, kind)| Step::Turn(id, kind)),
        1 => prop::option::of(kinds()).prop_map(Step::Server),
        4 => (1..700_u64).prop_map(Step::Pass),
        1 => (10..1000_u64, 1..5_usize, 0..3_usize).prop_map(|(interval, checks_max, evictions_max)| {
            Step::Apply(interval, checks_max, evictions_max)
        }),
    ]
}

fn is_dead(kind: Kind) -> bool {
    !matches!(kind, Kind::Takes(time) if time < 200 * MS)
}

proptest! {
    /// Whatever callers, connections and the server do, and however the policy is changed meanwhile: no healthy connection
    /// is evicted, no caller misses the last idle one, and once the server is well each dead one is gone within the number
    /// of rounds that the last policy states.
    #[test]
    fn callers_lose_nothing_and_find_nothing_dead(
        start in prop::collection::vec(kinds(), 1..10),
        steps in prop::collection::vec(steps(), 1..60),
        checks_max in 1..5_usize,
        evictions_max in 0..3_usize,
        seed: u64,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        runtime.expect("a runtime").block_on(async {
            let fake = Fake::new(start);
            let policy = PoolHealthPolicy {
                interval: 100 * MS, checks_max, evictions_max, ..PoolHealthPolicy::default()
            };
            let supervisor = |policy, seed| PoolHealth::new("test", fake.clone(), policy, Seed::new(seed));
            let health = supervisor(policy, seed);
            let handle = health.handle();
            let script = async {
                for step in &steps {
                    match *step {
                        Step::Take => fake.state().take(),
                        Step::Give => fake.state().give(),
                        Step::Turn(id, kind) => fake.set(id, kind),
                        Step::Server(kind) => fake.state().server = kind,
                        Step::Pass(ms) => sleep(Duration::from_millis(ms)).await,
                        Step::Apply(ms, checks_max, evictions_max) => {
                            let interval = Duration::from_millis(ms);
                            let policy = PoolHealthPolicy { interval, checks_max, evictions_max, ..policy };
                            prop_assert_eq!(handle.apply(policy), Ok(()));
                        }
                    }
                }
                Ok(())
            };
            tokio::select! {
                done = script => done?,
                () = health.run() => unreachable!("the pool is open"),
            }
            prop_assert_eq!(&fake.state().wrong, &[""; 0]);

            fake.state().server = Some(FAST);
            fake.state().all_leave();
            let policy = handle.policy();
            let mut supervisor = supervisor(policy, seed);
            for _ in 0..=fake.idle().div_ceil(policy.checks_max) {
                supervisor.round().await;
            }
            prop_assert_eq!(fake.state().idle_of_kind(is_dead), 0);
            prop_assert_eq!(&fake.state().wrong, &[""; 0]);
            Ok::<(), TestCaseError>(())
        })?;
    }
}
