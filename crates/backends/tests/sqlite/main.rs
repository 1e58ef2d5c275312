//! Changes of SQLite as events.

mod changes;
mod groups;
mod kill;
mod support;
mod values;
