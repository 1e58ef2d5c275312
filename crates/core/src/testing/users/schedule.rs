use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::life::Lives;
use crate::Event;
use crate::schedule::Schedule;
use crate::store::EventStore;
use crate::testing::store::StoreFactory;
use crate::testing::store::tools::{Checked, check, check_eq, within};
use crate::transport::{Outcome, Receiver, Settlement, Source, Subscribe};

const SOON: Duration = Duration::from_millis(300);
const NEVER: Duration = Duration::from_secs(3600);

/// A command that was scheduled comes at its time and not before, whoever has died meanwhile, again until it is handled,
/// and then no more; one that was cancelled, or is not due, does not come.
///
/// # Errors
/// What the store, or a user of it, got wrong.
pub async fn a_scheduled_command_comes_at_its_time_until_it_is_handled(
    factory: &mut dyn StoreFactory,
) -> Checked {
    let mut lives = Lives::begin(factory).await;
    let begun = SystemTime::now();
    let [past, soon, cancelled, never] = ["past", "soon", "cancelled", "never"]
        .map(|subject| Event::new("/conformance", "remind").subject(subject).build());
    let at = [
        (&soon, begun + SOON),
        (&past, begun - SOON),
        (&cancelled, begun + SOON / 2),
        (&never, begun + NEVER),
    ];
    // Whoever asks may die as well, and ask again.
    loop {
        let mortal = lives.mortal(5);
        let schedule = schedule(Arc::clone(&mortal) as Arc<dyn EventStore>);
        let asking = async {
            for (command, at) in at {
                let asked = schedule.schedule(command, at).await;
                asked.map_err(|error| format!("scheduling failed: {error}"))?;
            }
            schedule.cancel(cancelled.id()).await.map_err(|error| format!("cancelling failed: {error}"))
        };
        let asked = within("scheduling", mortal.live(asking)).await?;
        drop((schedule, mortal));
        lives.next().await?;
        if let Some(asked) = asked {
            asked?;
            break;
        }
    }
    for (outcome, first, second) in [
        (Outcome::Released, "past", "soon"),
        (Outcome::Handled, "past", "soon"),
        (Outcome::Handled, "end", "-"),
    ] {
        if first == "end" {
            // All are handled: what comes next is what is asked for now.
            let end = Event::new("/conformance", "remind").subject("end").build();
            let asked = schedule(Arc::clone(&lives.store)).schedule(&end, SystemTime::now()).await;
            asked.map_err(|error| format!("scheduling failed: {error}"))?;
        }
        let schedule = schedule(Arc::clone(&lives.store));
        let receiver = schedule.open(&Subscribe::new("conformance")).await;
        let receiver = receiver.map_err(|error| format!("opening a schedule failed: {error}"))?;
        for expected in [first, second].into_iter().filter(|expected| *expected != "-") {
            take(&*receiver, expected, outcome).await?;
            let early = expected == "soon" && SystemTime::now() < begun + SOON;
            check(!early, || "a command came before its time".to_owned())?;
        }
        drop((receiver, schedule));
        lives.next().await?;
    }
    Ok(())
}

fn schedule(store: Arc<dyn EventStore>) -> Schedule {
    Schedule::new(store, "conformance")
}

async fn take(receiver: &dyn Receiver, expected: &str, outcome: Outcome) -> Checked {
    let received = within("waiting for a command", receiver.receive(1)).await?;
    let received = received.map_err(|error| format!("receiving failed: {error}"))?;
    let [received] = &received[..] else { return Err(format!("received {received:?}")) };
    check_eq("the command", &received.event.subject(), &Some(expected))?;
    if outcome == Outcome::Released {
        // It would come again at once, before the others: this life ends with it in hand.
        return Ok(());
    }
    let settlement = Settlement { token: received.token, outcome };
    let settled = within("settling", receiver.settle(&[settlement])).await?;
    settled.map_err(|error| format!("settling failed: {error}"))
}
