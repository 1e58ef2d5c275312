use std::time::Duration;

use steadfast_core::Event;
use steadfast_core::transport::{Outcome, Settlement};
use tokio::time::Instant;

use super::{Kind, State};

const LEASE: Duration = Duration::from_secs(10);

struct Numbers;

impl Kind for Numbers {
    type Id = u64;
    type Handle = u64;
    type Note = ();
}

fn state() -> State<Numbers> {
    let mut state = State::new(10);
    assert!(state.own(&[0, 1], Instant::now() + LEASE, false).is_empty());
    state
}

fn take(state: &mut State<Numbers>, shard: u32, id: u64) {
    state.take(shard, id, id, Event::new("/test", id.to_string()).build(), 0);
}

fn hand_out(state: &mut State<Numbers>) -> Vec<(String, Settlement)> {
    let settlement = |token| Settlement { token, outcome: Outcome::Released };
    let received = state.hand_out(10).into_iter();
    received.map(|received| (received.event.kind().to_owned(), settlement(received.token))).collect()
}

#[tokio::test(start_paused = true)]
async fn what_was_read_before_the_lease_ran_out_is_not_handed_out_after_it_is_renewed() {
    let mut state = state();
    take(&mut state, 0, 1);
    tokio::time::advance(LEASE).await;
    assert!(hand_out(&mut state).is_empty(), "the lease has run out");
    // Another may have had the shard, and handled 1 and more.
    assert_eq!(state.own(&[0, 1], Instant::now() + LEASE, false), [1], "it goes back");
    assert!(hand_out(&mut state).is_empty());
    take(&mut state, 0, 1);
    tokio::time::advance(LEASE).await;
    assert!(state.own(&[0, 1], Instant::now() + LEASE, true).is_empty(), "nobody else was there");
    assert_eq!(hand_out(&mut state).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_is_held_while_another_has_the_shard_is_not_taken_for_ours() {
    let mut state = state();
    take(&mut state, 0, 5);
    let held = hand_out(&mut state);
    assert_eq!(state.unsettled_to(0, 9), 1);
    state.own(&[1], Instant::now() + LEASE, false);
    state.own(&[0, 1], Instant::now() + LEASE, false);
    // The other may have handled 5: what the server still waits for is another message.
    assert_eq!(state.unsettled_to(0, 9), 0);
    assert!(state.settle(&[held[0].1]));
    assert!(hand_out(&mut state).is_empty(), "a released one comes from the server, if it is to come again");
    assert!(state.words().0.iter().all(|word| !word.kept), "which is told so");

    take(&mut state, 0, 5);
    let held = hand_out(&mut state);
    state.own(&[1], Instant::now() + LEASE, false);
    state.own(&[0, 1], Instant::now() + LEASE, false);
    assert!(state.renew(0, 5, &50), "the server gives it to us again");
    assert_eq!(state.unsettled_to(0, 9), 1);
    assert!(state.settle(&[held[0].1]));
    assert_eq!(hand_out(&mut state).len(), 1);
}
