//! HTTP over real sockets on loopback.

mod bad_input;
mod close;
mod conformance;
mod limits;
mod modes;
mod sink;
mod support;
mod tls;
mod webhooks;

#[path = "../../examples/http.rs"]
mod example;

#[test]
fn the_example_runs_to_its_end() {
    example::main().expect("it succeeds");
}
