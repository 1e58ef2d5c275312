//! `steadfast load`.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;
use steadfast_base::Seed;
use steadfast_lab::report::Outcome;
use steadfast_lab::run::load_plan;
use steadfast_load::{CancellationToken, Plan, Summary, Tally, Targets};

use crate::arguments::{Format, Load};
use crate::{Failure, documents, print, signals};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Seen {
    scheduled: u64,
    dispatched: u64,
    on_schedule: u64,
    lateness_max_ms: f64,
    valid: bool,
    elapsed_ms: u64,
    steps: Vec<Step>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Step {
    name: String,
    succeeded: u64,
    failed: u64,
    p50_ms: Option<f64>,
    p95_ms: Option<f64>,
    p99_ms: Option<f64>,
    max_ms: Option<f64>,
}

pub(crate) fn run(arguments: &Load) -> Result<Outcome, Failure> {
    let seed = arguments.seed.map_or_else(Seed::random, Seed::new);
    let plan = plan(arguments, seed)?;
    let names: Vec<String> = plan.steps.iter().map(|step| step.name.clone()).collect();
    let length = plan.duration();
    let tally = Arc::new(Tally::new(&plan));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(Failure::internal)?;
    let cancel = CancellationToken::new();
    let summary = runtime.block_on(async {
        tokio::spawn(signals::end_on_signals(
            cancel.clone(),
            "ended at once; what was in flight is not counted",
        ));
        let bar = tokio::spawn(progress(length));
        let recorder = Arc::clone(&tally) as Arc<dyn steadfast_load::Recorder>;
        let summary = steadfast_load::run(plan, Targets::new(), recorder, cancel.clone()).await;
        bar.abort();
        summary
    });
    let summary = summary.map_err(Failure::usage)?;
    let result = result(&summary, &tally, names);
    match arguments.format {
        Format::Json => print::json(&result)?,
        Format::Human => show(&result),
    }
    Ok(if cancel.is_cancelled() {
        Outcome::Interrupted
    } else if !summary.is_valid() {
        Outcome::Invalid
    } else {
        Outcome::Pass
    })
}

fn plan(arguments: &Load, seed: Seed) -> Result<Plan, Failure> {
    if arguments.target.contains("://") {
        let mut plan =
            Plan::single(&arguments.target, arguments.rate, arguments.length.0).map_err(Failure::usage)?;
        plan.seed = seed;
        return Ok(plan);
    }
    let documents = documents::read(&[PathBuf::from(&arguments.target)])?;
    let [document] = documents.as_slice() else {
        return Err(Failure::usage(format!(
            "{} holds {} documents; give one",
            arguments.target,
            documents.len()
        )));
    };
    load_plan(&document.experiment.load, seed).map_err(Failure::usage)
}

/// Shows on a terminal how much of the time is over.
async fn progress(length: Duration) {
    let bar = ProgressBar::with_draw_target(Some(length.as_secs()), ProgressDrawTarget::stderr());
    if let Ok(style) = ProgressStyle::with_template("load [{bar:40}] {pos}/{len} s") {
        bar.set_style(style.progress_chars("= "));
    }
    let mut tick = tokio::time::interval(Duration::from_secs(1));
    loop {
        tick.tick().await;
        bar.inc(u64::from(bar.position() < length.as_secs()));
    }
}

fn result(summary: &Summary, tally: &Tally, names: Vec<String>) -> Seen {
    let steps = names.into_iter().enumerate().map(|(index, name)| {
        let step = tally.step(index);
        let any = step.succeeded > 0;
        let at = |percentile: f64| any.then(|| step.percentile(percentile).as_secs_f64() * 1000.0);
        Step {
            name,
            succeeded: step.succeeded,
            failed: step.total - step.succeeded,
            p50_ms: at(50.0),
            p95_ms: at(95.0),
            p99_ms: at(99.0),
            max_ms: any.then(|| step.max().as_secs_f64() * 1000.0),
        }
    });
    Seen {
        scheduled: summary.scheduled,
        dispatched: summary.dispatched,
        on_schedule: summary.on_schedule,
        lateness_max_ms: summary.lateness_max.as_secs_f64() * 1000.0,
        valid: summary.is_valid(),
        elapsed_ms: summary.elapsed.as_millis() as u64,
        steps: steps.collect(),
    }
}

fn show(result: &Seen) {
    let valid = if result.valid { "valid" } else { "INVALID: the generator did not keep its schedule" };
    print::result(&format!(
        "{} arrivals in {:.1} s, {} on schedule, {:.1} ms late at most: {valid}",
        result.scheduled,
        result.elapsed_ms as f64 / 1000.0,
        result.on_schedule,
        result.lateness_max_ms,
    ));
    print::result("latency counts from the intended start");
    let ms = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.2} ms"));
    for step in &result.steps {
        print::result(&format!(
            "  {:<16} {:>9} succeeded {:>9} failed   p50 {:>10}  p95 {:>10}  p99 {:>10}  max {:>10}",
            step.name,
            step.succeeded,
            step.failed,
            ms(step.p50_ms),
            ms(step.p95_ms),
            ms(step.p99_ms),
            ms(step.max_ms),
        ));
    }
}
