//! Fault vocabulary and the in-process fault injector.
