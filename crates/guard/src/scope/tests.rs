use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use proptest::prelude::*;
use steadfast_base::{Deadline, Seed};
use tokio::time::{Instant, advance, sleep};

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn scope() -> Scope {
    Scope::new("test", ScopePolicy::default())
}

fn soon() -> Deadline {
    Deadline::within(60 * SECOND)
}

/// Lets everything run that can without time going by.
async fn settle() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_task_has_a_result_and_leaves() {
    let scope = scope();
    let task = scope.spawn("answer", soon(), async { 42 }).expect("there is room");
    assert_eq!(scope.tasks()[0].name, "answer");
    assert_eq!(task.await, Ok(42));
    assert!(scope.tasks().is_empty(), "it is gone when its result is there");
    let seen = scope.snapshot();
    assert_eq!((seen.spawned, seen.finished, seen.alive), (1, 1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_task_is_dropped_at_its_deadline_and_not_before() {
    let scope = scope();
    let held = Arc::new(());
    let hold = Arc::clone(&held);
    let forever = async move {
        let _hold = hold;
        std::future::pending::<()>().await;
    };
    let task = scope.spawn("forever", Deadline::within(SECOND), forever).expect("there is room");
    sleep(SECOND - Duration::from_millis(2)).await;
    assert_eq!((scope.tasks().len(), Arc::strong_count(&held)), (1, 2));
    assert_eq!(task.await, Err(TaskError::DeadlineExceeded));
    assert_eq!(Arc::strong_count(&held), 1);
    assert_eq!(scope.snapshot().expired, 1);
}

#[tokio::test(start_paused = true)]
async fn a_result_at_the_deadline_is_a_result() {
    let scope = scope();
    let task =
        scope.spawn("late", Deadline::within(SECOND), async { sleep(SECOND).await }).expect("there is room");
    assert_eq!(task.await, Ok(()));
}

#[tokio::test]
async fn a_task_that_never_lacks_work_has_a_deadline_too() {
    let scope = scope();
    let busy = async {
        loop {
            tokio::task::consume_budget().await;
        }
    };
    let task: Task<()> = scope.spawn("busy", Deadline::within(SECOND / 50), busy).expect("there is room");
    let ended = tokio::time::timeout(10 * SECOND, task).await.expect("it ends");
    assert_eq!(ended, Err(TaskError::DeadlineExceeded));
}

#[tokio::test(start_paused = true)]
async fn one_task_is_cancelled_by_its_handle() {
    let scope = scope();
    let task = scope.spawn_until_closed("loop", std::future::pending::<()>()).expect("there is room");
    let other = scope.spawn_until_closed("other", std::future::pending::<()>()).expect("there is room");
    task.cancel();
    assert_eq!(task.await, Err(TaskError::Cancelled));
    assert_eq!((scope.tasks().len(), scope.snapshot().cancelled, other.is_finished()), (1, 1, false));
}

#[tokio::test(start_paused = true)]
async fn a_panic_is_counted_though_nobody_awaits_its_task() {
    let scope = scope();
    let task: Task<()> =
        scope.spawn("fails", soon(), async { panic!("in the test") }).expect("there is room");
    drop(task);
    settle().await;
    let seen = scope.snapshot();
    assert_eq!((seen.panicked, seen.alive, seen.panics["fails"]), (1, 0, 1));

    let task: Task<()> =
        scope.spawn("fails", soon(), async { panic!("in the test") }).expect("there is room");
    assert_eq!(task.await, Err(TaskError::Panicked { message: "in the test".into() }));
    assert_eq!(scope.snapshot().panics["fails"], 2);
}

#[tokio::test(start_paused = true)]
async fn a_panic_while_a_cancelled_task_is_dropped_is_counted() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("in the drop");
        }
    }
    let scope = scope();
    let bomb = async {
        let _bomb = Bomb;
        std::future::pending::<()>().await;
    };
    let task = scope.spawn_until_closed("bomb", bomb).expect("there is room");
    settle().await;
    task.cancel();
    settle().await;
    let seen = scope.snapshot();
    assert_eq!((seen.panicked, seen.cancelled, seen.alive), (1, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_full_scope_refuses_and_takes_again() {
    let scope = Scope::new("test", ScopePolicy { tasks_max: 1, ..ScopePolicy::default() });
    let first = scope.spawn("first", soon(), sleep(SECOND)).expect("there is room");
    let refused = scope.spawn("second", soon(), async {}).map(|_| ());
    assert_eq!(refused, Err(Refused::Full { tasks_max: 1 }));
    first.await.expect("it ends");
    scope.spawn("third", soon(), async {}).expect("there is room").await.expect("it ends");
    assert_eq!(scope.snapshot().refused, 1);
}

#[tokio::test(start_paused = true)]
async fn closing_waits_for_those_that_end() {
    let scope = scope();
    let token = scope.token();
    let finished = Arc::new(AtomicBool::new(false));
    let tell = Arc::clone(&finished);
    let service = async move {
        token.cancelled().await;
        sleep(3 * SECOND).await;
        tell.store(true, Ordering::Relaxed);
    };
    drop(scope.spawn_until_closed("service", service).expect("there is room"));
    let start = Instant::now();
    let closed = scope.close(10 * SECOND).await;
    assert!(closed.is_clean() && finished.load(Ordering::Relaxed), "{closed}");
    assert_eq!(start.elapsed().as_secs(), 3);
    assert_eq!(scope.spawn("late", soon(), async {}).map(|_| ()), Err(Refused::Closed));
    assert!(scope.close(SECOND).await.is_clean(), "it can be closed again");
}

#[tokio::test(start_paused = true)]
async fn closing_aborts_and_names_those_that_do_not_end() {
    let scope = scope();
    drop(scope.spawn_until_closed("deaf", std::future::pending::<()>()).expect("there is room"));
    let line = line!() - 1;
    let start = Instant::now();
    let closed = scope.close(2 * SECOND).await;
    assert_eq!(start.elapsed().as_secs(), 2);
    assert_eq!((closed.aborted.len(), closed.stuck.len()), (1, 0), "{closed}");
    let aborted = closed.aborted[0];
    assert_eq!((aborted.name, aborted.spawned_at.line()), ("deaf", line));
    assert!(aborted.spawned_at.file().ends_with("scope/tests.rs"));
    assert_eq!(scope.snapshot().cancelled, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn closing_names_a_task_that_blocks_its_thread() {
    let scope = Scope::new("test", ScopePolicy { abort_within: SECOND / 20, ..ScopePolicy::default() });
    let (release, released) = std::sync::mpsc::channel::<()>();
    let (begun, has_begun) = tokio::sync::oneshot::channel();
    let blocks = async move {
        let _ = begun.send(());
        let _ = released.recv();
    };
    drop(scope.spawn_until_closed("blocks", blocks).expect("there is room"));
    has_begun.await.expect("it begins");
    let closed = scope.close(SECOND / 20).await;
    assert_eq!(closed.stuck.len(), 1, "{closed}");
    let said = closed.to_string();
    assert!(said.contains("1 did not stop: blocks (") && said.contains("scope/tests.rs:"), "{said}");
    release.send(()).expect("it waits");
    assert!(scope.close(10 * SECOND).await.is_clean(), "it has ended by now");
}

#[tokio::test(start_paused = true)]
async fn dropping_the_last_clone_aborts() {
    let scope = scope();
    let held = Arc::new(());
    let hold = Arc::clone(&held);
    let task = scope.spawn_until_closed("held", async move {
        let _hold = hold;
        std::future::pending::<()>().await;
    });
    let clone = scope.clone();
    drop(scope);
    settle().await;
    assert_eq!(Arc::strong_count(&held), 2, "a clone is left");
    drop(clone);
    assert_eq!(task.expect("there was room").await, Err(TaskError::Cancelled));
    assert_eq!(Arc::strong_count(&held), 1);
}

#[tokio::test(start_paused = true)]
async fn the_token_follows_that_of_the_program() {
    let program = tokio_util::sync::CancellationToken::new();
    let scope = Scope::stopped_by(&program, "test", ScopePolicy::default());
    program.cancel();
    assert!(scope.token().is_cancelled());
    assert!(scope.spawn("still", soon(), async {}).is_ok(), "draining may need tasks");
    assert!(scope.close(SECOND).await.is_clean());
}

#[tokio::test(start_paused = true)]
async fn leaks_are_found_at_an_interval() {
    let policy = ScopePolicy {
        inspect_every: SECOND,
        growth_window: 4,
        old_after: 5 * SECOND,
        ..ScopePolicy::default()
    };
    let scope = Scope::new("test", policy);
    drop(
        scope
            .spawn("old", Deadline::within(100 * SECOND), std::future::pending::<()>())
            .expect("there is room"),
    );
    for _ in 0..10 {
        drop(scope.spawn_until_closed("leak", std::future::pending::<()>()).expect("there is room"));
        advance(SECOND).await;
        settle().await;
    }
    let (leaks, seen) = (scope.leaks(), scope.snapshot());
    assert_eq!((leaks.old.len(), leaks.old[0].name, seen.old), (1, "old", 1));
    assert_eq!((leaks.growing.len(), leaks.growing[0].name), (1, "leak"));
    assert!(seen.growing >= 9, "{seen:?}");
    for _ in 0..4 {
        advance(SECOND).await;
        settle().await;
    }
    assert!(scope.leaks().growing.is_empty(), "it has stopped growing");
}

#[test]
fn a_task_outside_a_runtime_leaves_nothing_behind() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let scope = runtime.block_on(async { scope() });
    let spawned = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        scope.spawn_until_closed("nowhere", async {}).map(|_| ())
    }));
    assert!(spawned.is_err());
    assert!(scope.tasks().is_empty());
}

/// What the tasks of a run do, drawn from a seed.
#[derive(Debug, Clone, Copy)]
enum Does {
    Finish,
    Panic,
    Expire,
    Ignore,
    Listen,
}

fn does() -> impl Strategy<Value = Does> {
    prop_oneof![
        Just(Does::Finish),
        Just(Does::Panic),
        Just(Does::Expire),
        Just(Does::Ignore),
        Just(Does::Listen),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever tasks do, each is counted once by how it ended, and closing leaves none.
    #[test]
    fn every_task_is_accounted_for(tasks in proptest::collection::vec(does(), 0..60), seed: u64) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build()?;
        let (seen, ignoring) = runtime.block_on(async {
            let (scope, mut rng) = (scope(), Seed::new(seed).rng());
            for does in tasks.iter().copied() {
                let (after, token) = (Duration::from_millis(rng.below(2000)), scope.token());
                let task = async move {
                    match does {
                        Does::Finish => sleep(after).await,
                        Does::Panic => { sleep(after).await; panic!("in the test") }
                        Does::Expire | Does::Ignore => std::future::pending().await,
                        Does::Listen => token.cancelled().await,
                    }
                };
                let deadline = match does {
                    Does::Expire => Deadline::within(after),
                    _ => Deadline::within(1000 * SECOND),
                };
                drop(scope.spawn("drawn", deadline, task).expect("there is room"));
                sleep(Duration::from_millis(rng.below(50))).await;
            }
            let closed = scope.close(10 * SECOND).await;
            (scope.snapshot(), closed.aborted.len())
        });
        let count = |wanted: fn(&Does) -> bool| tasks.iter().filter(|does| wanted(does)).count() as u64;
        prop_assert_eq!(seen.alive, 0);
        prop_assert_eq!(seen.spawned, tasks.len() as u64);
        prop_assert_eq!(seen.panicked, count(|does| matches!(does, Does::Panic)));
        prop_assert_eq!(seen.expired, count(|does| matches!(does, Does::Expire)));
        prop_assert_eq!(seen.cancelled, count(|does| matches!(does, Does::Ignore)));
        prop_assert_eq!(seen.cancelled, ignoring as u64);
        prop_assert_eq!(seen.finished, count(|does| matches!(does, Does::Finish | Does::Listen)));
    }
}

#[tokio::test(start_paused = true)]
async fn a_smaller_scope_keeps_its_tasks_and_takes_none_until_there_is_room() {
    let scope = scope();
    let task = |name| scope.spawn_until_closed(name, std::future::pending::<()>());
    let mut tasks: Vec<_> = (0..3).map(|_| task("stays").expect("there is room")).collect();
    scope.apply(ScopePolicy { tasks_max: 2, ..scope.policy() }).expect("it can be");
    assert_eq!(scope.snapshot().alive, 3);
    for _ in 0..2 {
        assert_eq!(task("comes").unwrap_err(), Refused::Full { tasks_max: 2 });
        tasks.pop().expect("a task").cancel();
        settle().await;
    }
    let _one = task("comes").expect("there is room");
    assert_eq!(task("comes").unwrap_err(), Refused::Full { tasks_max: 2 });
    scope.apply(ScopePolicy { tasks_max: 3, ..scope.policy() }).expect("it can be");
    let _one = task("comes").expect("there is room");
}

#[tokio::test(start_paused = true)]
async fn leaks_are_looked_for_as_the_new_policy_says() {
    let scope = scope();
    let _task = scope.spawn("old", Deadline::within(3600 * SECOND), std::future::pending::<()>());
    scope.apply(ScopePolicy { inspect_every: 3600 * SECOND, ..scope.policy() }).expect("it can be");
    sleep(1000 * SECOND).await;
    assert_eq!(scope.snapshot().old, 0, "nobody has looked");
    scope.apply(ScopePolicy { inspect_every: SECOND, ..scope.policy() }).expect("it can be");
    sleep(SECOND + SECOND / 10).await;
    assert_eq!(scope.snapshot().old, 1);
    scope.apply(ScopePolicy { old_after: 3000 * SECOND, ..scope.policy() }).expect("it can be");
    sleep(SECOND + SECOND / 10).await;
    assert_eq!(scope.snapshot().old, 0);
}

#[tokio::test(start_paused = true)]
async fn a_policy_that_cannot_be_is_refused_by_name_and_changes_nothing() {
    let scope = scope();
    for (text, problem) in [
        (r#"{"tasksMax": 0}"#, "tasksMax: 0 is too little; write 1 or more"),
        (r#"{"inspectEvery": "0s"}"#, "inspectEvery: 0s is too little; write 1ms or more"),
        (r#"{"growthWindow": 1}"#, "growthWindow: 1 is out of range; write 2 to 64"),
        (r#"{"slowPoll": "0s"}"#, "slowPoll: 0s is too little; write 1ns or more"),
        (r#"{"growthWindow": 65}"#, "growthWindow: 65 is out of range; write 2 to 64"),
    ] {
        let policy = serde_json::from_str(text).expect("it is a policy");
        assert_eq!(scope.apply(policy).unwrap_err().to_string(), problem);
    }
    assert_eq!(scope.policy(), ScopePolicy::default());
    let untimed: ScopePolicy = serde_json::from_str(r#"{"slowPoll": null}"#).expect("it is a policy");
    assert_eq!(untimed, ScopePolicy { slow_poll: None, ..ScopePolicy::default() });
    let text = serde_json::to_string(&ScopePolicy::default()).expect("it is plain");
    assert_eq!(serde_json::from_str::<ScopePolicy>(&text).expect("it is a policy"), ScopePolicy::default());
}

/// Lets time go by within a poll, as one that computes does, and then ends the poll.
async fn block(time: Duration) {
    advance(time).await;
}

#[tokio::test(start_paused = true)]
async fn polls_are_timed_by_name_and_slow_ones_counted() {
    let scope = scope();
    let blocks = async {
        for millis in [10, 9, 25] {
            block(Duration::from_millis(millis)).await;
        }
    };
    let waits = async {
        sleep(SECOND).await;
        tokio::task::yield_now().await;
    };
    let (blocks, waits) = (scope.spawn("blocks", soon(), blocks), scope.spawn_until_closed("waits", waits));
    blocks.expect("there is room").await.expect("it ends");
    waits.expect("there is room").await.expect("it ends");
    let polls = scope.snapshot().polls;
    let (blocks, waits) = (&polls["blocks"], &polls["waits"]);
    assert_eq!((blocks.count, blocks.slow, blocks.total_us, blocks.max_us), (4, 2, 44_000, 25_000));
    assert_eq!((waits.count, waits.slow, waits.max_us), (3, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_poll_that_panics_or_is_the_last_counts_too() {
    let scope = scope();
    let fails = async {
        block(SECOND).await;
        panic!("in the test");
    };
    let _: Result<(), _> = scope.spawn_until_closed("fails", fails).expect("there is room").await;
    let fails = &scope.snapshot().polls["fails"];
    assert_eq!((fails.count, fails.slow), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn what_is_slow_is_said_by_the_policy_also_for_tasks_that_run() {
    let scope = scope();
    let task = scope.spawn_until_closed("blocks", async {
        loop {
            block(SECOND).await;
            sleep(SECOND).await;
        }
    });
    let counted = || scope.snapshot().polls.get("blocks").map_or((0, 0), |polls| (polls.count, polls.slow));
    sleep(10 * SECOND + SECOND / 2).await;
    let (count, slow) = counted();
    assert!(count >= 8 && slow >= 4, "{count} {slow}");
    scope.apply(ScopePolicy { slow_poll: Some(2 * SECOND), ..scope.policy() }).expect("it can be");
    sleep(10 * SECOND).await;
    let (more, slow_now) = counted();
    assert!(more > count && slow_now == slow, "{more} {slow_now}");
    scope.apply(ScopePolicy { slow_poll: None, ..scope.policy() }).expect("it can be");
    sleep(10 * SECOND).await;
    assert_eq!(counted(), (more, slow), "none is timed");
    drop(task);
}
