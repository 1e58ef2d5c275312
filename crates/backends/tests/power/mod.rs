//! A store on a file system that loses power, at random moments, or whose process dies; what it has promised must be
//! there afterwards.
//!
//! A store brings a [`Place`], or what is [`Served`] by a server. What must be there is what `steadfast_core::testing::store::survives_crashes` says.

mod on_server;

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::FutureExt;
use futures::future::BoxFuture;
use steadfast_base::{Rng, Seed};
use steadfast_core::store::{Durability, EventStore};
use steadfast_core::testing;
use steadfast_core::testing::store::{
    self as suite, Checked, Crash, CrashTest, StoreFactory, survives_crashes,
};
use steadfast_servers::power::{Cut, PowerCutFs};

#[allow(unused_imports, reason = "files have no server")]
pub(crate) use on_server::{OnServer, Served};

/// How many batches are acknowledged before the power goes, at least.
const ACKNOWLEDGED: usize = 40;

/// What a store needs to be started, and started again, on a file system that loses power.
pub(crate) trait Place: Send {
    /// Opens the store on what is there: starts what serves it, if it does not run, and connects to it. What it makes
    /// once, before the test, it may make durable itself.
    fn open<'a>(&'a mut self, fs: &'a PowerCutFs) -> BoxFuture<'a, Arc<dyn EventStore>>;

    /// Kills what serves the store, if it is another process.
    fn kill(&mut self) {}
}

/// The process that serves the files; a test that does nothing else.
#[test]
fn serves_files() {
    steadfast_servers::power::serve_if_asked();
}

struct OnPowerCutFs<P> {
    // Dropped first: a server ends before its files go.
    place: P,
    fs: PowerCutFs,
    rng: Rng,
    /// Whether a cut may leave some of what was not synced.
    tears: bool,
}

impl<P: Place> StoreFactory for OnPowerCutFs<P> {
    fn open(&mut self) -> BoxFuture<'_, Arc<dyn EventStore>> {
        self.place.open(&self.fs)
    }

    fn crash(&mut self, crash: Crash) -> Option<BoxFuture<'_, Arc<dyn EventStore>>> {
        let torn = self.tears && self.rng.chance(0.7);
        let seed = Seed::new(self.rng.next_u64());
        let cut = match crash {
            Crash::Process => Cut::KeepAll,
            Crash::Power if torn => Cut::Torn(seed),
            Crash::Power => Cut::DropAll,
        };
        self.fs.cut(cut).expect("cut");
        tokio::task::block_in_place(|| self.place.kill());
        let back = async {
            self.fs.restore().expect("it is mounted again");
            self.place.open(&self.fs).await
        };
        Some(back.boxed())
    }
}

/// How many cuts a test makes, of which there are `usual` where little time is.
pub(crate) fn rounds(usual: usize) -> usize {
    if std::env::var_os("STEADFAST_FULL").is_some() { usual * 5 } else { usual }
}

/// Cuts the power `rounds` times while batches are appended as durable; everything that was acknowledged must be there.
#[allow(dead_code, reason = "not every server survives a write that is torn")]
pub(crate) fn survives(place: impl Place, rounds: usize) {
    let (promised, took) =
        test(place, Durability::Durable, rounds, true, ACKNOWLEDGED).expect("nothing is lost");
    eprintln!("{promised} acknowledged batches survived {rounds} losses of power, in {took:.1?}");
}

/// Does the same with cuts that drop all that was not synced, and leave none of it behind something that is missing.
#[allow(dead_code, reason = "most stores survive both")]
pub(crate) fn survives_untorn(place: impl Place, rounds: usize) {
    survives_untorn_after(place, rounds, ACKNOWLEDGED);
}

/// Does the same, each time after at least so many batches were acknowledged.
#[allow(dead_code, reason = "most stores are quick")]
pub(crate) fn survives_untorn_after(place: impl Place, rounds: usize, acknowledged: usize) {
    let (promised, took) =
        test(place, Durability::Durable, rounds, false, acknowledged).expect("nothing is lost");
    eprintln!("{promised} acknowledged batches survived {rounds} losses of power, in {took:.1?}");
}

/// Runs a case of the suite that crashes; of what was not synced a loss of power leaves nothing.
#[allow(dead_code, reason = "the file log has a simulated disk for these")]
pub(crate) fn passes(place: impl Place, case: impl AsyncFnOnce(&mut dyn StoreFactory) -> Checked) {
    let fs = PowerCutFs::mount("power::serves_files").expect("it is mounted");
    let mut factory = OnPowerCutFs { place, fs, rng: Seed::new(0).rng(), tears: false };
    if let Err(problem) = suite::run(case(&mut factory)) {
        panic!("{problem}");
    }
}

/// Asserts that a cut which drops all that was not synced loses what this store has acknowledged as `durability`.
pub(crate) fn is_caught(place: impl Place, durability: Durability) {
    let problem = test(place, durability, 1, false, ACKNOWLEDGED).expect_err("the test must notice");
    assert!(problem.contains("is lost"), "{problem}");
}

fn test(
    place: impl Place,
    durability: Durability,
    rounds: usize,
    tears: bool,
    acknowledged: usize,
) -> Result<(u64, Duration), String> {
    // It repeats a run as far as its threads do.
    let seed = testing::seed();
    let fs = PowerCutFs::mount("power::serves_files").expect("it is mounted");
    let mut factory = OnPowerCutFs { place, fs, rng: seed.stream("cuts"), tears };
    let test = CrashTest { rounds, acknowledged, ..CrashTest::new(Crash::Power, durability, seed) };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let started = Instant::now();
    let promised = runtime.expect("a runtime").block_on(survives_crashes(&mut factory, &test))?;
    Ok((promised, started.elapsed()))
}
