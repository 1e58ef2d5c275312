use std::time::Duration;

use http::Method;
use steadfast_base::Seed;
use steadfast_base::units::{Percentage, Rate};

use crate::{Error, Path, RetryPolicy, Spacing, Stage, StatusSet, Targets, Template};

/// What load to drive: when arrivals come, what each of them does, and the bounds of the generator itself.
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use steadfast_base::units::Rate;
/// use steadfast_load::{Capture, Plan, Step};
///
/// let mut create = Step::new("create", http::Method::POST, "${orders.url}/orders".parse()?);
/// create.headers.push(("Idempotency-Key".to_owned(), "${uuid}".parse()?));
/// create.body = Some(r#"{"customer": "c-${seq}"}"#.parse()?);
/// create.capture.push(Capture { name: "id".to_owned(), path: "$.id".parse()? });
/// let confirm = Step::new("confirm", http::Method::POST, "${orders.url}/orders/${id}/confirm".parse()?);
/// let plan = Plan::new(Rate::per_second_of(200), Duration::from_secs(33), vec![create, confirm]);
/// assert_eq!(plan.scheduled(), 6_600);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Plan {
    /// The stages of the arrival rate, one behind the other.
    pub arrivals: Vec<Stage>,
    /// How arrivals are spread within a stage.
    pub spacing: Spacing,
    /// What each arrival does, in order; at least one step.
    pub steps: Vec<Step>,
    /// Which failures of any step are tried again.
    pub retry: RetryPolicy,
    /// From which weights, waits and Poisson arrivals are drawn. Idempotency keys are not: a plan that is run
    /// twice sends new commands.
    pub seed: Seed,
    /// Most connections in use at once, 1 or more. An attempt that finds none free waits for one, and an arrival
    /// that waits too long counts as not dispatched on schedule.
    pub connections_max: usize,
    /// Most arrivals under way at once, 1 or more. An arrival beyond it is not dispatched.
    pub in_flight_max: usize,
    /// How long what is in flight may take after the last arrival, or after a cancel; what is unfinished then is
    /// [`Abandoned`](crate::CommandResult::Abandoned).
    pub drain: Duration,
    /// Threads of the generator; none lets the highest rate decide, with one per 30 000 arrivals/s up to the
    /// number of cores.
    pub threads: Option<usize>,
}

/// One request of the scenario.
#[derive(Debug, Clone)]
pub struct Step {
    /// The step's name, as results are shown.
    pub name: String,
    /// With what probability an arrival runs this step.
    pub weight: Percentage,
    /// The HTTP method.
    pub method: Method,
    /// The address, `http://` only. Captured values are percent-encoded in it, targets are not.
    pub url: Template,
    /// Headers beside `Host` and `Content-Length`.
    pub headers: Vec<(String, Template)>,
    /// The body; sent as `application/json` unless `headers` say otherwise.
    pub body: Option<Template>,
    /// What later steps need of a successful answer's body. Where one is missing, steps that use it are not run.
    pub capture: Vec<Capture>,
    /// The longest time of one attempt, from the wait for a connection to the end of the answer.
    pub timeout: Duration,
    /// Which answers are successes.
    pub success: StatusSet,
}

/// A value taken from an answer's JSON body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capture {
    /// The name under which templates use it, as `${NAME}`.
    pub name: String,
    /// Where it stands.
    pub path: Path,
}

impl Plan {
    /// Creates a plan of one stage, with no retries and default bounds: 1024 connections, 16 384 arrivals in
    /// flight, 10 s to drain.
    pub fn new(rate: Rate, duration: Duration, steps: Vec<Step>) -> Self {
        Self {
            arrivals: vec![Stage { rate, duration }],
            spacing: Spacing::Uniform,
            steps,
            retry: RetryPolicy::default(),
            seed: Seed::new(0),
            connections_max: 1024,
            in_flight_max: 16_384,
            drain: Duration::from_secs(10),
            threads: None,
        }
    }

    /// Creates a plan that gets `url` at a constant rate.
    ///
    /// # Errors
    /// [`Error::Template`] when the address contains a `${` that names nothing.
    pub fn single(url: &str, rate: Rate, duration: Duration) -> Result<Self, Error> {
        let url = url.parse().map_err(|source| Error::Template { step: "get".to_owned(), source })?;
        Ok(Self::new(rate, duration, vec![Step::new("get", Method::GET, url)]))
    }

    /// Returns how long the arrivals take.
    pub fn duration(&self) -> Duration {
        self.arrivals.iter().map(|stage| stage.duration).sum()
    }

    /// Returns the number of arrivals, by following the schedule to its end.
    pub fn scheduled(&self) -> u64 {
        self.schedule().count() as u64
    }

    /// Checks all that can be known before the first arrival.
    ///
    /// # Errors
    /// What [`run`](crate::run) would refuse: no step or no arrival, a bound of zero, a name that neither a step
    /// before captures nor `targets` has, an address that is not `http://`, an impossible header.
    pub fn check(&self, targets: &Targets) -> Result<(), Error> {
        crate::compile::compile(self, targets).map(|_| ())
    }

    pub(crate) fn schedule(&self) -> crate::Schedule {
        crate::Schedule::new(&self.arrivals, self.spacing, self.seed)
    }
}

impl Step {
    /// Creates a step that every arrival runs: no body, five seconds for an attempt, 2xx is success.
    pub fn new(name: impl Into<String>, method: Method, url: Template) -> Self {
        Self {
            name: name.into(),
            weight: Percentage::HUNDRED,
            method,
            url,
            headers: Vec::new(),
            body: None,
            capture: Vec::new(),
            timeout: Duration::from_secs(5),
            success: StatusSet::default(),
        }
    }
}
