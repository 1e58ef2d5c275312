use std::time::Duration;

use futures::FutureExt;
use parking_lot::Mutex;
use steadfast_base::Seed;

use super::TransportFactory;
use super::tally::{Tally, check_quiet, handle_all, handle_until, hold};
use super::tools::{
    Checked, Feeding, check, close, marks, open, settle, settlements, skip, subscribe, within,
};
use crate::transport::{Ordering, Outcome, Received, Settlement, Token};

/// Released events come again, in their order; handled ones do not.
///
/// # Errors
/// What the transport got wrong.
pub async fn released_events_come_again(factory: &mut dyn TransportFactory) -> Checked {
    let opened = factory.open().await;
    let receiver = open(&opened, &subscribe("released", 64)).await?;
    let marks = marks(4, 5);
    let feeding = Feeding::start(&opened, &marks, &[usize::MAX]);
    let tally = Mutex::new(Tally::new(&opened));
    let held = hold(&*receiver, &tally, marks.len()).await?;
    feeding.end().await?;

    // Of every other key all events are released, of the rest the last two.
    let is_released = |received: &Received| {
        let mark = opened.feed.mark(&received.event);
        mark.is_some_and(|mark| mark.key % 2 == 1 || mark.number >= 3)
    };
    let (released, handled): (Vec<_>, Vec<_>) = held.into_iter().partition(is_released);
    let mut told = settlements(&handled, Outcome::Handled);
    told.extend(settlements(&released, Outcome::Released));
    settle(&*receiver, &told).await?;
    tally.lock().settled(&handled, Outcome::Handled);
    tally.lock().settled(&released, Outcome::Released);

    let again = hold(&*receiver, &tally, released.len()).await?;
    if opened.source.capabilities().order != Ordering::Unordered {
        for key in 0..4 {
            let numbers = |events: &[Received]| -> Vec<u32> {
                let marks = events.iter().filter_map(|received| opened.feed.mark(&received.event));
                marks.filter(|mark| mark.key == key).map(|mark| mark.number).collect()
            };
            let (first, second) = (numbers(&released), numbers(&again));
            check(first == second, || format!("key {key}: released {first:?}, then came {second:?}"))?;
        }
    }
    settle(&*receiver, &settlements(&again, Outcome::Handled)).await?;
    tally.lock().settled(&again, Outcome::Handled);
    tally.lock().check_complete(&marks)?;
    check_quiet(&*receiver, &tally, "after all were handled").await?;
    close(&*receiver).await
}

/// A receive that is dropped loses no event, whenever that happens.
///
/// # Errors
/// What the transport got wrong.
pub async fn a_dropped_receive_loses_nothing(factory: &mut dyn TransportFactory) -> Checked {
    let opened = factory.open().await;
    let receiver = open(&opened, &subscribe("dropped", 64)).await?;
    let marks = marks(6, 30);
    let feeding = Feeding::start(&opened, &marks, &[2, 1, 5]);
    let tally = Mutex::new(Tally::new(&opened));
    let mut rng = Seed::new(11).rng();
    for _ in 0..300 {
        let mut receive = receiver.receive(4);
        let outcome = match rng.below(3) {
            0 => receive.as_mut().now_or_never(),
            wait => {
                let patience = Duration::from_micros(wait * rng.below(1500));
                tokio::time::timeout(patience, receive.as_mut()).await.ok()
            }
        };
        drop(receive);
        let Some(events) = outcome else { continue };
        let events = events.map_err(|error| format!("receive failed: {error}"))?;
        tally.lock().note(&events)?;
        settle(&*receiver, &settlements(&events, Outcome::Handled)).await?;
        tally.lock().settled(&events, Outcome::Handled);
    }
    handle_all(&*receiver, &tally, 10, &marks).await?;
    feeding.end().await
}

/// What a receiver had not settled when it was dropped, another one of its group gets, in order; what was handled
/// in order it does not get.
///
/// # Errors
/// What the transport got wrong.
pub async fn events_of_a_dropped_receiver_come_again(factory: &mut dyn TransportFactory) -> Checked {
    take_over(factory, false).await
}

/// A group goes on where its last receiver closed: what that had handled does not come again, what it had not
/// does.
///
/// # Errors
/// What the transport got wrong.
pub async fn a_group_resumes_where_it_was(factory: &mut dyn TransportFactory) -> Checked {
    take_over(factory, true).await
}

async fn take_over(factory: &mut dyn TransportFactory, closes: bool) -> Checked {
    let opened = factory.open().await;
    if !opened.source.capabilities().resumes {
        return skip("the transport does not keep where a group is");
    }
    let mut receiver = open(&opened, &subscribe("successors", 20)).await?;
    let marks = marks(5, 12);
    let feeding = Feeding::start(&opened, &marks, &[usize::MAX]);
    let mut tally = Mutex::new(Tally::new(&opened));
    for round in 1..=3 {
        let held = hold(&*receiver, &tally, 15).await?;
        // The oldest first, since some transports can only say "all before this one".
        let (handled, rest) = held.split_at(5 * round);
        settle(&*receiver, &settlements(handled, Outcome::Handled)).await?;
        tally.get_mut().settled(handled, Outcome::Handled);
        tally.get_mut().settled(rest, Outcome::Released);
        if closes {
            close(&*receiver).await?;
        }
        drop(receiver);
        receiver = open(&opened, &subscribe("successors", 20)).await?;
    }
    handle_all(&*receiver, &tally, 10, &marks).await?;
    feeding.end().await
}

/// Settling what was never received, or was settled before, changes nothing.
///
/// # Errors
/// What the transport got wrong.
pub async fn settling_the_unknown_changes_nothing(factory: &mut dyn TransportFactory) -> Checked {
    let opened = factory.open().await;
    let receiver = open(&opened, &subscribe("unknown", 8)).await?;
    let unknown = [0, 1, 99, u64::MAX].map(|token| Token(token ^ 0x5555_0000));
    let strange = unknown
        .map(|token| [Outcome::Handled, Outcome::Released].map(|outcome| Settlement { token, outcome }))
        .concat();
    settle(&*receiver, &strange).await?;
    settle(&*receiver, &[]).await?;

    let marks = marks(3, 4);
    let feeding = Feeding::start(&opened, &marks, &[usize::MAX]);
    let tally = Mutex::new(Tally::new(&opened));
    let held = hold(&*receiver, &tally, 4).await?;
    settle(&*receiver, &strange).await?;
    for outcome in [Outcome::Handled, Outcome::Released, Outcome::Handled] {
        settle(&*receiver, &settlements(&held, outcome)).await?;
    }
    tally.lock().settled(&held, Outcome::Handled);
    handle_until(&*receiver, &tally, 10, marks.len()).await?;
    check_quiet(&*receiver, &tally, "after settling twice").await?;
    within("a settle after closing", async {
        close(&*receiver).await?;
        // Closed: what it says no longer matters, but it must return.
        let _ = receiver.settle(&strange).await;
        Ok(())
    })
    .await?
    .and(feeding.end().await)
}
