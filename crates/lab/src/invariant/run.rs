//! Reading and checking, until it holds or the time is up.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::future::try_join_all;
use serde_json::Value;
use tokio::time::{Instant, sleep, timeout};

use super::acknowledged::examine;
use super::fetch::get;
use super::violation::{Head, figure};
use super::{ReadError, Rules, SentCommand, differences, read_histories, read_log};
use crate::http::Client;
use crate::report::InvariantResult;
use crate::spec::{AcknowledgedCommands, Agreement, Invariant};

/// Knows the values of `${NAME.url}` and the like.
pub type Lookup<'l> = dyn Fn(&str) -> Option<String> + Send + Sync + 'l;

/// How long one reading of the data may take in all.
const READING_MAX: Duration = Duration::from_secs(60);

/// How long to wait before a check that failed is repeated.
const PAUSE: Duration = Duration::from_millis(250);

/// Checks one invariant against the data as the system gives it out. Where the data cannot be read, the result holds
/// neither way and says why.
///
/// # Cancel safety
/// Dropping the future abandons the requests under way; nothing is changed in the system.
pub async fn check(
    invariant: &Invariant,
    commands: &[SentCommand],
    client: &Client,
    lookup: &Lookup<'_>,
) -> InvariantResult {
    match invariant {
        Invariant::AcknowledgedCommands(spec) => acknowledged(spec, commands, client, lookup).await,
        Invariant::Agreement(spec) => agreement(spec, client, lookup).await,
    }
}

async fn acknowledged(
    spec: &AcknowledgedCommands,
    commands: &[SentCommand],
    client: &Client,
    lookup: &Lookup<'_>,
) -> InvariantResult {
    let head = || Head { name: spec.name(), kind: "acknowledgedCommands", checked: 0, figures: Vec::new() };
    let source = spec.history.as_ref().map(|history| (&history.answers, history.command.is_some()));
    let (answers, attributed) = match (&spec.log, source) {
        (Some(log), _) => (&log.answers, true),
        (None, Some(source)) => source,
        (None, None) => return head().unknown("the document does not say how to read the data".to_owned()),
    };
    let rules = Rules {
        name: spec.name(),
        step: spec.step.clone(),
        answers: answers.clone(),
        exactly_once: spec.exactly_once,
        per_key_order: spec.per_key_order,
        attributed,
        by_key: spec.log.is_none(),
    };
    let keys: BTreeSet<&String> = commands
        .iter()
        .filter(|sent| *sent.step == *spec.step)
        .filter_map(|sent| sent.key.as_ref())
        .collect();
    let keys: Vec<String> = keys.into_iter().cloned().collect();
    let deadline = Instant::now() + spec.within.0;
    loop {
        let reading = async {
            match (&spec.log, &spec.history) {
                (Some(log), _) => read_log(client, log, lookup).await,
                (None, Some(history)) => read_histories(client, history, &keys, lookup).await,
                (None, None) => Ok(Vec::new()),
            }
        };
        let entries = timeout(READING_MAX, reading).await.unwrap_or(Err(ReadError::TooSlow(READING_MAX)));
        let again = Instant::now() + PAUSE < deadline;
        match entries {
            Ok(entries) => {
                let (result, may_pass) = examine(commands, &entries, &rules);
                if result.holds != Some(false) || !may_pass || !again {
                    return result;
                }
            }
            Err(error) if !again => return head().unknown(format!("the data could not be read: {error}")),
            Err(_) => {}
        }
        sleep(PAUSE).await;
    }
}

async fn agreement(spec: &Agreement, client: &Client, lookup: &Lookup<'_>) -> InvariantResult {
    let names: Vec<String> =
        spec.values.iter().map(|at| format!("{} {}", at.http.as_str(), at.value.as_str())).collect();
    let deadline = Instant::now() + spec.within.0;
    loop {
        let reading = try_join_all(spec.values.iter().map(|at| async {
            let (url, answer) = get(client, &at.http, lookup, None).await?;
            let problem =
                || ReadError::Mapping { problem: format!("there is nothing at `{}`", at.value), url };
            at.value.first(&answer).cloned().ok_or_else(problem)
        }));
        let values = timeout(READING_MAX, reading).await.unwrap_or(Err(ReadError::TooSlow(READING_MAX)));
        let again = Instant::now() + PAUSE < deadline;
        let head =
            |checked| Head { name: spec.name.clone(), kind: "agreement", checked, figures: Vec::new() };
        match values {
            Ok(values) => {
                let result = compare(head(size(values.first())), spec, &names, &values);
                // Places that say nothing may only be late.
                if result.holds == Some(true) || !again {
                    return result;
                }
            }
            Err(error) if !again => return head(0).unknown(format!("the values could not be read: {error}")),
            Err(_) => {}
        }
        sleep(PAUSE).await;
    }
}

fn compare(head: Head, spec: &Agreement, names: &[String], values: &[Value]) -> InvariantResult {
    let (mut violations, mut total) = (Vec::new(), 0);
    for (name, value) in names.iter().zip(values).skip(1) {
        let (mut sentences, differing) = differences(&names[0], &values[0], name, value);
        violations.append(&mut sentences);
        total += differing;
    }
    if total == 0 && head.checked == 0 {
        return head.unknown("all places say nothing, which shows no agreement".to_owned());
    }
    violations.truncate(super::VIOLATIONS_LISTED_MAX);
    let summary = match violations.first() {
        Some(first) => {
            let within = spec.within;
            format!("{total} values differ {within} after the load; first: {first}")
        }
        None => format!("all {} places agree on {} values", values.len(), head.checked),
    };
    InvariantResult {
        name: head.name,
        kind: head.kind.to_owned(),
        holds: Some(total == 0),
        checked: head.checked,
        summary,
        violations_total: total,
        violations,
        figures: vec![figure("places", values.len())],
    }
}

/// Returns how many things a value says, of maps those within.
fn size(value: Option<&Value>) -> u64 {
    match value {
        Some(Value::Object(map)) => map.values().map(|value| size(Some(value))).sum(),
        Some(Value::Array(list)) => list.len() as u64,
        Some(Value::Null) | None => 0,
        Some(_) => 1,
    }
}

#[cfg(test)]
#[path = "run_tests.rs"]
mod tests;
