//! The suite of all transports. A timer has no sink: its clock is moved, and each tick stands for one mark.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures::future::BoxFuture;
use parking_lot::Mutex;
use steadfast_backends::timer::{Config, Missed, Schedule, TimerSource};
use steadfast_base::units::HumanDuration;
use steadfast_base::{Clock as _, ManualClock};
use steadfast_core::Event;
use steadfast_core::testing::transport::{Feed, Mark, Opened, TransportFactory};

struct Timer;

struct Ticks {
    clock: Arc<ManualClock>,
    marks: Mutex<HashMap<SystemTime, Mark>>,
}

impl Feed for Ticks {
    fn feed<'a>(&'a self, marks: &'a [Mark]) -> BoxFuture<'a, Result<(), String>> {
        Box::pin(async move {
            let mut known = self.marks.lock();
            for mark in marks {
                known.insert(self.clock.now() + Duration::from_secs(1), *mark);
                self.clock.advance(Duration::from_secs(1));
            }
            Ok(())
        })
    }

    fn mark(&self, event: &Event) -> Option<Mark> {
        self.marks.lock().get(&event.time()).copied()
    }
}

impl TransportFactory for Timer {
    fn open(&mut self) -> BoxFuture<'_, Opened> {
        let start = UNIX_EPOCH + Duration::from_secs(1_000_000);
        let clock = Arc::new(ManualClock::at(start));
        let schedule = Schedule::Every(HumanDuration(Duration::from_secs(1)));
        let config = Config {
            missed: Missed::All { max: usize::MAX },
            unsettled_max: usize::MAX,
            look_every: HumanDuration(Duration::from_millis(2)),
            ..Config::new("conformance", schedule)
        };
        // Some cases feed before they open a receiver.
        let timer = TimerSource::with_clock(config, clock.clone()).expect("valid").after(start);
        let feed = Ticks { clock, marks: Mutex::default() };
        Box::pin(async { Opened::fed(Arc::new(timer), Arc::new(feed)) })
    }
}

steadfast_core::transport_conformance!(Timer);
