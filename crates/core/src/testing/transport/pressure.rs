use std::time::Duration;

use parking_lot::Mutex;
use steadfast_base::Deadline;

use super::TransportFactory;
use super::factory::{Mark, event, usual};
use super::tally::{Tally, handle_all, hold};
use super::tools::{
    Checked, Feeding, QUIET, check, marks, open, receive_for, settle, settlements, skip, subscribe, within,
};
use crate::transport::{Error, Outcome};

/// A receiver never holds more events than it asked for that are not settled, and goes on as they are.
///
/// # Errors
/// What the transport got wrong.
pub async fn the_bound_of_events_in_flight_is_kept(factory: &mut dyn TransportFactory) -> Checked {
    const IN_FLIGHT_MAX: usize = 5;
    let opened = factory.open().await;
    let receiver = open(&opened, &subscribe("bound", IN_FLIGHT_MAX)).await?;
    let marks = marks(10, 3);
    let feeding = Feeding::start(&opened, &marks, &[usize::MAX]);
    let tally = Mutex::new(Tally::new(&opened));
    let mut held = hold(&*receiver, &tally, IN_FLIGHT_MAX).await?;
    for settled in [2, 1, 5, 0] {
        let surplus = receive_for(&*receiver, 100, QUIET).await?;
        check(surplus.is_empty(), || {
            format!("{} events were in flight, at most {IN_FLIGHT_MAX} allowed", held.len() + surplus.len())
        })?;
        let told: Vec<_> = held.drain(..settled).collect();
        settle(&*receiver, &settlements(&told, Outcome::Handled)).await?;
        tally.lock().settled(&told, Outcome::Handled);
        held.extend(hold(&*receiver, &tally, settled).await?);
    }
    settle(&*receiver, &settlements(&held, Outcome::Handled)).await?;
    tally.lock().settled(&held, Outcome::Handled);
    handle_all(&*receiver, &tally, 100, &marks).await?;
    feeding.end().await
}

/// While nothing is settled a sender is held up after as many events as the factory says, and goes on as events
/// are handled; none is lost that was taken, and none is taken that was refused.
///
/// # Errors
/// What the transport got wrong.
pub async fn back_pressure_reaches_the_sender(factory: &mut dyn TransportFactory) -> Checked {
    let Some(capacity) = factory.capacity() else { return skip("the transport stores without a bound") };
    let opened = factory.open().await;
    let Some(sink) = &opened.sink else { return skip("the source has no sink") };
    let receiver = open(&opened, &subscribe("pressure", 1)).await?;
    let mut taken = Vec::new();
    let refusal = loop {
        let mark = Mark { key: 0, number: u32::try_from(taken.len()).unwrap_or(u32::MAX) };
        let deadline = Deadline::within(Duration::from_millis(300));
        match within("send", sink.send(&[event(&mark)], usual(&**sink), deadline)).await? {
            Ok(_) => taken.push(mark),
            Err(error) => break error,
        }
        check(taken.len() <= capacity, || format!("took more than {capacity} events that nobody handled"))?;
    };
    let is_back_pressure = matches!(refusal, Error::Overloaded { .. } | Error::DeadlineExceeded { .. });
    check(is_back_pressure, || format!("a sender was held up with `{refusal}`"))?;

    let tally = Mutex::new(Tally::lossy(&opened));
    let next = u32::try_from(taken.len()).unwrap_or(u32::MAX) + 1;
    let more: Vec<Mark> = (next..next + 20).map(|number| Mark { key: 0, number }).collect();
    let feeding = Feeding::start(&opened, &more, &[1]);
    taken.extend(more);
    // The event whose deadline passed may have arrived too.
    handle_all(&*receiver, &tally, 1, &taken).await?;
    feeding.end().await
}
