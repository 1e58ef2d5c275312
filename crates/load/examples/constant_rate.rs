//! Gets one address at a constant rate and prints what became of it:
//! `cargo run --release -p steadfast-load --example constant_rate http://127.0.0.1:8080/ 500/s 10s`.

#![allow(clippy::print_stdout, reason = "this is the program's output")]

use std::sync::Arc;

use steadfast_base::units::{Rate, parse_duration};
use steadfast_load::{CancellationToken, Plan, Tally, Targets, run_blocking};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [url, rate, duration] = arguments.as_slice() else {
        return Err("usage: constant_rate URL RATE DURATION".into());
    };
    let plan = Plan::single(url, rate.parse::<Rate>()?, parse_duration(duration)?)?;
    let tally = Arc::new(Tally::new(&plan));
    let summary = run_blocking(plan, Targets::new(), tally.clone(), &CancellationToken::new())?;
    for step in tally.steps() {
        let [p50, p99] = [50.0, 99.0].map(|p| step.percentile(p));
        println!("{}: {:?}, p50 {p50:?}, p99 {p99:?}, max {:?}", step.name, step.results, step.max());
    }
    let (scheduled, on_schedule) = (summary.scheduled, summary.on_schedule);
    println!("{on_schedule} of {scheduled} on schedule, at most {:?} late", summary.lateness_max);
    Ok(())
}
