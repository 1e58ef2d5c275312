//! What was sent, held against what the log says.

use std::collections::{BTreeMap, HashMap};

use super::violation::{Head, Violations, Wrong, figure};
use super::{Acknowledgement, LedgerEntry, SentCommand};
use crate::report::InvariantResult;

/// By what a log is judged.
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use steadfast_lab::invariant::{Acknowledgement, LedgerEntry, Rules, SentCommand, check_ledger};
///
/// let sent = SentCommand {
///     step: "create".into(),
///     command_id: "c1".to_owned(),
///     key: Some("k1".to_owned()),
///     acknowledgement: Acknowledgement::Acknowledged,
///     sent_at: Duration::from_millis(1),
///     finished_at: Duration::from_millis(5),
/// };
/// let result = check_ledger(&[sent], &[], &Rules::new("nothing is lost", "create"));
/// assert_eq!(result.holds, Some(false));
/// assert_eq!(
///     result.violations[0],
///     "command c1 of step create was acknowledged 5 ms after the start for key k1, but is not in the log"
/// );
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// The invariant's name.
    pub name: String,
    /// The step whose commands are checked.
    pub step: String,
    /// The kind of entry by which a command of the step is answered; none for every kind.
    pub answers: Option<String>,
    /// Whether a command that is there twice is a violation.
    pub exactly_once: bool,
    /// Whether the order of each key's commands is checked.
    pub per_key_order: bool,
    /// Whether entries name the command that caused them; if not, only their number is checked.
    pub attributed: bool,
    /// Whether only the histories of the keys that commands have were read; a command without one is then not found.
    pub by_key: bool,
}

impl Rules {
    /// Creates the strictest rules, for a log whose entries of every kind answer a command of `step`.
    pub fn new(name: &str, step: &str) -> Self {
        Self {
            name: name.to_owned(),
            step: step.to_owned(),
            answers: None,
            exactly_once: true,
            per_key_order: true,
            attributed: true,
            by_key: false,
        }
    }

    fn answered_by(&self, entry: &LedgerEntry) -> bool {
        self.answers.is_none() || self.answers == entry.kind
    }
}

/// Holds the commands of all steps against the entries of the log, in the log's order:
///
/// - an acknowledged command is there exactly once, under the key that was answered;
/// - one of which nothing is known is there at most once, a refused one not at all;
/// - a command that was acknowledged before another of the same key was sent stands before it;
/// - every entry is of a command that the step sent;
/// - the revisions of each key count from 0 without hole or repetition.
///
/// The result holds neither way where nothing is violated but something was not seen: no command was acknowledged, one
/// that was has no key by which its history could be read, or exactly once is asked of entries that tell neither their
/// command nor their kind.
pub fn check_ledger(commands: &[SentCommand], entries: &[LedgerEntry], rules: &Rules) -> InvariantResult {
    examine(commands, entries, rules).0
}

/// Like [`check_ledger`]; says also whether waiting might mend what is wrong.
pub(super) fn examine(
    commands: &[SentCommand],
    entries: &[LedgerEntry],
    rules: &Rules,
) -> (InvariantResult, bool) {
    let of_step: Vec<&SentCommand> = commands.iter().filter(|sent| *sent.step == *rules.step).collect();
    let count = |wanted| of_step.iter().filter(|sent| sent.acknowledgement == wanted).count();
    let acknowledged = count(Acknowledgement::Acknowledged);
    let answering: Vec<&LedgerEntry> = entries.iter().filter(|entry| rules.answered_by(entry)).collect();
    let head = Head {
        name: rules.name.clone(),
        kind: "acknowledgedCommands",
        checked: of_step.len() as u64,
        figures: vec![
            figure("acknowledged", acknowledged),
            figure("refused", count(Acknowledgement::Refused)),
            figure("unknown", count(Acknowledgement::Unknown)),
            figure("entries", entries.len()),
            figure("answering entries", answering.len()),
        ],
    };
    let mut violations = Violations::default();
    if rules.attributed {
        let found = by_command(&answering);
        check_commands(&of_step, &found, rules, &mut violations);
        check_foreign(commands, &answering, rules, &mut violations);
        if rules.per_key_order {
            check_order(&of_step, &answering, &mut violations);
        }
    } else {
        check_numbers(&of_step, &answering, rules, &mut violations);
    }
    check_revisions(entries, &mut violations);

    let may_pass = violations.may_pass();
    if violations.total() == 0
        && let Some(unseen) = unseen(&of_step, rules)
    {
        return (head.unknown(unseen), false);
    }
    let held = format!(
        "all {acknowledged} acknowledged commands of step {} are in the log{}",
        rules.step,
        if rules.exactly_once { " exactly once" } else { "" }
    );
    (violations.result(head, held), may_pass)
}

/// Says why commands that violate nothing do not show that the invariant holds, if they do not.
fn unseen(of_step: &[&SentCommand], rules: &Rules) -> Option<String> {
    let acknowledged = || of_step.iter().filter(|sent| sent.acknowledgement == Acknowledgement::Acknowledged);
    if acknowledged().next().is_none() {
        return Some("no command was acknowledged, so that nothing could be checked".to_owned());
    }
    let keyless = acknowledged().filter(|sent| rules.by_key && sent.key.is_none()).count();
    if keyless > 0 {
        return Some(format!(
            "{keyless} acknowledged commands of step {} were answered without a key",
            rules.step
        ));
    }
    let blind = rules.exactly_once && !rules.attributed && rules.answers.is_none();
    blind.then(|| {
        "entries that name neither their command nor their kind do not show that it is there exactly once; add \
         `command`, or `kind` and `answers`, or write `exactlyOnce: false`"
            .to_owned()
    })
}

fn by_command<'e>(answering: &[&'e LedgerEntry]) -> HashMap<&'e str, Vec<&'e LedgerEntry>> {
    let mut found: HashMap<&str, Vec<&LedgerEntry>> = HashMap::new();
    for entry in answering {
        if let Some(command) = &entry.command {
            found.entry(command).or_default().push(entry);
        }
    }
    found
}

/// Each command against its own entries.
fn check_commands(
    of_step: &[&SentCommand],
    found: &HashMap<&str, Vec<&LedgerEntry>>,
    rules: &Rules,
    violations: &mut Violations,
) {
    for sent in of_step {
        let entries = found.get(sent.command_id.as_str()).map_or(&[][..], Vec::as_slice);
        match (sent.acknowledgement, entries) {
            (Acknowledgement::Acknowledged, []) if sent.key.is_some() || !rules.by_key => violations
                .add(Wrong::Lost, || {
                    format!("{} was acknowledged{}, but is not in the log", named(sent), when_for(sent))
                }),
            (Acknowledgement::Refused, [first, ..]) => violations.add(Wrong::Refused, || {
                format!("{} was refused, but is in the log {}", named(sent), stands(first))
            }),
            _ => {}
        }
        if let [first, second, ..] = entries
            && rules.exactly_once
        {
            violations.add(Wrong::Repeated, || {
                let (count, first, second) = (entries.len(), stands(first), stands(second));
                format!("{} is in the log more than once ({count} times): {first} and {second}", named(sent))
            });
        }
        let other = entries.iter().find(|entry| sent.key.as_ref().is_some_and(|key| *key != entry.key));
        if let (Acknowledgement::Acknowledged, Some(other), [_]) = (sent.acknowledgement, other, entries) {
            violations.add(Wrong::OtherKey, || {
                format!(
                    "{} was acknowledged{}, but is in the log {}",
                    named(sent),
                    when_for(sent),
                    stands(other)
                )
            });
        }
    }
}

/// Entries of commands that nobody sent, or that are another step's.
fn check_foreign(
    commands: &[SentCommand],
    answering: &[&LedgerEntry],
    rules: &Rules,
    violations: &mut Violations,
) {
    let sent: HashMap<&str, &SentCommand> =
        commands.iter().map(|command| (command.command_id.as_str(), command)).collect();
    for entry in answering {
        let sentence = match entry.command.as_deref().map(|id| (id, sent.get(id))) {
            // Without kinds, the entries of other steps cannot be told from those of this one.
            Some((_, Some(sent))) if *sent.step == *rules.step || rules.answers.is_none() => continue,
            Some((_, Some(sent))) => format!("the entry {} is of {}", stands(entry), named(sent)),
            Some((id, None)) => format!("the entry {} is of command {id}, which nobody sent", stands(entry)),
            None => format!("the entry {} names no command", stands(entry)),
        };
        violations.add(Wrong::Foreign, || sentence);
    }
}

/// Along each key's entries: none of a command that was acknowledged before an entry in front of it was even sent.
fn check_order(of_step: &[&SentCommand], answering: &[&LedgerEntry], violations: &mut Violations) {
    let sent: HashMap<&str, &SentCommand> =
        of_step.iter().map(|command| (command.command_id.as_str(), *command)).collect();
    let mut latest: HashMap<&str, &SentCommand> = HashMap::new();
    for entry in answering {
        let command = entry.command.as_deref().and_then(|id| sent.get(id));
        let Some(command) = command else { continue };
        let before = latest.entry(&entry.key).or_insert(command);
        if command.acknowledgement == Acknowledgement::Acknowledged && command.finished_at < before.sent_at {
            violations.add(Wrong::Reordered, || {
                let (first, second) = (named(command), named(before));
                let (done, sent) = (command.finished_at.as_millis(), before.sent_at.as_millis());
                format!(
                    "{first} was acknowledged {done} ms after the start, before {second} was sent at {sent} ms, \
                     but stands behind it in the log, {}",
                    stands(entry)
                )
            });
        }
        if before.sent_at < command.sent_at {
            *before = command;
        }
    }
}

/// Where entries do not name their command, as many must be there for a key as were acknowledged.
fn check_numbers(
    of_step: &[&SentCommand],
    answering: &[&LedgerEntry],
    rules: &Rules,
    violations: &mut Violations,
) {
    let mut there: HashMap<&str, u64> = HashMap::new();
    for entry in answering {
        *there.entry(&entry.key).or_default() += 1;
    }
    let mut wanted: BTreeMap<&str, (u64, u64, &SentCommand)> = BTreeMap::new();
    for sent in of_step {
        let Some(key) = &sent.key else { continue };
        let (acknowledged, unknown, _) = wanted.entry(key).or_insert((0, 0, sent));
        match sent.acknowledgement {
            Acknowledgement::Acknowledged => *acknowledged += 1,
            Acknowledgement::Unknown => *unknown += 1,
            Acknowledgement::Refused => {}
        }
    }
    for (key, (acknowledged, unknown, sent)) in wanted {
        let there = there.get(key).copied().unwrap_or(0);
        if there < acknowledged {
            violations.add(Wrong::Lost, || {
                format!(
                    "{acknowledged} commands of step {} were acknowledged for key {key}, one of them {}, but only \
                     {there} entries are in the log",
                    rules.step, sent.command_id
                )
            });
        }
        // Without a kind, entries that other steps caused cannot be told apart.
        if rules.exactly_once && rules.answers.is_some() && there > acknowledged + unknown {
            violations.add(Wrong::Repeated, || {
                format!(
                    "{acknowledged} commands of step {} were acknowledged for key {key} and {unknown} are unknown, \
                     but one is in the log more than once: {there} entries",
                    rules.step
                )
            });
        }
    }
}

/// The revisions of each key, over entries of all kinds.
fn check_revisions(entries: &[LedgerEntry], violations: &mut Violations) {
    let mut next: HashMap<&str, (u64, bool)> = HashMap::new();
    for entry in entries {
        let Some(revision) = entry.revision else { continue };
        let (expected, broken) = next.entry(&entry.key).or_insert((0, false));
        if revision != *expected && !*broken {
            // One sentence for each key: what follows a hole is shifted by it.
            *broken = true;
            let expected = *expected;
            violations.add(Wrong::Broken, || {
                let command = entry.command.as_deref().unwrap_or("unknown");
                format!(
                    "the history of key {} has revision {revision} where {expected} was expected, at position {} of \
                     command {command}",
                    entry.key, entry.position
                )
            });
        }
        *expected = revision.saturating_add(1);
    }
}

fn named(sent: &SentCommand) -> String {
    format!("command {} of step {}", sent.command_id, sent.step)
}

fn when_for(sent: &SentCommand) -> String {
    let key = sent.key.as_deref().map(|key| format!(" for key {key}")).unwrap_or_default();
    format!(" {} ms after the start{key}", sent.finished_at.as_millis())
}

fn stands(entry: &LedgerEntry) -> String {
    let revision = entry.revision.map(|revision| format!(" revision {revision}")).unwrap_or_default();
    format!("at position {} (key {}{revision})", entry.position, entry.key)
}

#[cfg(test)]
#[path = "acknowledged_tests.rs"]
mod tests;
