//! Random calls, one after another, against a model that anybody can read.

use std::collections::HashMap;
use std::hash::{BuildHasher, BuildHasherDefault, RandomState};

use futures::FutureExt;
use proptest::prelude::*;
use steadfast_base::Seed;

use super::map::Same;
use crate::cell::{Cell, CellMap, Entry};

#[derive(Debug, Clone)]
enum Call {
    Set(u8),
    Replace(u8),
    /// By the version that was current so many changes ago.
    Swap(u64, u8),
    Update(u8),
    Watch,
}

fn calls() -> impl Strategy<Value = Vec<Call>> {
    let call = prop_oneof![
        (0..4_u8).prop_map(Call::Set),
        (0..4_u8).prop_map(Call::Replace),
        (0..3_u64, 0..4_u8).prop_map(|(ago, value)| Call::Swap(ago, value)),
        (0..4_u8).prop_map(Call::Update),
        Just(Call::Watch),
    ];
    prop::collection::vec(call, 1..60)
}

proptest! {
    #[test]
    fn a_cell_does_what_a_value_and_a_count_do(calls in calls()) {
        let cell = Cell::new(0_u8);
        let (mut version, mut value, mut seen) = (1, 0, 0);
        let mut watch = cell.watch();
        for call in calls {
            let before = version;
            match call {
                Call::Set(new) => {
                    prop_assert_eq!(cell.set(new), new != value);
                    version += u64::from(new != value);
                    value = new;
                }
                Call::Replace(new) => {
                    version += 1;
                    value = new;
                    prop_assert_eq!(cell.replace(new), version);
                }
                Call::Swap(ago, new) => match cell.compare_and_swap(version.saturating_sub(ago), new) {
                    Ok(won) => {
                        prop_assert_eq!((ago, won), (0, version + 1));
                        version = won;
                        value = new;
                    }
                    Err(now) => {
                        prop_assert!(ago > 0);
                        prop_assert_eq!((now.version(), *now), (version, value));
                    }
                },
                Call::Update(more) => {
                    version += 1;
                    value = value.wrapping_add(more);
                    prop_assert_eq!(cell.update(|value| value.wrapping_add(more)), version);
                }
                Call::Watch => {
                    let change = watch.changed().now_or_never().map(|change| change.map(|now| *now).ok());
                    prop_assert_eq!(change, (seen < version).then_some(Some(value)));
                    seen = version;
                }
            }
            prop_assert!(version >= before);
            prop_assert_eq!((cell.load().version(), *cell.load()), (version, value));
        }
    }
}

/// Makes random calls on a map and on one of the standard library.
fn follow<S: BuildHasher + Default>(seed: u64, keys: u64, calls: u32) {
    let mut rng = Seed::new(seed).rng();
    let (map, mut model) = (CellMap::<u64, u64, S>::default(), HashMap::<u64, (u64, u64)>::new());
    let pair = |entry: &Entry<u64>| (entry.version(), **entry);
    for call in 0..calls {
        let (key, value) = (rng.below(keys), rng.below(4));
        let known = model.get(&key).copied();
        // Versions are the map's to choose, but for that they grow.
        let mut learn = |version: u64| {
            assert!(known.is_none_or(|(before, _)| version > before), "seed {seed}, call {call}");
            model.insert(key, (version, value));
        };
        match rng.below(7) {
            0 => assert_eq!(map.get(&key).as_ref().map(pair), known, "seed {seed}, call {call}"),
            1 => {
                assert_eq!(map.set(key, value), known.map(|(_, value)| value) != Some(value));
                learn_if_changed(&map, key, known, &mut learn);
            }
            2 => {
                assert_eq!(map.insert(key, value).as_ref().map(pair), known, "seed {seed}, call {call}");
                learn_if_changed(&map, key, known, &mut learn);
            }
            3 => match map.compare_and_swap(key, known.map(|(version, _)| version), value) {
                Ok(version) => learn(version),
                Err(_) => panic!("seed {seed}, call {call}: nothing else has changed it"),
            },
            4 => {
                let wrong = known.map_or(Some(1), |(version, _)| version.checked_sub(1));
                let refused = map.compare_and_swap(key, wrong, value).expect_err("a wrong version");
                assert_eq!(refused.as_ref().map(pair), known, "seed {seed}, call {call}");
            }
            5 => {
                assert_eq!(map.remove(&key).as_ref().map(pair), known, "seed {seed}, call {call}");
                model.remove(&key);
            }
            _ => {
                let changed = map.update(key, |now| {
                    assert_eq!(now.copied(), known.map(|(_, value)| value));
                    Some(value)
                });
                changed.into_iter().for_each(&mut learn);
            }
        }
        assert_eq!(map.len(), model.len(), "seed {seed}, call {call}");
    }
    let snapshot: HashMap<_, _> = map.snapshot().iter().map(|(key, entry)| (*key, pair(entry))).collect();
    assert_eq!(snapshot, model, "seed {seed}");
}

fn learn_if_changed<S: BuildHasher>(
    map: &CellMap<u64, u64, S>,
    key: u64,
    known: Option<(u64, u64)>,
    learn: &mut impl FnMut(u64),
) {
    let version = map.get(&key).map(|entry| entry.version());
    if version != known.map(|(version, _)| version) {
        version.into_iter().for_each(learn);
    }
}

#[test]
fn a_map_does_what_that_of_the_standard_library_does() {
    for seed in 0..40 {
        follow::<RandomState>(seed, 8, 400);
        follow::<BuildHasherDefault<Same>>(seed, 8, 200);
    }
    for seed in 0..3 {
        follow::<RandomState>(seed, 5_000, 20_000);
    }
}
