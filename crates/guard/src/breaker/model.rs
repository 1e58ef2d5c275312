//! The state machine against a model of it, over random steps.

use std::collections::VecDeque;
use std::time::Duration;

use proptest::prelude::*;
use tokio::time::Instant;

use super::state::{Machine, Outcome};
use super::{BreakerPolicy, Phase};

const SECOND: Duration = Duration::from_secs(1);

#[derive(Debug, Clone)]
enum Step {
    Admit,
    End(prop::sample::Index, bool),
    Drop(prop::sample::Index),
    Advance(u64),
    Open,
    Close,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => Just(Step::Admit),
        6 => (any::<prop::sample::Index>(), any::<bool>()).prop_map(|(which, ok)| Step::End(which, ok)),
        2 => any::<prop::sample::Index>().prop_map(Step::Drop),
        2 => (0..700_u64).prop_map(Step::Advance),
        1 => Just(Step::Open),
        1 => Just(Step::Close),
    ]
}

/// What a breaker should do, written for reading: whole lists instead of counts, phases by name.
#[derive(Debug)]
enum Model {
    Closed { outcomes: VecDeque<bool> },
    Open { until: Option<Instant> },
    HalfOpen { until: Instant, probes: Vec<Option<bool>> },
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn does_what_the_model_does(
        steps in prop::collection::vec(step(), 0..200),
        window in 1..12_u32,
        calls_min in 1..12_u32,
        failure_ratio in 0.0..1.0_f64,
        consecutive_failures in prop::option::of(1..6_u32),
        probes in 1..4_u32,
    ) {
        let policy = BreakerPolicy {
            window,
            calls_min: calls_min.min(window),
            failure_ratio,
            consecutive_failures,
            open_for: SECOND,
            probes,
            probing_for: 2 * SECOND,
        };
        let mut machine = Machine::new(policy);
        let mut model = Model::Closed { outcomes: VecDeque::new() };
        // The epoch of the model, and what a call needs to find its place: its epoch, and which probe it is.
        let mut epoch = 0;
        let mut calls: Vec<(u64, u64, usize)> = Vec::new();
        let mut now = Instant::now();
        for step in steps {
            match step {
                Step::Admit => {
                    let (admitted, _) = machine.admit(|| now);
                    if let Model::Open { until: Some(until) } = model && now >= until {
                        model = Model::HalfOpen { until: now + 2 * SECOND, probes: Vec::new() };
                        epoch += 1;
                    }
                    let probe = match &mut model {
                        Model::Closed { .. } => Some(0),
                        Model::Open { .. } => None,
                        Model::HalfOpen { until, probes } => {
                            let taken = probes.iter().filter(|probe| **probe != Some(false)).count();
                            if taken < policy.probes as usize {
                                probes.push(None);
                                Some(probes.len() - 1)
                            } else {
                                if now >= *until {
                                    model = Model::Open { until: Some(now + SECOND) };
                                    epoch += 1;
                                }
                                None
                            }
                        }
                    };
                    prop_assert_eq!(admitted.is_ok(), probe.is_some(), "{:?}", model);
                    match (admitted, probe) {
                        (Ok(generation), Some(probe)) => calls.push((generation, epoch, probe)),
                        (Err(retry_after), _) => prop_assert!(retry_after <= SECOND),
                        (Ok(_), None) => {}
                    }
                }
                Step::End(which, _) | Step::Drop(which) if !calls.is_empty() => {
                    let outcome = match step {
                        Step::End(_, true) => Outcome::Succeeded,
                        Step::End(_, false) => Outcome::Failed,
                        _ => Outcome::Abandoned,
                    };
                    let (generation, of, probe) = calls.swap_remove(which.index(calls.len()));
                    machine.record(generation, outcome, || now);
                    if of != epoch {
                        // Too late to count.
                    } else {
                        let mut next = None;
                        match (&mut model, outcome) {
                            (Model::Closed { outcomes }, Outcome::Succeeded | Outcome::Failed) => {
                                outcomes.push_back(outcome == Outcome::Succeeded);
                                let last = outcomes.iter().rev().take(window as usize);
                                let (calls, failures) =
                                    last.fold((0, 0), |(calls, failures), ok| (calls + 1, failures + u32::from(!ok)));
                                let in_a_row = outcomes.iter().rev().take_while(|ok| !**ok).count() as u32;
                                let trips = (calls >= policy.calls_min
                                    && f64::from(failures) >= failure_ratio * f64::from(calls))
                                    || consecutive_failures.is_some_and(|most| in_a_row >= most);
                                if outcome == Outcome::Failed && trips {
                                    next = Some(Model::Open { until: Some(now + SECOND) });
                                }
                            }
                            (Model::HalfOpen { probes, .. }, Outcome::Succeeded) => {
                                probes[probe] = Some(true);
                                if probes.iter().filter(|probe| **probe == Some(true)).count() as u32 == policy.probes {
                                    next = Some(Model::Closed { outcomes: VecDeque::new() });
                                }
                            }
                            (Model::HalfOpen { .. }, Outcome::Failed) => {
                                next = Some(Model::Open { until: Some(now + SECOND) });
                            }
                            (Model::HalfOpen { probes, .. }, Outcome::Abandoned) => probes[probe] = Some(false),
                            _ => {}
                        }
                        if let Some(next) = next {
                            model = next;
                            epoch += 1;
                        }
                    }
                }
                Step::End(..) | Step::Drop(_) => {}
                Step::Advance(ms) => now += Duration::from_millis(ms),
                Step::Open => {
                    machine.hold_open();
                    model = Model::Open { until: None };
                    epoch += 1;
                }
                Step::Close => {
                    machine.close();
                    model = Model::Closed { outcomes: VecDeque::new() };
                    epoch += 1;
                }
            }
            let expected = match model {
                Model::Closed { .. } => Phase::Closed,
                Model::Open { .. } => Phase::Open,
                Model::HalfOpen { .. } => Phase::HalfOpen,
            };
            prop_assert_eq!(machine.phase(), expected, "{:?}", model);
        }

        // Whatever happened, and with all calls still hanging: once the callee is well, it closes.
        if matches!(model, Model::Open { until: None }) {
            return Ok(());
        }
        for _ in 0..2 + 2 * policy.probes {
            now += 2 * SECOND;
            if let (Ok(generation), _) = machine.admit(|| now) {
                machine.record(generation, Outcome::Succeeded, || now);
            }
        }
        prop_assert_eq!(machine.phase(), Phase::Closed);
    }
}
