//! Tests of load shedding: the limit in a simulated callee, and the guard before a service.

mod drift;
mod service;
mod simulation;
mod steps;
