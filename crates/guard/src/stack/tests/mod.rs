//! What a stack is, refuses, and does when it changes. Its permits are counted in `tests/stack_changes.rs`.

mod change;
mod form;
mod order;
mod rules;
