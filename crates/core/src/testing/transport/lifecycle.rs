use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::task::JoinSet;

use super::TransportFactory;
use super::factory::{Mark, event, usual};
use super::tally::{Tally, handle_all, handle_until, handle_while};
use super::tools::{
    Checked, Feeding, check, check_eq, close, deadline, marks, marks_from, open, receive_for, settle,
    settlements, skip, subscribe, within,
};
use crate::store::Durability;
use crate::transport::{Error, Outcome};

/// Closing ends a receive that waits, in time and with nothing; later ones return nothing at once, and closing
/// again is allowed. A closed sink takes nothing.
///
/// # Errors
/// What the transport got wrong.
pub async fn closing_is_clean(factory: &mut dyn TransportFactory) -> Checked {
    let opened = factory.open().await;
    let receiver = open(&opened, &subscribe("clean", 8)).await?;
    let tally = Mutex::new(Tally::new(&opened));
    let feeding = Feeding::start(&opened, &marks(2, 3), &[6]);
    handle_until(&*receiver, &tally, 10, 6).await?;
    feeding.end().await?;

    let mut waiting = JoinSet::new();
    for _ in 0..2 {
        let receiver = Arc::clone(&receiver);
        waiting.spawn(async move { receiver.receive(5).await });
    }
    tokio::time::sleep(Duration::from_millis(20)).await;
    close(&*receiver).await?;
    close(&*receiver).await?;
    while let Some(ended) =
        within("a receive that waits while its receiver closes", waiting.join_next()).await?
    {
        check_ended(&ended.map_err(|error| error.to_string())?)?;
    }
    check_ended(&within("a receive after closing", receiver.receive(5)).await?)?;

    let Some(sink) = &opened.sink else { return Ok(()) };
    for _ in 0..2 {
        let closed = within("close of the sink", sink.close(deadline())).await?;
        closed.map_err(|error| format!("close of the sink failed: {error}"))?;
    }
    let late = [event(&Mark { key: 0, number: 99 })];
    let sent = within("send after closing", sink.send(&late, usual(&**sink), deadline())).await?;
    check(matches!(sent, Err(Error::Closed)), || {
        format!("send after closing gave {sent:?} instead of `closed`")
    })
}

fn check_ended(received: &Result<Vec<crate::transport::Received>, Error>) -> Checked {
    check(matches!(received, Ok(events) if events.is_empty()), || {
        format!("a receive gave {received:?} after closing, instead of nothing")
    })
}

/// Receivers that were closed or dropped leave no task behind.
///
/// # Errors
/// What the transport got wrong.
pub async fn receivers_leave_no_task_behind(factory: &mut dyn TransportFactory) -> Checked {
    const ROUNDS: u32 = 6;
    let opened = factory.open().await;
    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let tally = Mutex::new(Tally::lossy(&opened));
    let mut before = 0;
    for round in 0..ROUNDS {
        let receiver = open(&opened, &subscribe("tasks", 8)).await?;
        let feeding = Feeding::start(&opened, &marks_from(3, 2 * round, 2), &[6]);
        handle_until(&*receiver, &tally, 2, 6 * (round as usize + 1)).await?;
        feeding.end().await?;
        if round % 2 == 0 {
            close(&*receiver).await?;
        } else {
            let _ = receive_for(&*receiver, 1, Duration::from_millis(5)).await?;
        }
        drop(receiver);
        if round == 0 {
            // What is started once, such as a connection that receivers share, may stay.
            tokio::time::sleep(super::tools::QUIET).await;
            before = tasks();
        }
    }
    let ended = async {
        while tasks() > before {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    within("ending of tasks", ended).await.map_err(|_| {
        format!("{} tasks are left of {} receivers, after the first there were {before}", tasks(), ROUNDS - 1)
    })
}

/// What a sink said it took, while it was being closed, arrives.
///
/// # Errors
/// What the transport got wrong.
pub async fn nothing_is_lost_when_a_sink_closes_under_load(factory: &mut dyn TransportFactory) -> Checked {
    let opened = factory.open().await;
    let Some(sink) = &opened.sink else { return skip("the source has no sink") };
    let receiver = open(&opened, &subscribe("closing", 64)).await?;
    let tally = Arc::new(Mutex::new(Tally::of_many_senders(&opened)));
    let taken = Arc::new(Mutex::new(Vec::new()));
    let mut senders = JoinSet::new();
    for key in 0..4 {
        let (sink, taken) = (Arc::clone(sink), Arc::clone(&taken));
        senders.spawn(async move {
            for number in 0.. {
                let mark = Mark { key, number };
                match within("send", sink.send(&[event(&mark)], usual(&*sink), deadline())).await? {
                    Ok(_) => taken.lock().push(mark),
                    Err(_) => return Ok::<(), String>(()),
                }
                // A sink that never waits leaves no turn to others.
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            Ok(())
        });
    }
    let handling = async {
        handle_until(&*receiver, &tally, 10, 42).await?;
        let is_over = AtomicBool::new(false);
        let closing = async {
            let closed = within("close of the sink", sink.close(deadline())).await;
            // What was being sent may still wait for room, so handling goes on meanwhile.
            let sent = match closed {
                Ok(Ok(())) => within("the end of sending", senders.join_all()).await,
                Ok(Err(error)) => Err(format!("close of the sink failed: {error}")),
                Err(hung) => Err(hung),
            };
            is_over.store(true, Ordering::Relaxed);
            sent?.into_iter().collect::<Checked>()
        };
        let goes_on = |_: &Tally| !is_over.load(Ordering::Relaxed);
        let (closed, handled) = tokio::join!(closing, handle_while(&*receiver, &tally, 10, goes_on));
        closed.and(handled)
    };
    handling.await?;
    let taken = taken.lock().clone();
    handle_all(&*receiver, &tally, 10, &taken).await
}

/// A durability above what is declared is refused, never lowered; what is declared is achieved.
///
/// # Errors
/// What the transport got wrong.
pub async fn unsupported_durability_is_refused(factory: &mut dyn TransportFactory) -> Checked {
    let opened = factory.open().await;
    let Some(sink) = &opened.sink else { return skip("the source has no sink") };
    let receiver = open(&opened, &subscribe("durability", 64)).await?;
    let max = sink.capabilities().durability_max;
    let levels = [Durability::Accepted, Durability::Written, Durability::Durable, Durability::Replicated];
    for (number, asked) in (0..).zip(levels) {
        let events = [event(&Mark { key: 0, number })];
        let handling = async {
            if asked > max {
                return Ok(Vec::new());
            }
            // A transport may say that an event is durable only once it is handled.
            let events = super::tools::receive(&*receiver, 1).await?;
            settle(&*receiver, &settlements(&events, Outcome::Handled)).await?;
            Ok::<_, String>(events)
        };
        let (sent, received) = tokio::join!(within("send", sink.send(&events, asked, deadline())), handling);
        let (sent, received) = (sent?, received?);
        if asked > max {
            check(matches!(sent, Err(Error::Unsupported { .. })), || {
                format!("durability {asked} above {max} gave {sent:?} instead of `unsupported`")
            })?;
        } else {
            let achieved = sent.map_err(|error| format!("send as {asked} failed: {error}"))?;
            check((asked..=max).contains(&achieved), || {
                format!("asked for {asked} of at most {max}, achieved {achieved}")
            })?;
            check_eq("events", &received.len(), &1)?;
        }
    }
    close(&*receiver).await
}
