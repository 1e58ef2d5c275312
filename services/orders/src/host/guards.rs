use std::convert::Infallible;
use std::fmt::Display;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail};
use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use steadfast::answer::AnswerLayer;
use steadfast::config;
use steadfast::guard::deadline::RefuseExpiredPolicy;
use steadfast::guard::stack::{Error, IncomingSettings, IncomingStack, Stack};
use steadfast::guard::{self, BulkheadPolicy, ServerDeadlineLayer, ShedPolicy};
use tokio_util::sync::CancellationToken;
use tower::util::BoxCloneSyncService;
use tower::{Service, ServiceBuilder};

/// How often the file of the guards is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Where the settings of a program's guards come from.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Guards")]
pub struct GuardArguments {
    /// A JSON file with settings of guards, over the defaults; it is read again when it changes, and on SIGHUP.
    #[arg(long, value_name = "FILE")]
    pub guards: Option<PathBuf>,
    /// Guards to switch off, whatever the file says: all of that name, such as `retry`, or one, such as
    /// `payment.breaker` or `incoming.shed`.
    #[arg(long, value_name = "GUARD,…", value_delimiter = ',')]
    pub without: Vec<String>,
}

impl GuardArguments {
    /// Reads the settings of the guards of `program`: defaults, then the file, then the environment
    /// (`PROGRAM_GUARDS__INCOMING__…`), then what is switched off.
    ///
    /// # Errors
    /// The file cannot be read, or names what there is not.
    pub fn load<T>(&self, program: &str) -> anyhow::Result<T>
    where
        T: Default + Serialize + DeserializeOwned,
    {
        let settings: T = config::load(self.guards.as_deref(), &prefix(program))?;
        self.switch_off(settings)
    }

    /// Applies the settings of the guards of `program` whenever the file changes, until `stopping` is cancelled.
    pub async fn follow<T, E>(
        self,
        program: &'static str,
        stopping: CancellationToken,
        mut apply: impl FnMut(T) -> Result<(), E>,
    ) where
        T: Default + Serialize + DeserializeOwned,
        E: Display,
    {
        let Some(file) = self.guards.clone() else { return };
        let prefix = prefix(program);
        let watch = config::watch(&file, &prefix, LOOK_EVERY, |settings: T| {
            let settings = self.switch_off(settings).map_err(|error| error.to_string())?;
            apply(settings).map_err(|error| error.to_string())
        });
        if let Some(Err(error)) = stopping.run_until_cancelled(watch).await {
            tracing::error!(%error, "the guards' file is not watched");
        }
    }

    /// Switches off what is named. Guards are the fields of stacks, and stacks the fields of the settings.
    fn switch_off<T: Serialize + DeserializeOwned>(&self, settings: T) -> anyhow::Result<T> {
        let mut document = serde_json::to_value(settings).context("settings can be written")?;
        let Value::Object(stacks) = &mut document else { bail!("settings are stacks by name") };
        for name in &self.without {
            let (stack, guard) =
                name.split_once('.').map_or((None, &**name), |(stack, guard)| (Some(stack), guard));
            let mut is_found = false;
            for (_, guards) in stacks.iter_mut().filter(|(key, _)| stack.is_none_or(|stack| *key == stack)) {
                if let Some(place) = guards.get_mut(guard) {
                    *place = if place.is_boolean() { Value::Bool(false) } else { Value::Null };
                    is_found = true;
                }
            }
            if !is_found {
                let of = |(stack, guards): (&String, &Value)| {
                    let names = guards.as_object().into_iter().flat_map(|guards| guards.keys());
                    names.map(|guard| format!("{stack}.{guard}")).collect::<Vec<_>>()
                };
                let all: Vec<String> = stacks.iter().flat_map(of).collect();
                bail!("--without {name}: no such guard, there are {}", all.join(", "));
            }
        }
        serde_json::from_value(document).context("settings can be read back")
    }
}

fn prefix(program: &str) -> String {
    format!("{}_GUARDS", program.to_uppercase())
}

/// The guards of a program that only answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct ServerGuards {
    /// The guards of incoming calls.
    pub incoming: IncomingSettings,
}

impl Default for ServerGuards {
    fn default() -> Self {
        Self { incoming: incoming_defaults() }
    }
}

/// Bounds that a program meets only when it is asked for far more than it can do; a caller's deadline is what counts.
pub fn incoming_defaults() -> IncomingSettings {
    IncomingSettings {
        server_timing: true,
        deadline: Some(ServerDeadlineLayer::default()),
        bulkhead: Some(BulkheadPolicy {
            concurrency_max: 2048,
            queue_max: 2048,
            ..BulkheadPolicy::default()
        }),
        // Calls differ in what they take by a factor of a hundred, so that latency alone says little.
        shed: Some(ShedPolicy {
            limit_initial: 1024,
            limit_min: 1024,
            limit_max: 2048,
            tolerance: 3.0,
            ..ShedPolicy::default()
        }),
        refuse_expired: Some(RefuseExpiredPolicy::default()),
        // Off are the rate limit, that by key and the fallback, of which the last two have no place here.
        ..IncomingSettings::default()
    }
}

/// The guards of the calls that a program receives.
#[derive(Debug, Clone)]
pub struct Incoming(IncomingStack);

/// A guarded service of HTTP, or of gRPC.
pub type Guarded = BoxCloneSyncService<Request<Body>, Response<Body>, Infallible>;

impl Incoming {
    /// Makes the guards of `program`, and says in the log what they are.
    ///
    /// # Errors
    /// The settings contradict each other, or cannot be.
    pub fn new(program: &'static str, settings: &IncomingSettings) -> Result<Self, Error> {
        let stack = Stack::incoming(program).configured(settings)?;
        tracing::info!("guards of incoming calls:\n{stack}");
        Ok(Self(stack))
    }

    /// Returns the stack.
    pub fn stack(&self) -> &IncomingStack {
        &self.0
    }

    /// Guards all routes of `router`, and answers what the guards refuse.
    pub fn routes(&self, router: Router) -> Router {
        let answer = AnswerLayer::new(self.0.name());
        router.layer(ServiceBuilder::new().layer(answer).layer(self.0.clone()).map_err(guard::Error::Inner))
    }

    /// Guards a service.
    pub fn service<S>(&self, service: S) -> Guarded
    where
        S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>
            + Clone
            + Send
            + Sync
            + 'static,
        S::Future: Send + 'static,
    {
        let answer = AnswerLayer::new(self.0.name());
        let guarded = ServiceBuilder::new().layer(answer).layer(self.0.clone()).map_err(guard::Error::Inner);
        BoxCloneSyncService::new(guarded.service(service))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn without(names: &[&str]) -> anyhow::Result<ServerGuards> {
        let without = names.iter().map(|name| (*name).to_owned()).collect();
        GuardArguments { guards: None, without }.load("nobody")
    }

    #[test]
    fn guards_are_switched_off_by_name() {
        let settings = without(&["incoming.shed", "serverTiming"]).expect("they are there");
        let expected = IncomingSettings { shed: None, server_timing: false, ..incoming_defaults() };
        assert_eq!(settings.incoming, expected);
        let error = without(&["incoming.retry"]).expect_err("there is none").to_string();
        assert!(error.starts_with("--without incoming.retry: no such guard, there are incoming."), "{error}");
    }

    #[tokio::test]
    async fn the_defaults_can_be() {
        assert!(Incoming::new("test", &incoming_defaults()).is_ok());
    }
}
