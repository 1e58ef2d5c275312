use std::collections::HashMap;
use std::sync::Arc;

use futures::future::join_all;

use super::account::{Account, Accounts, Command, Overdrawn, accounts};
use super::life::Lives;
use crate::Aggregate;
use crate::repository::{Cause, Error};
use crate::store::{EventStore, Query};
use crate::testing::store::StoreFactory;
use crate::testing::store::tools::{Checked, check, check_eq, read, within};

const NAMES: u64 = 4;
const ROUNDS: usize = 8;
const COMMANDS: usize = 24;

/// Random commands on aggregates, by two processes with snapshots, one of which keeps nothing in its cache, and some of
/// them repeated under their key, end as a model says, whoever dies amid one.
///
/// # Errors
/// What the store, or a user of it, got wrong.
pub async fn random_commands_agree_with_a_model(factory: &mut dyn StoreFactory) -> Checked {
    let mut lives = Lives::begin(factory).await;
    let mut model: HashMap<String, Account> = HashMap::new();
    let mut known: Vec<(String, String, Command)> = Vec::new();
    // What was under way when a life ended is repeated under its key in the next: only then it is known.
    let mut unknown: Option<(String, String, Command)> = None;
    let mut number = 0;
    for round in 0..ROUNDS {
        let mortal = lives.mortal(2 * COMMANDS as u64);
        let store = Arc::clone(&mortal) as Arc<dyn EventStore>;
        let processes = [accounts(&store, 1 << 20), accounts(&store, 0)];
        let rng = &mut lives.rng;
        let life = async {
            for _ in 0..COMMANDS {
                let (name, key, command) = match unknown.take() {
                    Some(asked) => asked,
                    None if !known.is_empty() && rng.chance(0.2) => {
                        known[usize::try_from(rng.below(known.len() as u64)).unwrap_or(0)].clone()
                    }
                    None => {
                        number += 1;
                        let command = match rng.below(3) {
                            0 => Command::Withdraw(1 + rng.below(4)),
                            _ => Command::Deposit(rng.below(4)),
                        };
                        (rng.below(NAMES).to_string(), format!("key-{number}"), command)
                    }
                };
                unknown = Some((name.clone(), key.clone(), command));
                let process = &processes[usize::try_from(rng.below(2)).unwrap_or(0)];
                let done = process.execute(&name, &command, &Cause::key(key.as_str())).await;
                let was_known = known.iter().any(|(of, before, _)| (of, before) == (&name, &key));
                let account = model.entry(name.clone()).or_default();
                match (account.decide(&command), done) {
                    (_, Ok(done)) if was_known => {
                        check(done.repeated, || format!("{key} of {name} was carried out twice"))?;
                    }
                    (Ok(events), Ok(done)) => {
                        check_eq(
                            &format!("events of {command:?} by {key} on {name}"),
                            &done.events,
                            &events,
                        )?;
                        events.iter().for_each(|event| account.evolve(event));
                        if !events.is_empty() {
                            known.push((name, key, command));
                        }
                    }
                    (Err(Overdrawn), Err(Error::Refused(Overdrawn))) => {}
                    (expected, done) => {
                        return Err(format!("{command:?} by {key} on {name}: {done:?}, not {expected:?}"));
                    }
                }
                unknown = None;
            }
            Ok(())
        };
        let lived = within("the life of a repository", mortal.live(life)).await?;
        lived.unwrap_or(Ok(())).map_err(|problem| format!("round {round}: {problem}"))?;
        drop((processes, store, mortal));
        lives.next().await?;
    }
    // The last one may have been carried out, or not; one that was repeated counts already.
    if let Some((name, key, command)) = unknown {
        let was_known = known.iter().any(|(of, before, _)| (of, before) == (&name, &key));
        let done = accounts(&lives.store, 0).execute(&name, &command, &Cause::key(key)).await;
        if let Ok(done) = done
            && !was_known
        {
            let account = model.entry(name).or_default();
            done.events.iter().for_each(|event| account.evolve(event));
        }
    }
    let accounts = accounts(&lives.store, 1 << 20);
    for (name, expected) in model {
        let found = look(&accounts, &name).await?;
        check_eq(&format!("account {name}"), &found, &expected)?;
        let events = read(&*lives.store, Query::stream(format!("account-{name}"))).await?;
        check_eq(&format!("events of account {name}"), &(events.len() as u64), &expected.changes)?;
    }
    Ok(())
}

/// Several processes that withdraw from one account at the same time withdraw together what it holds, and no more.
///
/// # Errors
/// What the store, or a user of it, got wrong.
pub async fn commands_at_the_same_time_lose_nothing(factory: &mut dyn StoreFactory) -> Checked {
    const HELD: u64 = 20;
    let mut lives = Lives::begin(factory).await;
    let store = Arc::clone(&lives.store);
    let processes: Vec<_> = (0..3).map(|_| Arc::new(accounts(&store, 1 << 20))).collect();
    let deposited = processes[0].execute("shared", &Command::Deposit(HELD), &Cause::unknown()).await;
    deposited.map_err(|error| format!("a deposit failed: {error}"))?;
    // Each knows of all of it, and not of what the others will take.
    for process in &processes {
        check_eq("the balance", &look(process, "shared").await?.balance, &HELD)?;
    }
    let all = processes.iter().flat_map(|process| {
        (0..4).map(|_| {
            let process = Arc::clone(process);
            tokio::spawn(async move {
                let mut withdrawn = 0;
                for _ in 0..4 {
                    match process.execute("shared", &Command::Withdraw(1), &Cause::unknown()).await {
                        Ok(_) => withdrawn += 1,
                        Err(Error::Refused(Overdrawn)) => {}
                        Err(error) => return Err(format!("a withdrawal failed: {error}")),
                    }
                }
                Ok::<u64, String>(withdrawn)
            })
        })
    });
    let mut withdrawn = 0;
    for done in within("withdrawing", join_all(all)).await? {
        withdrawn += done.map_err(|error| error.to_string())??;
    }
    check_eq("what was withdrawn", &withdrawn, &HELD)?;
    drop((processes, store));
    lives.next().await?;
    let expected = Account { balance: 0, changes: 2 * HELD };
    check_eq("the account", &look(&accounts(&lives.store, 0), "shared").await?, &expected)
}

async fn look(accounts: &Accounts, name: &str) -> Result<Account, String> {
    let found = within("loading", accounts.look(name, |account, _| account.clone())).await?;
    found.map_err(|error| format!("loading {name} failed: {error}"))
}
