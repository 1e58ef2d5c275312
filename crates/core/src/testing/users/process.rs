use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::life::Lives;
use crate::process::{Call, Done, Driver, Ended, Next, Policy, Port, ProcessManager, StepError};
use crate::store::{EventStore, Query};
use crate::testing::store::StoreFactory;
use crate::testing::store::tools::{Checked, check, check_eq, read, usual, within};

/// Does three steps; its services refuse the step whose number it was started with.
struct Trip;

const STEPS: usize = 3;

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Step(usize);

impl ProcessManager for Trip {
    type Input = usize;
    type Step = Step;
    type Output = ();

    fn name(&self) -> &str {
        "trip"
    }

    fn react(&self, _: &usize, done: &[Done<Step, ()>]) -> Next<Step> {
        if done.len() < STEPS { Next::Do(Step(done.len())) } else { Next::Complete }
    }
}

/// What stands by key: 1 done, 0 undone.
#[derive(Default)]
struct World(Mutex<BTreeMap<String, u32>>);

struct Services(Arc<World>);

impl Port<Trip> for Services {
    async fn execute(&self, call: Call<Trip>) -> Result<(), StepError> {
        tokio::task::yield_now().await;
        if call.step().0 == *call.input() {
            return Err(StepError::refused("told to"));
        }
        self.0.0.lock().insert(call.key().to_owned(), 1);
        Ok(())
    }

    async fn undo(&self, call: Call<Trip>) -> Result<(), StepError> {
        tokio::task::yield_now().await;
        self.0.0.lock().insert(call.key().to_owned(), 0);
        Ok(())
    }
}

/// A process manager that dies between its steps, or while it records one, is gone on with by the next, and ends either
/// with each step done or with each undone; its stream says so once.
///
/// # Errors
/// What the store, or a user of it, got wrong.
pub async fn a_process_ends_done_in_whole_or_undone_in_whole(factory: &mut dyn StoreFactory) -> Checked {
    let mut lives = Lives::begin(factory).await;
    // The last is refused nothing.
    for refused in 0..=STEPS {
        process(&mut lives, refused).await.map_err(|problem| format!("process {refused}: {problem}"))?;
    }
    Ok(())
}

async fn process(lives: &mut Lives<'_>, refused: usize) -> Checked {
    let world = Arc::new(World::default());
    let id = format!("{refused}");
    let mut begun = false;
    let ended = loop {
        let mortal = lives.mortal(4);
        let policy = Policy { durability: usual(&*mortal), ..Policy::default() };
        let store = Arc::clone(&mortal) as Arc<dyn EventStore>;
        let driver = Driver::new(Trip, Services(Arc::clone(&world)), store, policy);
        let life = async {
            let resumed = driver.resume().await.map_err(|error| format!("resume failed: {error}"))?;
            check(!begun || resumed == 1, || {
                format!("of one process that had begun {resumed} are unfinished")
            })?;
            let handle = driver.start(id.as_str(), refused).await;
            let mut handle = handle.map_err(|error| format!("start failed: {error}"))?;
            begun = true;
            handle.ended().await.map_err(|error| format!("it is not driven on: {error}"))
        };
        let ended = within("the life of a process manager", mortal.live(life)).await?;
        drop((driver, mortal));
        lives.next().await?;
        match ended {
            Some(ended) => break ended?,
            // Its end may have been recorded when it died.
            None => begun = begun && !has_ended(&*lives.store, &id).await?,
        }
    };
    let done = world.0.lock().clone();
    let steps = |count: usize, state| (0..count).map(|step| (format!("trip-{id}/{step}"), state)).collect();
    match ended {
        Ended::Completed(_) => {
            check_eq("the step that was refused", &refused, &STEPS)?;
            check_eq("what was done", &done, &steps(STEPS, 1))?;
        }
        Ended::Compensated(_) => check_eq("what was undone", &done, &steps(refused, 0))?,
    }
    let kinds = kinds(&*lives.store, &id).await?;
    let count = |kind: &str| kinds.iter().filter(|found| *found == kind).count();
    check_eq("beginnings", &count("trip.started"), &1)?;
    check_eq("ends", &(count("trip.completed") + count("trip.compensated")), &1)?;
    check_eq("steps done", &count("trip.step-done"), &refused.min(STEPS))
}

async fn has_ended(store: &dyn EventStore, id: &str) -> Result<bool, String> {
    let kinds = kinds(store, id).await?;
    Ok(kinds.iter().any(|kind| kind == "trip.completed" || kind == "trip.compensated"))
}

async fn kinds(store: &dyn EventStore, id: &str) -> Result<Vec<String>, String> {
    let events = read(store, Query::stream(format!("trip-{id}"))).await?;
    Ok(events.iter().map(|stored| stored.event.kind().to_owned()).collect())
}
