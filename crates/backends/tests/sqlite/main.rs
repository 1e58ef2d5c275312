//! Changes of SQLite as events.

mod changes;
mod conformance;
mod groups;
mod kill;
mod support;
mod values;
