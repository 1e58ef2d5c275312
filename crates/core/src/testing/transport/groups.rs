use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use steadfast_base::Seed;
use tokio::task::JoinSet;

use super::TransportFactory;
use super::factory::{Feed, Mark, Opened};
use super::tally::{Tally, handle_all};
use super::tools::{
    Checked, Feeding, STEP_MAX, check, close, marks, marks_from, open, receive_for, settle, settlements,
    skip, subscribe, within,
};
use crate::transport::{Ordering, Outcome, Received, Receiver};

/// Receivers of one group share its events, and where order per key is declared a key is with one of them at a
/// time.
///
/// # Errors
/// What the transport got wrong.
pub async fn receivers_of_a_group_share_the_work(factory: &mut dyn TransportFactory) -> Checked {
    const RECEIVERS: usize = 3;
    let opened = factory.open().await;
    if !opened.source.capabilities().groups {
        return skip("the transport has no groups");
    }
    let mut receivers = Vec::new();
    for _ in 0..RECEIVERS {
        receivers.push(open(&opened, &subscribe("shared", 8)).await?);
    }
    // Some transports take their time to form a group and move keys about meanwhile: what is checked strictly comes
    // once several receivers have had some of the work.
    let tally = Arc::new(Mutex::new(Tally::lossy(&opened)));
    let (started, mut all) = (tokio::time::Instant::now(), Vec::new());
    for round in 0.. {
        let marks = marks_from(16, 12 * round, 12);
        let shared = work_together(&opened, &receivers, &tally, &marks, None).await? > 1;
        all.extend(marks);
        if shared || started.elapsed() > STEP_MAX {
            break;
        }
    }
    let next = all.iter().map(|mark| mark.number + 1).max().unwrap_or_default();
    let marks = marks_from(16, next, 40);
    let holders = Arc::new(Mutex::new(Holders::default()));
    work_together(&opened, &receivers, &tally, &marks, Some(&holders)).await?;
    all.extend(marks);
    tally.lock().check_complete(&all)?;
    let shares = holders.lock().shares.clone();
    check(shares.len() > 1, || format!("one of {RECEIVERS} receivers got all of the work: {shares:?}"))?;
    for receiver in receivers {
        close(&*receiver).await?;
    }
    Ok(())
}

/// Who holds events of which key, and how many each receiver had.
#[derive(Default)]
struct Holders {
    keys: HashMap<u32, (usize, usize)>,
    shares: HashMap<usize, usize>,
}

impl Holders {
    fn take(&mut self, receiver: usize, marks: &[Mark]) -> Checked {
        for Mark { key, .. } in marks {
            let holder = self.keys.entry(*key).or_insert((receiver, 0));
            check(holder.1 == 0 || holder.0 == receiver, || {
                format!("receiver {receiver} got an event of key {key} while receiver {} held one", holder.0)
            })?;
            *holder = (receiver, holder.1 + 1);
            *self.shares.entry(receiver).or_default() += 1;
        }
        Ok(())
    }

    fn give_back(&mut self, marks: &[Mark]) {
        for Mark { key, .. } in marks {
            if let Some(holder) = self.keys.get_mut(key) {
                holder.1 -= 1;
            }
        }
    }
}

/// Feeds `marks` and handles as many events; returns how many receivers had some of them.
async fn work_together(
    opened: &Opened,
    receivers: &[Arc<dyn Receiver>],
    tally: &Arc<Mutex<Tally>>,
    marks: &[Mark],
    holders: Option<&Arc<Mutex<Holders>>>,
) -> Result<usize, String> {
    let enough = tally.lock().handled() + marks.len();
    let strict = holders.is_some() && opened.source.capabilities().order == Ordering::PerKey;
    let feeding = Feeding::start(opened, marks, &[40]);
    let mut workers = JoinSet::new();
    for (number, receiver) in receivers.iter().enumerate() {
        let (receiver, tally) = (Arc::clone(receiver), Arc::clone(tally));
        let holders = holders.map_or_else(Arc::default, Arc::clone);
        workers.spawn(async move {
            let (started, mut had) = (tokio::time::Instant::now(), false);
            while tally.lock().handled() < enough {
                check(started.elapsed() < 2 * STEP_MAX, || {
                    "a group did not get all of its events".to_owned()
                })?;
                let events = receive_for(&*receiver, 8, Duration::from_millis(50)).await?;
                had |= !events.is_empty();
                let marks = tally.lock().note(&events)?;
                let taken = holders.lock().take(number, &marks);
                taken.or_else(|problem| if strict { Err(problem) } else { Ok(()) })?;
                tokio::time::sleep(Duration::from_millis(2)).await;
                // Given back first: as soon as the transport is told, it may hand the key to another.
                holders.lock().give_back(&marks);
                tally.lock().settled(&events, Outcome::Handled);
                settle(&*receiver, &settlements(&events, Outcome::Handled)).await?;
            }
            Ok::<bool, String>(had)
        });
    }
    let mut shares = 0;
    while let Some(worked) = workers.join_next().await {
        shares += usize::from(worked.map_err(|error| error.to_string())??);
    }
    feeding.end().await?;
    Ok(shares)
}

/// Receivers that come and go in whatever way, while events are sent and handled, lose none.
///
/// # Errors
/// What the transport got wrong.
pub async fn receivers_that_come_and_go_lose_nothing(factory: &mut dyn TransportFactory) -> Checked {
    let opened = factory.open().await;
    let capabilities = opened.source.capabilities();
    if !capabilities.groups || !capabilities.resumes {
        return skip("the transport has no groups that go on where they were");
    }
    let marks = marks(20, 25);
    let tally = Arc::new(Mutex::new(Tally::lossy(&opened)));
    let feeding = Feeding::start(&opened, &marks, &[10]);
    let mut rng = Seed::new(5).rng();
    let mut workers = JoinSet::new();
    for _ in 0..8 {
        let receiver = open(&opened, &subscribe("visitors", 16)).await?;
        let lifetime = Duration::from_millis(rng.below(60));
        let (tally, feed, leaves) = (Arc::clone(&tally), Arc::clone(&opened.feed), rng.below(3));
        workers.spawn(async move { visit(receiver, &tally, &*feed, lifetime, leaves).await });
        tokio::time::sleep(Duration::from_millis(rng.below(20))).await;
    }
    while let Some(visited) = workers.join_next().await {
        visited.map_err(|error| error.to_string())??;
    }
    let last = open(&opened, &subscribe("visitors", 16)).await?;
    handle_all(&*last, &tally, 10, &marks).await?;
    feeding.end().await
}

/// Handles some of what comes for `lifetime`, then leaves with some held: by closing, by being dropped, or by being
/// dropped with a receive under way.
async fn visit(
    receiver: Arc<dyn Receiver>,
    tally: &Mutex<Tally>,
    feed: &dyn Feed,
    lifetime: Duration,
    leaves: u64,
) -> Checked {
    let until = tokio::time::Instant::now() + lifetime;
    while tokio::time::Instant::now() < until {
        let events = receive_for(&*receiver, 6, Duration::from_millis(10)).await?;
        tally.lock().note(&events)?;
        let is_handled = |received: &Received| feed.mark(&received.event).is_none_or(|mark| mark.key % 3 > 0);
        let (handled, rest): (Vec<_>, Vec<_>) = events.into_iter().partition(is_handled);
        settle(&*receiver, &settlements(&handled, Outcome::Handled)).await?;
        tally.lock().settled(&handled, Outcome::Handled);
        if leaves == 0 {
            settle(&*receiver, &settlements(&rest, Outcome::Released)).await?;
        }
    }
    if leaves < 2 {
        return close(&*receiver).await;
    }
    let _ = tokio::time::timeout(Duration::from_millis(1), receiver.receive(3)).await;
    Ok(())
}

/// One receiver after another, each closed while it receives and settles, and a sender all the while: nothing is
/// lost.
///
/// # Errors
/// What the transport got wrong.
pub async fn nothing_is_lost_when_a_receiver_closes_under_load(
    factory: &mut dyn TransportFactory,
) -> Checked {
    let opened = factory.open().await;
    if !opened.source.capabilities().resumes {
        return skip("the transport does not keep where a group is");
    }
    let tally = Arc::new(Mutex::new(Tally::lossy(&opened)));
    let marks = marks(10, 60);
    let feeding = Feeding::start(&opened, &marks, &[5]);
    for round in 0..5 {
        let receiver = open(&opened, &subscribe("closing", 16)).await?;
        let (closing, tally_of_worker) = (Arc::clone(&receiver), Arc::clone(&tally));
        let mut worker = JoinSet::new();
        worker.spawn(async move { handle_until_closed(&*closing, &tally_of_worker).await });
        let enough = marks.len().min(tally.lock().handled() + 10 * round);
        let some = async {
            while tally.lock().handled() < enough {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::select! {
            reached = within("handling some", some) => reached?,
            worked = worker.join_next() => return Err(format!("a receiver that is open ended: {worked:?}")),
        }
        close(&*receiver).await?;
        while let Some(worked) = worker.join_next().await {
            worked.map_err(|error| error.to_string())??;
        }
    }
    let last = open(&opened, &subscribe("closing", 16)).await?;
    handle_all(&*last, &tally, 10, &marks).await?;
    feeding.end().await
}

async fn handle_until_closed(receiver: &dyn Receiver, tally: &Mutex<Tally>) -> Checked {
    loop {
        let received = within("receive", receiver.receive(3)).await?;
        let events = received.map_err(|error| format!("receive failed: {error}"))?;
        if events.is_empty() {
            return Ok(());
        }
        tally.lock().note(&events)?;
        // Handling takes a while, so that closing falls into it.
        tokio::time::sleep(Duration::from_millis(1)).await;
        let told = settlements(&events, Outcome::Handled);
        // While it closes it may refuse; then the events come again.
        if within("settle", receiver.settle(&told)).await?.is_ok() {
            tally.lock().settled(&events, Outcome::Handled);
        }
    }
}
