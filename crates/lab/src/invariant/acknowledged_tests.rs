use std::time::Duration;

use proptest::prelude::*;
use steadfast_base::Seed;

use super::*;

fn command(id: &str, key: &str, acknowledgement: Acknowledgement, sent: u64, finished: u64) -> SentCommand {
    SentCommand {
        step: "create".into(),
        command_id: id.to_owned(),
        key: Some(key.to_owned()),
        acknowledgement,
        sent_at: Duration::from_millis(sent),
        finished_at: Duration::from_millis(finished),
    }
}

fn log(entries: &[(&str, &str, u64)]) -> Vec<LedgerEntry> {
    let entry = |(position, (key, command, revision)): (u64, &(&str, &str, u64))| LedgerEntry {
        position,
        key: (*key).to_owned(),
        command: Some((*command).to_owned()),
        kind: Some("created".to_owned()),
        revision: Some(*revision),
    };
    (0..).zip(entries).map(entry).collect()
}

fn rules() -> Rules {
    Rules::new("all is there", "create")
}

use Acknowledgement::{Acknowledged, Refused, Unknown};

fn three() -> Vec<SentCommand> {
    vec![
        command("c1", "a", Acknowledged, 0, 10),
        command("c2", "a", Acknowledged, 20, 30),
        command("c3", "b", Acknowledged, 5, 15),
    ]
}

/// The one violation that there is, after its summary.
fn only(commands: &[SentCommand], entries: &[LedgerEntry]) -> (String, String) {
    let result = check_ledger(commands, entries, &rules());
    assert_eq!((result.holds, result.violations_total), (Some(false), 1), "{:?}", result.violations);
    (result.summary, result.violations[0].clone())
}

#[test]
fn what_was_acknowledged_and_is_there_holds() {
    let result = check_ledger(&three(), &log(&[("a", "c1", 0), ("b", "c3", 0), ("a", "c2", 1)]), &rules());
    assert_eq!(result.holds, Some(true), "{:?}", result.violations);
    assert_eq!(result.summary, "all 3 acknowledged commands of step create are in the log exactly once");
    assert_eq!(result.checked, 3);
}

#[test]
fn a_lost_command_is_named() {
    let (summary, sentence) = only(&three(), &log(&[("a", "c1", 0), ("a", "c2", 1)]));
    assert_eq!(
        sentence,
        "command c3 of step create was acknowledged 15 ms after the start for key b, but is not in the log"
    );
    assert!(summary.starts_with("1 acknowledged command is not in the log; first: command c3"), "{summary}");
}

#[test]
fn a_duplicate_is_named_with_both_places() {
    let (summary, sentence) =
        only(&three(), &log(&[("a", "c1", 0), ("b", "c3", 0), ("a", "c2", 1), ("d", "c3", 0)]));
    assert_eq!(
        sentence,
        "command c3 of step create is in the log more than once (2 times): \
         at position 1 (key b revision 0) and at position 3 (key d revision 0)"
    );
    assert!(summary.starts_with("1 command is in the log more than once"), "{summary}");
}

#[test]
fn a_command_behind_a_later_one_is_named() {
    let (_, sentence) = only(&three(), &log(&[("a", "c2", 0), ("a", "c1", 1), ("b", "c3", 0)]));
    assert_eq!(
        sentence,
        "command c1 of step create was acknowledged 10 ms after the start, before command c2 of step create was \
         sent at 20 ms, but stands behind it in the log, at position 1 (key a revision 1)"
    );
}

#[test]
fn commands_under_way_at_once_may_stand_in_either_order() {
    let mut commands = three();
    commands[1].sent_at = Duration::from_millis(10);
    let result = check_ledger(&commands, &log(&[("a", "c2", 0), ("a", "c1", 1), ("b", "c3", 0)]), &rules());
    assert_eq!(result.holds, Some(true), "{:?}", result.violations);
}

#[test]
fn what_nobody_sent_is_named() {
    let (_, sentence) =
        only(&three(), &log(&[("a", "c1", 0), ("b", "c3", 0), ("a", "c2", 1), ("z", "c9", 0)]));
    assert_eq!(sentence, "the entry at position 3 (key z revision 0) is of command c9, which nobody sent");
    let mut nameless = log(&[("a", "c1", 0), ("b", "c3", 0), ("a", "c2", 1), ("z", "c9", 0)]);
    nameless[3].command = None;
    assert!(only(&three(), &nameless).1.ends_with("names no command"));
}

#[test]
fn the_entry_of_another_step_is_only_foreign_where_kinds_tell_steps_apart() {
    let mut commands = three();
    commands[2].step = "confirm".into();
    let entries = log(&[("a", "c1", 0), ("b", "c3", 0), ("a", "c2", 1)]);
    assert_eq!(check_ledger(&commands, &entries, &rules()).holds, Some(true));
    let strict = Rules { answers: Some("created".to_owned()), ..rules() };
    let result = check_ledger(&commands, &entries, &strict);
    assert_eq!(
        result.violations,
        ["the entry at position 1 (key b revision 0) is of command c3 of step confirm"]
    );
}

#[test]
fn a_hole_and_a_repeated_revision_are_named_once_for_each_key() {
    let (_, sentence) = only(&three(), &log(&[("a", "c1", 0), ("b", "c3", 0), ("a", "c2", 2)]));
    assert_eq!(
        sentence,
        "the history of key a has revision 2 where 1 was expected, at position 2 of command c2"
    );
    let (_, sentence) = only(&three(), &log(&[("a", "c1", 0), ("b", "c3", 0), ("a", "c2", 0)]));
    assert!(sentence.contains("revision 0 where 1 was expected"), "{sentence}");
}

#[test]
fn another_key_than_was_answered_is_named() {
    let (_, sentence) = only(&three(), &log(&[("a", "c1", 0), ("x", "c3", 0), ("a", "c2", 1)]));
    assert!(
        sentence.ends_with("for key b, but is in the log at position 1 (key x revision 0)"),
        "{sentence}"
    );
}

#[test]
fn unknown_at_most_once_and_refused_not_at_all() {
    let with = |acknowledgement| {
        let mut commands = three();
        commands[2].acknowledgement = acknowledgement;
        commands
    };
    let once = log(&[("a", "c1", 0), ("b", "c3", 0), ("a", "c2", 1)]);
    let never = log(&[("a", "c1", 0), ("a", "c2", 1)]);
    let twice = log(&[("a", "c1", 0), ("b", "c3", 0), ("a", "c2", 1), ("b", "c3", 1)]);
    assert_eq!(check_ledger(&with(Unknown), &once, &rules()).holds, Some(true));
    assert_eq!(check_ledger(&with(Unknown), &never, &rules()).holds, Some(true));
    assert!(only(&with(Unknown), &twice).1.contains("more than once"));
    assert_eq!(check_ledger(&with(Refused), &never, &rules()).holds, Some(true));
    assert_eq!(
        only(&with(Refused), &once).1,
        "command c3 of step create was refused, but is in the log at position 1 (key b revision 0)"
    );
}

#[test]
fn duplicates_and_order_can_be_allowed() {
    let lax = Rules { exactly_once: false, per_key_order: false, ..rules() };
    let entries = log(&[("a", "c2", 0), ("a", "c1", 1), ("b", "c3", 0), ("b", "c3", 1)]);
    assert_eq!(check_ledger(&three(), &entries, &lax).holds, Some(true));
}

#[test]
fn where_nothing_was_acknowledged_nothing_is_said() {
    let commands = [command("c1", "a", Unknown, 0, 10)];
    assert_eq!(check_ledger(&commands, &[], &rules()).holds, None);
    assert_eq!(check_ledger(&[], &log(&[("a", "c1", 0)]), &rules()).holds, Some(false));
}

#[test]
fn what_only_might_be_there_is_no_evidence() {
    let commands = [command("c1", "a", Unknown, 0, 10)];
    assert_eq!(check_ledger(&commands, &log(&[("a", "c1", 0)]), &rules()).holds, None);
}

#[test]
fn an_acknowledged_command_without_a_key_is_not_seen_in_histories() {
    let mut commands = three();
    commands[2].key = None;
    let entries = log(&[("a", "c1", 0), ("a", "c2", 1)]);
    for attributed in [true, false] {
        let answers = Some("created".to_owned());
        let rules = Rules { by_key: true, attributed, answers, ..rules() };
        let result = check_ledger(&commands, &entries, &rules);
        assert_eq!(result.holds, None, "{result:?}");
        assert!(result.summary.starts_with("1 acknowledged commands"), "{}", result.summary);
    }
    // In a whole log it is to be found all the same.
    assert_eq!(check_ledger(&commands, &entries, &rules()).holds, Some(false));
}

#[test]
fn numbers_without_kinds_do_not_show_exactly_once() {
    let entries = log(&[("a", "", 0), ("a", "", 1), ("b", "", 0)]);
    let numbers = Rules { attributed: false, ..rules() };
    assert_eq!(check_ledger(&three(), &entries, &numbers).holds, None);
    let lax = Rules { exactly_once: false, ..numbers };
    assert_eq!(check_ledger(&three(), &entries, &lax).holds, Some(true));
}

#[test]
fn without_names_the_numbers_are_checked() {
    let numbers = Rules { attributed: false, answers: Some("created".to_owned()), ..rules() };
    let entries = |list: &[(&str, u64)]| {
        log(&list.iter().map(|(key, revision)| (*key, "", *revision)).collect::<Vec<_>>())
    };
    let holds = |list: &[(&str, u64)]| check_ledger(&three(), &entries(list), &numbers).holds;
    assert_eq!(holds(&[("a", 0), ("a", 1), ("b", 0)]), Some(true));
    assert_eq!(holds(&[("a", 0), ("a", 1)]), Some(false));
    assert_eq!(holds(&[("a", 0), ("a", 1), ("b", 0), ("b", 1)]), Some(false));
}

#[test]
fn thousands_of_violations_are_counted_and_a_few_of_each_kind_told() {
    let commands: Vec<_> = (0..5000).map(|n| command(&format!("c{n}"), "k", Acknowledged, n, n)).collect();
    let mut entries = log(&[("x", "f1", 0)]);
    entries[0].revision = None;
    let result = check_ledger(&commands, &entries, &rules());
    assert_eq!((result.violations_total, result.violations.len()), (5001, 50));
    assert!(
        result.summary.starts_with("5000 acknowledged commands are not in the log, 1 entry"),
        "{}",
        result.summary
    );
}

/// A system that does everything right: commands of a few keys, some at once, applied at a moment between sending and
/// finishing; refused ones never, unknown ones sometimes.
fn valid(seed: u64, count: usize) -> (Vec<SentCommand>, Vec<LedgerEntry>) {
    let mut rng = Seed::new(seed).rng();
    let mut applied = Vec::new();
    let mut commands = Vec::new();
    for n in 0..count {
        let key = format!("k{}", rng.below(4));
        let sent = rng.below(1000);
        let took = rng.below(100);
        let acknowledgement = match rng.below(6) {
            0 => Refused,
            1 => Unknown,
            _ => Acknowledged,
        };
        let id = format!("c{n}");
        if acknowledgement == Acknowledged || (acknowledgement == Unknown && rng.chance(0.5)) {
            applied.push((sent + rng.below(took + 1), key.clone(), id.clone()));
        }
        let mut sent = command(&id, &key, acknowledgement, sent, sent + took);
        // Who got no answer does not know the key.
        sent.key = (acknowledgement != Unknown).then_some(key);
        commands.push(sent);
    }
    applied.sort();
    let mut revisions: HashMap<String, u64> = HashMap::new();
    let entries = (0..).zip(applied).map(|(position, (_, key, id))| {
        let revision = revisions.entry(key.clone()).or_default();
        *revision += 1;
        let revision = Some(*revision - 1);
        LedgerEntry { position, key, command: Some(id), kind: None, revision }
    });
    let entries = entries.collect();
    (commands, entries)
}

/// Numbers the entries anew, so that only the planted fault is wrong.
fn renumbered(mut entries: Vec<LedgerEntry>) -> Vec<LedgerEntry> {
    let mut next: HashMap<String, u64> = HashMap::new();
    for (position, entry) in (0..).zip(&mut entries) {
        let revision = next.entry(entry.key.clone()).or_default();
        entry.position = position;
        entry.revision = Some(*revision);
        *revision += 1;
    }
    entries
}

proptest! {
    #[test]
    fn what_a_right_system_does_holds(seed: u64, count in 1_usize..80) {
        let (commands, entries) = valid(seed, count);
        let result = check_ledger(&commands, &entries, &rules());
        prop_assert_ne!(result.holds, Some(false), "{:?}", result.violations);
    }

    #[test]
    fn any_single_fault_is_found(seed: u64, count in 2_usize..80, fault in 0_u8..8, pick: prop::sample::Index) {
        let (mut commands, mut entries) = valid(seed, count);
        prop_assume!(!entries.is_empty());
        let at = pick.index(entries.len());
        let id = entries[at].command.clone();
        let sent = commands.iter().position(|sent| Some(&sent.command_id) == id.as_ref()).expect("is sent");
        let acknowledged = commands[sent].acknowledgement == Acknowledged;
        match fault {
            0 => {
                prop_assume!(acknowledged);
                entries.remove(at);
                entries = renumbered(entries);
            }
            1 => {
                let copy = entries[at].clone();
                entries.push(copy);
                entries = renumbered(entries);
            }
            2 => entries[at].command = Some("nobody".to_owned()),
            3 => entries[at].revision = entries[at].revision.map(|revision| revision + 1),
            4 => {
                prop_assume!(acknowledged);
                entries[at].key = "another".to_owned();
                entries = renumbered(entries);
            }
            5 => commands[sent].acknowledgement = Refused,
            6 => entries[at].command = None,
            _ => {
                // Moves an entry behind one of its key that was sent only after it was acknowledged.
                prop_assume!(acknowledged);
                let later = entries.iter().rposition(|entry| {
                    let by = commands.iter().find(|sent| Some(&sent.command_id) == entry.command.as_ref());
                    entry.key == entries[at].key && by.is_some_and(|by| by.sent_at > commands[sent].finished_at)
                });
                prop_assume!(later.is_some());
                let moved = entries.remove(at);
                entries.insert(later.unwrap_or_default(), moved);
                entries = renumbered(entries);
            }
        }
        let result = check_ledger(&commands, &entries, &rules());
        prop_assert_eq!(result.holds, Some(false), "fault {} was not found", fault);
    }
}
