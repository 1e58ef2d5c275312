//! What every crate of Steadfast shares and nothing more.
