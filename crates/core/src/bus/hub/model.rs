//! The model of queue and close for `loom`.
