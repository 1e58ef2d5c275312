use parking_lot::Mutex;

use super::TransportFactory;
use super::tally::{Tally, check_quiet, handle_all, handle_until};
use super::tools::{Checked, Feeding, check_eq, close, feed, marks, marks_from, open, skip, subscribe};
use crate::transport::{Start, Subscribe};

/// A new group begins at the oldest event or after the newest, as it asks; one that has received before goes on
/// where it was, whatever it asks.
///
/// # Errors
/// What the transport got wrong.
pub async fn a_new_group_starts_where_it_asks(factory: &mut dyn TransportFactory) -> Checked {
    let opened = factory.open().await;
    let capabilities = opened.source.capabilities();
    if !capabilities.seek || !capabilities.groups {
        return skip("the transport cannot start groups at the oldest event");
    }
    let new = |group: &str| Subscribe { start: Start::New, ..subscribe(group, 16) };
    feed(&opened, &marks(3, 4)).await?;

    let oldest = Mutex::new(Tally::new(&opened));
    let receiver = open(&opened, &subscribe("oldest", 16)).await?;
    handle_all(&*receiver, &oldest, 10, &marks(3, 4)).await?;
    let newest = Mutex::new(Tally::new(&opened));
    let receiver = open(&opened, &new("new")).await?;

    feed(&opened, &marks_from(3, 4, 2)).await?;
    handle_all(&*receiver, &newest, 10, &marks_from(3, 4, 2)).await?;
    if capabilities.resumes {
        let receiver = open(&opened, &new("oldest")).await?;
        handle_all(&*receiver, &oldest, 10, &marks(3, 6)).await?;
        let receiver = open(&opened, &subscribe("new", 16)).await?;
        check_quiet(&*receiver, &newest, "a group that had started at new events").await?;
        close(&*receiver).await?;
    }
    check_eq("events of the group that started at new events", &newest.lock().handled(), &6)
}

/// Each of several groups receives every event.
///
/// # Errors
/// What the transport got wrong.
pub async fn each_group_receives_every_event(factory: &mut dyn TransportFactory) -> Checked {
    let opened = factory.open().await;
    if !opened.source.capabilities().groups {
        return skip("the transport has no groups");
    }
    let marks = marks(4, 20);
    let mut groups = Vec::new();
    for name in ["a", "b", "c"] {
        groups.push((open(&opened, &subscribe(name, 16)).await?, Mutex::new(Tally::new(&opened))));
    }
    let feeding = Feeding::start(&opened, &marks, &[9]);
    let handling = groups.iter().map(|(receiver, tally)| handle_until(&**receiver, tally, 10, marks.len()));
    futures::future::try_join_all(handling).await?;
    feeding.end().await?;
    for (receiver, tally) in &groups {
        tally.lock().check_complete(&marks)?;
        close(&**receiver).await?;
    }
    Ok(())
}
