//! Holding what the load sent against what the system kept.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use steadfast_load::{CommandResult, Targets};

use super::plan::Variables;
use super::record::Row;
use crate::http::Client;
use crate::invariant::{Acknowledgement, SentCommand, check};
use crate::report::InvariantResult;
use crate::spec::{Experiment, Invariant};

/// How long one request for the system's data may take, and how large its answer may be.
const TIMEOUT: Duration = Duration::from_secs(10);
const BYTES_MAX: usize = 64 << 20;

/// Returns, for each step, the captured value by which an invariant knows whom a command concerns.
pub(crate) fn keys(experiment: &Experiment) -> Vec<Option<String>> {
    let load = &experiment.load;
    let of = |step: &str| {
        experiment.invariants.iter().find_map(|invariant| match invariant {
            Invariant::AcknowledgedCommands(spec) if spec.step == step => spec.key_variable(load),
            _ => None,
        })
    };
    load.scenario.iter().map(|step| of(&step.name).map(str::to_owned)).collect()
}

/// Checks all invariants at the same time, for each may wait for what is still on its way.
pub(crate) async fn invariants(
    experiment: &Experiment,
    variables: &Variables,
    targets: &Targets,
    rows: &[Row],
) -> Vec<InvariantResult> {
    let names: Vec<Arc<str>> =
        experiment.load.scenario.iter().map(|step| step.name.as_str().into()).collect();
    let sent: Vec<SentCommand> = rows.iter().filter_map(|row| sent(row, &names)).collect();
    let client = Client::new(TIMEOUT, BYTES_MAX);
    // A process that was started again has another address than the one it began with.
    let lookup =
        |name: &str| targets.get(name).map(|url| url.to_string()).or_else(|| variables.get(name).cloned());
    join_all(experiment.invariants.iter().map(|invariant| check(invariant, &sent, &client, &lookup))).await
}

fn sent(row: &Row, names: &[Arc<str>]) -> Option<SentCommand> {
    let acknowledgement = match row.result {
        CommandResult::Succeeded { .. } => Acknowledgement::Acknowledged,
        // An attempt before the last may have done what the last was refused for.
        _ if row.unknown => Acknowledgement::Unknown,
        // What was never sent must not be there either.
        CommandResult::Refused { .. } | CommandResult::Unsent => Acknowledgement::Refused,
        _ => Acknowledgement::Unknown,
    };
    Some(SentCommand {
        step: Arc::clone(names.get(usize::from(row.step))?),
        command_id: row.id.to_string(),
        key: row.key.as_deref().map(str::to_owned),
        acknowledgement,
        sent_at: row.dispatched,
        finished_at: row.finished,
    })
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn what_the_system_did_not_say_is_unknown() {
        let row = |result, unknown| Row {
            step: 0,
            attempts: 1,
            result,
            unknown,
            id: Uuid::from_u128(7),
            key: Some("o1".into()),
            intended: Duration::ZERO,
            dispatched: Duration::ZERO,
            finished: Duration::from_millis(3),
        };
        let names = [Arc::from("create")];
        let said = |result| sent(&row(result, false), &names).map(|sent| sent.acknowledgement);
        for result in [CommandResult::Refused { status: 409 }, CommandResult::Unsent] {
            let sent = sent(&row(result, true), &names).map(|sent| sent.acknowledgement);
            assert_eq!(sent, Some(Acknowledgement::Unknown), "{result}");
        }
        assert_eq!(said(CommandResult::Succeeded { status: 202 }), Some(Acknowledgement::Acknowledged));
        assert_eq!(said(CommandResult::Refused { status: 409 }), Some(Acknowledgement::Refused));
        assert_eq!(said(CommandResult::Unsent), Some(Acknowledgement::Refused));
        for unknown in
            [CommandResult::Failed { status: 502 }, CommandResult::TimedOut, CommandResult::ConnectFailed]
        {
            assert_eq!(said(unknown), Some(Acknowledgement::Unknown), "{unknown}");
        }
    }
}
