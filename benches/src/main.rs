//! Side-by-side benchmarks against the best peers.

fn main() {}
