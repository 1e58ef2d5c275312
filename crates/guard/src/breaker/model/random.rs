//! Random steps under random policies: windows, ratios and times that no exhaustive search could reach.

use std::time::Duration;

use proptest::prelude::*;

use super::super::state::Outcome;
use super::super::{BreakerPolicy, SlowCalls, Window};
use super::{Step, World, run};

const MS: Duration = Duration::from_millis(1);

#[derive(Debug, Clone)]
enum Draw {
    Begin(usize),
    End(prop::sample::Index, Outcome),
    Pass(u32),
    Open,
    Close,
}

fn draw() -> impl Strategy<Value = Draw> {
    let end = |outcome| any::<prop::sample::Index>().prop_map(move |which| Draw::End(which, outcome));
    prop_oneof![
        8 => (0..2_usize).prop_map(Draw::Begin),
        4 => end(Outcome::Succeeded),
        3 => end(Outcome::Failed),
        2 => end(Outcome::Abandoned),
        2 => (0..700_u32).prop_map(Draw::Pass),
        1 => Just(Draw::Open),
        1 => Just(Draw::Close),
    ]
}

fn window() -> impl Strategy<Value = Window> {
    prop_oneof![
        (6..12_u32).prop_map(Window::Calls),
        (1..5_u32).prop_map(|tenths| Window::Time(tenths * 1000 * MS)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn does_what_the_specification_says(
        draws in prop::collection::vec(draw(), 0..200),
        window in window(),
        calls_min in 1..12_u32,
        failure_ratio in 0.0..1.0_f64,
        slow in prop::option::of((100..900_u32, 0.1..1.0_f64)),
        consecutive_failures in prop::option::of(1..6_u32),
        probes in 1..4_u32,
    ) {
        let policy = BreakerPolicy {
            window,
            calls_min,
            failure_ratio,
            slow_calls: slow.map(|(ms, ratio)| SlowCalls { longer_than: ms * MS, ratio }),
            consecutive_failures,
            open_for: 1000 * MS,
            probes,
            probing_for: 2000 * MS,
        };
        let checked: Result<(), String> = run(async {
            let mut world = World::new(policy, false);
            for draw in draws {
                let step = match draw {
                    Draw::Begin(stripe) => Step::Begin(stripe),
                    Draw::End(_, _) if world.calls.is_empty() => continue,
                    Draw::End(which, outcome) => Step::End(which.index(world.calls.len()), outcome),
                    Draw::Pass(ms) => Step::Pass(ms * MS),
                    Draw::Open => Step::Open,
                    Draw::Close => Step::Close,
                };
                world.step(step).await?;
            }
            world.resolves().await
        });
        prop_assert_eq!(checked, Ok(()));
    }
}
