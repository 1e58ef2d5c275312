use super::*;

crate::machine! {
    /// A door with a lock.
    enum Door {
        Open => { Shut => Shut },
        Shut => { Open => Open, TurnKey => LockedUp },
        LockedUp => { TurnKey => Shut },
        Walled,
    }

    /// What hands do.
    enum Hand { Open, Shut, TurnKey }

    start: Shut
}

crate::machine! {
    enum Switch { Off => { Press => On }, On => { Press => Off } }
    enum Finger { Press }
    start: Off on Press;
}

#[test]
fn a_command_leads_on_or_is_refused_with_what_is_allowed() {
    assert_eq!(Door::Shut.next(Hand::TurnKey), Ok(Door::LockedUp));
    let illegal = Door::Open.next(Hand::TurnKey).expect_err("it is open");
    assert_eq!(illegal, Illegal { from: Door::Open, command: Hand::TurnKey });
    assert_eq!(illegal.allowed(), [Hand::Shut]);
    assert_eq!(illegal.to_string(), "`open` does not allow `turn_key`, only `shut`");
    let illegal = Door::Walled.next(Hand::Open).expect_err("it is walled up");
    assert_eq!(illegal.to_string(), "`walled` does not allow `open`, for it is an end");
}

#[test]
fn labels_are_all_there_and_in_snake_case() {
    let labels: Vec<_> = Door::ALL.iter().map(|state| state.as_str()).collect();
    assert_eq!(labels, ["open", "shut", "locked_up", "walled"]);
    let labels: Vec<_> = <Hand as Label>::ALL.iter().map(ToString::to_string).collect();
    assert_eq!(labels, ["open", "shut", "turn_key"]);
    assert_eq!(format!("{:>6}|", Door::Open), "  open|");
}

#[test]
fn the_way_to_a_state_is_the_shortest() {
    let path = |state: Door| state.path().map(|path| path.iter().map(|step| step.to).collect::<Vec<_>>());
    assert_eq!(path(Door::Shut), Some(vec![]));
    assert_eq!(path(Door::LockedUp), Some(vec![Door::LockedUp]));
    assert_eq!(path(Door::Walled), None);
    assert_eq!(Lifecycle::Terminated.path().map(|path| path.len()), Some(2));
}

#[test]
fn a_machine_without_end_or_refusal_is_one_too() {
    assert_eq!(Switch::Off.next(Finger::Press).and_then(|on| on.next(Finger::Press)), Ok(Switch::Off));
    assert_eq!((Switch::BIRTH, Door::BIRTH), (Some(Finger::Press), None));
    assert!(!Switch::On.is_end() && Door::Walled.is_end());
    let diagram = "stateDiagram-v2\n    [*] --> off: press\n    off --> on: press\n    on --> off: press\n";
    assert_eq!(Switch::diagram(), diagram);
}

#[test]
fn a_transition_can_be_checked_at_compile_time() {
    const SHUT: Door = match Door::LockedUp.next(Hand::TurnKey) {
        Ok(state) => state,
        Err(_) => panic!("a locked door can be unlocked"),
    };
    assert_eq!(SHUT, Door::Shut);
}

#[cfg(feature = "testing")]
#[test]
fn the_life_cycle_of_what_runs_is_sound_and_allows_what_it_says() {
    use Lifecycle::{Initial, Paused, Running, Terminated};
    let table = [
        (Initial, Control::Start, Running),
        (Running, Control::Pause, Paused),
        (Running, Control::Terminate, Terminated),
        (Paused, Control::Resume, Running),
        (Paused, Control::Terminate, Terminated),
    ];
    assert_eq!(crate::testing::assert_table(table), 4 * 4);
    crate::testing::assert_sound::<Lifecycle>();
}
