use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::SystemTime;

use futures::future::BoxFuture;
use parking_lot::Mutex;
use steadfast_base::{Clock, Seed, SystemClock};
use steadfast_core::store::Durability;
use steadfast_core::transport::memory::{self, Broker};
use steadfast_core::transport::{Capabilities, Error, Ordering, Receiver, Source, Subscribe};
use tokio::task::JoinSet;

use super::generator::{Counters, Generator};
use super::plan::Plan;
use super::receiver::TimerReceiver;
use super::{Config, SYSTEM};

/// How many ticks of a group are remembered, so that a clock that is set back far repeats none of them.
const REMEMBERED: usize = 1024;

/// A timer whose ticks are received; see the [module](super).
///
/// Each group gets all ticks from its first receiver on, at its own pace; receivers of one group share them, one at a
/// time and in order. It keeps ticking for a group without receivers, which then misses ticks.
///
/// # Examples
/// ```
/// use std::time::{Duration, SystemTime};
/// use steadfast_backends::timer::{Config, Schedule, TimerSource};
/// use steadfast_base::units::HumanDuration;
/// use steadfast_core::transport::{Source, Subscribe};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), steadfast_core::transport::Error> {
/// let every = Schedule::Every(HumanDuration(Duration::from_millis(10)));
/// let timer = TimerSource::new(Config::new("heartbeat", every))?;
/// let receiver = timer.open(&Subscribe::new("monitor")).await?;
/// let ticks = receiver.receive(1).await?;
/// assert_eq!(ticks[0].event.subject(), Some("heartbeat"));
/// # Ok(()) }
/// ```
pub struct TimerSource {
    timer: Arc<Timer>,
}

/// What a source and its receivers share; its tasks end with the last of them.
pub(super) struct Timer {
    config: Arc<Config>,
    plan: Arc<Plan>,
    clock: Arc<dyn Clock>,
    seed: Seed,
    after: Option<SystemTime>,
    /// One topic for each group, so that a group which falls behind holds up no other.
    broker: Broker,
    groups: Mutex<Groups>,
    counters: Arc<Counters>,
}

#[derive(Default)]
struct Groups {
    names: HashSet<Arc<str>>,
    generators: JoinSet<()>,
}

/// What a timer has counted, over all groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Metrics {
    /// Ticks handed out.
    pub ticks: u64,
    /// Those among them that were missed and made up for.
    pub late: u64,
    /// How often missed ticks were left out; each time it may have been many.
    pub gaps: u64,
}

impl TimerSource {
    /// Makes a timer by the system's clock.
    ///
    /// # Errors
    /// [`Error::Configuration`] when the schedule cannot be read, or its time zone is not known.
    pub fn new(config: Config) -> Result<Self, Error> {
        Self::with_clock(config, Arc::new(SystemClock))
    }

    /// Makes a timer by `clock`.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn with_clock(config: Config, clock: Arc<dyn Clock>) -> Result<Self, Error> {
        let plan = Arc::new(Plan::new(&config.schedule)?);
        let (capacity, deduplicated_events) = (config.unsettled_max.max(1), REMEMBERED);
        let broker = Broker::new(memory::Config { capacity, deduplicated_events });
        let seed = config.seed.map_or_else(Seed::random, Seed::new).derive(&config.name);
        let timer = Timer {
            config: Arc::new(config),
            plan,
            clock,
            seed,
            after: None,
            broker,
            groups: Mutex::default(),
            counters: Arc::default(),
        };
        Ok(Self { timer: Arc::new(timer) })
    }

    /// Takes ticks after `handled` for missed: the due time of the tick that was handled last before a restart.
    ///
    /// # Panics
    /// A receiver has been opened.
    #[must_use]
    pub fn after(mut self, handled: SystemTime) -> Self {
        Arc::get_mut(&mut self.timer).expect("set before a receiver is opened").after = Some(handled);
        self
    }

    /// Returns the next due time after `time`; none once the schedule has no more.
    ///
    /// # Examples
    /// ```
    /// use steadfast_backends::timer::{Config, Schedule, TimerSource};
    /// use steadfast_core::cloudevents::rfc3339;
    ///
    /// let schedule = Schedule::Cron { expression: "0 9 * * *".into(), time_zone: "Europe/Berlin".into() };
    /// let timer = TimerSource::new(Config::new("morning", schedule))?;
    /// let summer = rfc3339::parse("2026-07-01T12:00:00Z").expect("a time");
    /// assert_eq!(timer.next(summer), rfc3339::parse("2026-07-02T07:00:00Z"));
    /// # Ok::<(), steadfast_core::transport::Error>(())
    /// ```
    pub fn next(&self, time: SystemTime) -> Option<SystemTime> {
        self.timer.plan.next(time)
    }

    /// Returns what was counted since the start.
    pub fn metrics(&self) -> Metrics {
        let counters = &self.timer.counters;
        Metrics {
            ticks: counters.ticks.load(Relaxed),
            late: counters.late.load(Relaxed),
            gaps: counters.gaps.load(Relaxed),
        }
    }
}

impl Timer {
    async fn open(self: &Arc<Self>, subscribe: &Subscribe) -> Result<TimerReceiver, Error> {
        // First the group, then its ticks, so that it gets the first one.
        let receiver = self.broker.source(&subscribe.group).open(subscribe).await?;
        let mut groups = self.groups.lock();
        if groups.names.insert(Arc::clone(&subscribe.group)) {
            let generator = Generator {
                config: Arc::clone(&self.config),
                plan: Arc::clone(&self.plan),
                clock: Arc::clone(&self.clock),
                seed: self.seed,
                sink: self.broker.sink(&subscribe.group),
                counters: Arc::clone(&self.counters),
            };
            groups.generators.spawn(generator.run(self.after.unwrap_or_else(|| self.clock.now())));
        }
        drop(groups);
        Ok(TimerReceiver { receiver, _timer: Arc::clone(self) })
    }
}

impl Source for TimerSource {
    fn system(&self) -> &'static str {
        SYSTEM
    }

    fn destination(&self) -> &str {
        &self.timer.config.name
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::new(Ordering::Total, Durability::Accepted).groups().resumes()
    }

    fn open<'a>(&'a self, subscribe: &'a Subscribe) -> BoxFuture<'a, Result<Box<dyn Receiver>, Error>> {
        Box::pin(async { Ok(Box::new(self.timer.open(subscribe).await?) as Box<dyn Receiver>) })
    }
}

impl std::fmt::Debug for TimerSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TimerSource").field("config", &self.timer.config).finish_non_exhaustive()
    }
}
