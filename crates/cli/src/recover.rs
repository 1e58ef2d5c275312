//! `steadfast recover`.

use serde::Serialize;
use steadfast_lab::report::Outcome;
use steadfast_lab::undo::{StateDir, recover};

use crate::arguments::{Format, Recover};
use crate::{Failure, print};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Left {
    run: String,
    pid: i32,
    live: bool,
    open: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Undone {
    run: String,
    clean: bool,
    results: Vec<String>,
}

pub(crate) fn run(arguments: &Recover) -> Result<Outcome, Failure> {
    let state = StateDir::open().map_err(Failure::usage)?;
    if arguments.list { list(&state, arguments.format) } else { undo_all(&state, arguments.format) }
}

fn list(state: &StateDir, format: Format) -> Result<Outcome, Failure> {
    let runs = recover::list(state).map_err(Failure::internal)?;
    let runs: Vec<Left> =
        runs.into_iter().map(|r| Left { run: r.run, pid: r.pid, live: r.live, open: r.open }).collect();
    if format == Format::Json {
        print::json(&runs)?;
        return Ok(Outcome::Pass);
    }
    if runs.is_empty() {
        print::result("nothing is left: no run has ended before its time");
    }
    for run in &runs {
        let state = if run.live { "in progress" } else { "dead" };
        print::result(&format!("{} ({state}, pid {})", run.run, run.pid));
        run.open.iter().for_each(|open| print::result(&format!("  {open}")));
    }
    Ok(Outcome::Pass)
}

fn undo_all(state: &StateDir, format: Format) -> Result<Outcome, Failure> {
    let recovered = recover::undo_all(state).map_err(Failure::internal)?;
    let clean = recovered.iter().all(recover::Recovered::is_clean);
    let undone: Vec<Undone> = recovered
        .iter()
        .map(|run| Undone {
            run: run.run.clone(),
            clean: run.is_clean(),
            results: match &run.result {
                Ok(settled) => settled.iter().map(|one| in_words(&one.what, &one.result)).collect(),
                Err(error) => vec![error.to_string()],
            },
        })
        .collect();
    match format {
        Format::Json => print::json(&undone)?,
        Format::Human if undone.is_empty() => print::result("nothing is left to undo"),
        Format::Human => {
            for run in &undone {
                let how = if run.clean { "undone" } else { "NOT undone" };
                print::result(&format!("{}: {how}", run.run));
                run.results.iter().for_each(|one| print::result(&format!("  {one}")));
            }
        }
    }
    Ok(if clean { Outcome::Pass } else { Outcome::NotRestored })
}

fn in_words<E: std::fmt::Display>(what: &str, result: &Result<String, E>) -> String {
    match result {
        Ok(how) => format!("{what}: undone ({how})"),
        Err(problem) => format!("{what}: NOT undone: {problem}"),
    }
}
