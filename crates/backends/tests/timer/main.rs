//! Timers in virtual time, and against the suite of all transports.

mod conformance;
mod missed;
mod support;
mod ticks;

#[path = "../../examples/timer.rs"]
mod example;

#[test]
fn the_example_runs_to_its_end() {
    example::main().expect("it succeeds");
}
