//! The guides, whose examples are compiled and run as tests, so that they stay true.

#[doc = include_str!("../../../docs/guide/events.md")]
pub struct Events;

#[doc = include_str!("../../../docs/guide/state.md")]
pub struct State;

#[doc = include_str!("../../../docs/guide/guards.md")]
pub struct Guards;

#[doc = include_str!("../../../docs/guide/guards-stack.md")]
pub struct GuardsStack;

#[doc = include_str!("../../../docs/guide/guards-load.md")]
pub struct GuardsLoad;

#[doc = include_str!("../../../docs/guide/tasks.md")]
pub struct Tasks;

#[doc = include_str!("../../../docs/guide/diagnostics.md")]
pub struct Diagnostics;
