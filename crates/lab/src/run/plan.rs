//! From the document to what the parts of a run are given.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use steadfast_base::Seed;
use steadfast_load as load;

use crate::spec;
use crate::system::{Address, ProcessConfig, Readiness, Signal, StopPolicy};
use crate::undo::StateDir;

/// Why a document that was valid cannot be carried out: a variable has no value, or a part refuses its share.
#[derive(Debug, thiserror::Error)]
#[error("{part}: {problem}")]
pub struct Unplannable {
    /// Which part of the document.
    pub part: String,
    /// What is wrong with it.
    pub problem: String,
}

fn unplannable(part: &str, problem: &(impl ToString + ?Sized)) -> Unplannable {
    Unplannable { part: part.to_owned(), problem: problem.to_string() }
}

/// How long what is in flight may take after the last arrival.
const DRAIN: Duration = Duration::from_secs(15);

/// Makes the plan of a document's load; all randomness is drawn from `seed`.
///
/// # Errors
/// A template, a path or a method is none of the generator's.
pub fn load_plan(load: &spec::Load, seed: Seed) -> Result<load::Plan, Unplannable> {
    let steps = load.scenario.iter().map(step).collect::<Result<Vec<_>, _>>()?;
    let first = load.arrivals.first().ok_or_else(|| unplannable("load", "has no arrivals"))?;
    let mut plan = load::Plan::new(first.rate, first.length.0, steps);
    plan.arrivals =
        load.arrivals.iter().map(|s| load::Stage { rate: s.rate, duration: s.length.0 }).collect();
    plan.retry = load::RetryPolicy {
        max: load.retry.max,
        on: load.retry.on.iter().copied().map(retry_on).collect(),
        backoff: load.retry.backoff.into(),
    };
    plan.seed = seed.derive("load");
    plan.drain = DRAIN;
    if let Some(connections_max) = load.connections_max {
        plan.connections_max = connections_max as usize;
    }
    Ok(plan)
}

fn retry_on(on: spec::RetryOn) -> load::RetryOn {
    match on {
        spec::RetryOn::Status(status) => load::RetryOn::Status(status),
        spec::RetryOn::Connect => load::RetryOn::Connect,
        spec::RetryOn::Reset => load::RetryOn::Reset,
        spec::RetryOn::Timeout => load::RetryOn::Timeout,
    }
}

fn step(step: &spec::Step) -> Result<load::Step, Unplannable> {
    let wrong = |problem: &dyn ToString| unplannable(&format!("step {}", step.name), &problem.to_string());
    let template = |template: &spec::Template| {
        template.as_str().parse::<load::Template>().map_err(|error| wrong(&error))
    };
    let method = step.http.method.parse().map_err(|_| wrong(&"the method is not one of HTTP"))?;
    let mut planned = load::Step::new(step.name.clone(), method, template(&step.http.url)?);
    planned.weight = step.weight;
    planned.timeout = step.http.timeout.0;
    for (name, value) in &step.http.headers {
        planned.headers.push((name.clone(), template(value)?));
    }
    planned.body = step.http.body.as_ref().map(template).transpose()?;
    for (name, path) in &step.capture {
        let path = path.to_string().parse().map_err(|error: load::PathError| wrong(&error))?;
        planned.capture.push(load::Capture { name: name.clone(), path });
    }
    if !step.http.success.is_empty() {
        planned.success = {
            let statuses: Vec<String> = step.http.success.iter().map(u16::to_string).collect();
            statuses.join(",").parse().map_err(|error: load::StatusSetError| wrong(&error))?
        };
    }
    Ok(planned)
}

/// The values of variables, by name.
pub(crate) type Variables = BTreeMap<String, String>;

/// Puts values into a template.
pub(crate) fn resolve(
    template: &spec::Template,
    variables: &Variables,
    part: &str,
) -> Result<String, Unplannable> {
    template.resolve(|name| variables.get(name).cloned()).map_err(|error| unplannable(part, &error))
}

/// Makes the configuration of a process; `variables` hold what is known when it starts.
pub(crate) fn process(
    process: &spec::Process,
    variables: &Variables,
    folder: &Path,
    state: &StateDir,
    run: &str,
) -> Result<ProcessConfig, Unplannable> {
    let part = format!("process {}", process.name);
    let fill = |template: &spec::Template| resolve(template, variables, &part);
    let address = match (&process.url, &process.addr_file) {
        (Some(url), _) => Address::Url(url.clone()),
        (None, Some(file)) => Address::File(fill(file)?.into()),
        (None, None) => Address::File(folder.join(format!("{}.addr", process.name))),
    };
    let ready = match &process.ready.probe {
        spec::Probe::Http(path) => Readiness::Http { path: path.clone() },
        spec::Probe::GrpcHealth(service) => Readiness::GrpcHealth { service: service.clone() },
        spec::Probe::Tcp => Readiness::Tcp,
    };
    let command = process.command.iter().map(fill).collect::<Result<Vec<_>, _>>()?;
    let env = process.env.iter().map(|(name, value)| Ok((name.clone(), fill(value)?)));
    Ok(ProcessConfig {
        env: env.collect::<Result<_, Unplannable>>()?,
        address,
        ready,
        ready_within: process.ready.within,
        control_socket: process.linked.then(|| state.socket(run, &process.name)),
        stop: StopPolicy { signal: signal(process.stop.signal), within: process.stop.within.0 },
        ..ProcessConfig::new(&process.name, command)
    })
}

/// Turns a document's signal into one that can be sent.
pub(crate) fn signal(signal: spec::Signal) -> Signal {
    match signal {
        spec::Signal::Kill => Signal::Kill,
        spec::Signal::Term => Signal::Term,
        spec::Signal::Int => Signal::Int,
        spec::Signal::Quit => Signal::Quit,
        spec::Signal::Abort => Signal::Abrt,
    }
}
