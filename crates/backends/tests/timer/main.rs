//! Timers in virtual time, and against the suite of all transports.

mod conformance;
mod missed;
mod support;
mod ticks;
