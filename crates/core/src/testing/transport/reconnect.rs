use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use steadfast_base::Deadline;
use tokio::task::JoinSet;

use super::TransportFactory;
use super::factory::{Mark, Opened, event, usual};
use super::tally::{Tally, handle_all, handle_until, hold};
use super::tools::{Checked, Feeding, QUIET, check, marks, open, settlements, skip, subscribe, within};
use crate::transport::{Error, Link, LinkState, Outcome};

const NO_CONNECTION: &str = "the transport has no connection that can be lost";

/// A connection that is lost in mid-stream, twice, ends neither receiving nor sending and loses nothing; order is
/// kept but for what comes again.
///
/// # Errors
/// What the transport got wrong.
pub async fn a_lost_connection_loses_nothing(factory: &mut dyn TransportFactory) -> Checked {
    let opened = factory.open().await;
    let receiver = open(&opened, &subscribe("lost", 32)).await?;
    let marks = marks(10, 50);
    let tally = Mutex::new(Tally::lossy(&opened));
    let (first, second) = marks.split_at(marks.len() / 2);
    for (part, end) in [(first, first.len()), (second, marks.len())] {
        let feeding = Feeding::start(&opened, part, &[7, 1]);
        handle_until(&*receiver, &tally, 10, end - part.len() / 2).await?;
        // Handling and sending go on while the connection is lost.
        let losing = async {
            let Some(cut) = factory.cut() else { return Ok(false) };
            within("cutting the connection", cut).await?;
            tokio::time::sleep(QUIET).await;
            within("restoring the connection", factory.restore()).await?;
            Ok::<bool, String>(true)
        };
        let (handled, lost) = tokio::join!(handle_until(&*receiver, &tally, 10, end), losing);
        handled?;
        if !lost? {
            return skip(NO_CONNECTION);
        }
        feeding.end().await?;
    }
    handle_all(&*receiver, &tally, 10, &marks).await
}

/// What is held while the connection is lost is not lost with it: released afterwards, or forgotten by the
/// transport, it comes again.
///
/// # Errors
/// What the transport got wrong.
pub async fn events_in_flight_outlive_a_lost_connection(factory: &mut dyn TransportFactory) -> Checked {
    let opened = factory.open().await;
    let receiver = open(&opened, &subscribe("held", 12)).await?;
    let marks = marks(6, 5);
    let feeding = Feeding::start(&opened, &marks, &[10]);
    let tally = Mutex::new(Tally::lossy(&opened));
    let held = hold(&*receiver, &tally, 12).await?;
    feeding.end().await?;
    let Some(cut) = factory.cut() else { return skip(NO_CONNECTION) };
    within("cutting the connection", cut).await?;
    tokio::time::sleep(QUIET).await;
    within("restoring the connection", factory.restore()).await?;
    let released = settlements(&held, Outcome::Released);
    let telling = async {
        while let Err(error) = receiver.settle(&released).await {
            check(matches!(error, Error::Unavailable { .. }), || format!("settle failed: {error}"))?;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok::<(), String>(())
    };
    within("settle after the connection was lost", telling).await??;
    handle_all(&*receiver, &tally, 10, &marks).await
}

/// The link of receivers and sinks is up while they are connected, down while the connection is lost, and closed
/// in the end.
///
/// # Errors
/// What the transport got wrong.
pub async fn links_tell_how_the_connection_stands(factory: &mut dyn TransportFactory) -> Checked {
    let opened = factory.open().await;
    let receiver = open(&opened, &subscribe("link", 8)).await?;
    let mut receiving = JoinSet::new();
    let pending = Arc::clone(&receiver);
    receiving.spawn(async move { pending.receive(1).await });
    // Sinks that connect on demand are made to; where a receiver has to take the event, it does.
    let feeding = Feeding::start(&opened, &marks(1, 1), &[1]);
    let link = receiver.link();
    reaches(&link, "a receiver's link", "up", |link| *link == Link::Up).await?;
    within("receive", receiving.join_next()).await?;
    feeding.end().await?;
    let sink = opened.sink.as_ref().map(|sink| sink.link());
    if let Some(sink) = &sink {
        reaches(sink, "a sink's link", "up", |link| *link == Link::Up).await?;
    }
    let cut = match factory.cut() {
        Some(cut) => within("cutting the connection", cut).await.map(|()| true)?,
        None => false,
    };
    if cut {
        receiving.spawn({
            let receiver = Arc::clone(&receiver);
            async move { receiver.receive(1).await }
        });
        let is_down = |link: &Link| matches!(link, Link::Down { .. });
        reaches(&link, "a receiver's link", "down", is_down).await?;
        if let (Some(sink), Some(link)) = (&opened.sink, &sink) {
            let down = reaches(link, "a sink's link", "down", is_down);
            let sending = send_until_dropped(&**sink);
            tokio::select! {
                reached = down => reached?,
                () = sending => {}
            }
        }
        within("restoring the connection", factory.restore()).await?;
        reaches(&link, "a receiver's link", "up again", |link| *link == Link::Up).await?;
        if let (Some(sink), Some(link)) = (&opened.sink, &sink) {
            tokio::select! {
                reached = reaches(link, "a sink's link", "up again", |link| *link == Link::Up) => reached?,
                () = send_until_dropped(&**sink) => {}
            }
        }
    }
    close_all(&opened, &receiver).await?;
    reaches(&link, "a receiver's link", "closed", |link| *link == Link::Closed).await?;
    match sink {
        Some(sink) => reaches(&sink, "a sink's link", "closed", |link| *link == Link::Closed).await,
        None => Ok(()),
    }
}

/// Sends now and then, for a sink may learn of its connection only by using it.
async fn send_until_dropped(sink: &dyn crate::transport::Sink) {
    for number in 1.. {
        let deadline = Deadline::within(Duration::from_millis(200));
        let _ = sink.send(&[event(&Mark { key: 9, number })], usual(sink), deadline).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn close_all(opened: &Opened, receiver: &Arc<dyn crate::transport::Receiver>) -> Checked {
    super::tools::close(&**receiver).await?;
    if let Some(sink) = &opened.sink {
        let closed = within("close", sink.close(super::tools::deadline())).await?;
        closed.map_err(|error| format!("close of the sink failed: {error}"))?;
    }
    Ok(())
}

async fn reaches(link: &LinkState, whose: &str, state: &str, is: impl FnMut(&Link) -> bool) -> Checked {
    let mut link = link.clone();
    let last = link.borrow().clone();
    let reached = tokio::time::timeout(super::tools::STEP_MAX, link.wait_for(is)).await;
    match reached {
        Ok(Ok(_)) => Ok(()),
        _ => Err(format!("{whose} did not get {state}; it was {last:?}")),
    }
}

/// A send that reaches nobody fails as unavailable, by its deadline.
///
/// # Errors
/// What the transport got wrong.
pub async fn sending_to_nobody_fails_by_the_deadline(factory: &mut dyn TransportFactory) -> Checked {
    const PATIENCE: Duration = Duration::from_secs(1);
    /// What a busy machine may add.
    const SLACK: Duration = Duration::from_secs(4);
    let Some(sink) = factory.unreachable() else { return skip("the transport is always reachable") };
    let sink = within("making a sink", sink).await?;
    let started = tokio::time::Instant::now();
    let events = [event(&Mark { key: 0, number: 0 })];
    let sent = within("send", sink.send(&events, usual(&*sink), Deadline::within(PATIENCE))).await?;
    check(matches!(sent, Err(Error::Unavailable { .. })), || {
        format!("sending to nobody gave {sent:?} instead of `unavailable`")
    })?;
    check(started.elapsed() < PATIENCE + SLACK, || {
        format!("sending with {PATIENCE:?} left took {:?}", started.elapsed())
    })?;
    within("close", sink.close(Deadline::within(PATIENCE))).await.map(drop)
}
