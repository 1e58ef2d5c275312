//! What Redis does in one step: a script runs alone, and its effects are written to the file together.

use std::sync::LazyLock;

use ::redis::Script;

/// Makes what is missing, and says what the store is like.
pub(super) static OPEN: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/open.lua")));
/// Appends a batch.
pub(super) static APPEND: LazyLock<Script> =
    LazyLock::new(|| Script::new(include_str!("scripts/append.lua")));
/// Deletes a stream.
pub(super) static DELETE: LazyLock<Script> =
    LazyLock::new(|| Script::new(include_str!("scripts/delete.lua")));
/// Reads events of streams.
pub(super) static PICK: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/pick.lua")));
