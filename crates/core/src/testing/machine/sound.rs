use std::any::type_name;
use std::fmt::Display;

use crate::machine::{Findings, Machine};

/// Checks that every state of a machine can be reached, every transition can happen, and every command is of use.
///
/// # Panics
/// One is not: the test fails and names all of them.
///
/// # Examples
/// ```
/// steadfast_core::testing::assert_sound::<steadfast_core::machine::Lifecycle>();
/// ```
#[track_caller]
pub fn assert_sound<M: Machine>() {
    let Findings { unreachable, dead, unused } = Findings::<M>::look();
    let mut problems = Vec::new();
    let mut find = |what: &str, found: Vec<String>| {
        if !found.is_empty() {
            problems.push(format!("{what}: {}", found.join(", ")));
        }
    };
    find("states that nothing leads to", texts(&unreachable));
    find("transitions that never happen", texts(&dead));
    find("commands that no state allows", texts(&unused));
    assert!(problems.is_empty(), "{} has {}", type_name::<M>(), problems.join("; "));
}

fn texts<T: Display>(items: &[T]) -> Vec<String> {
    items.iter().map(ToString::to_string).collect()
}
