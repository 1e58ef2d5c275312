use crate::killed;

#[test]
fn child_appends_until_it_is_killed() {
    killed::append_until_killed(super::open);
}

#[test]
fn what_was_acknowledged_survives_a_kill() {
    let rounds = if std::env::var_os("STEADFAST_FULL").is_some() { 4_400 } else { 200 };
    killed::survives("store::kill::child_appends_until_it_is_killed", super::open, rounds);
}
