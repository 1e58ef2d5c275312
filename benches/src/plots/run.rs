//! Runs in virtual time, and their values second by second.

use std::future::Future;
use std::time::Duration;

use steadfast_base::Seed;
use steadfast_guard::Error;
use steadfast_guard::testing::Failure;
use steadfast_guard::testing::bare::Done;
use steadfast_guard::testing::overload::{Ask, Load, Seen, Server};
use steadfast_lab::report::plot::{Line, Plot};
use tokio::time::sleep;
use tower::util::BoxCloneService;

pub(super) const SECOND: Duration = Duration::from_secs(1);
pub(super) const MS: Duration = Duration::from_millis(1);
/// When what goes wrong begins and ends, in seconds.
pub(super) const WRONG: (u32, u32) = (10, 25);

/// A way to the callee, with guards or without.
pub(super) type Way = BoxCloneService<Ask, Done, Error<Failure>>;

pub(super) fn seed() -> Seed {
    Seed::new(1)
}

/// Sixteen calls at a time of 20 ms each: 800 per second.
pub(super) fn server() -> Server {
    Server::new(16, 20 * MS, seed())
}

/// Runs `work` with a clock that moves on when there is nothing to do.
pub(super) fn paused<T>(work: impl Future<Output = T>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?;
    Ok(runtime.block_on(work))
}

/// Offers `load` to `way`; `begin` and `end` are called when it goes wrong and when it is well again.
pub(super) async fn offer(load: Load, way: &Way, begin: impl FnOnce(), end: impl FnOnce()) -> Seen {
    let (from, to) = WRONG;
    let weather = async {
        sleep(from * SECOND).await;
        begin();
        sleep((to - from) * SECOND).await;
        end();
    };
    let mut rng = seed().stream("arrivals");
    tokio::join!(load.offer(way, &mut rng), weather).0
}

/// Returns a value for each second.
pub(super) fn per_second(seen: &Seen, value: impl Fn(&Seen) -> Option<f64>) -> Vec<(f64, Option<f64>)> {
    let seconds = seen.length.as_secs() as u32;
    (0..seconds)
        .map(|second| {
            let part = seen.between(second * SECOND, (second + 1) * SECOND);
            (f64::from(second) + 0.5, value(&part))
        })
        .collect()
}

/// Returns how much a counter grows in each second.
pub(super) async fn growth(seconds: u32, counter: impl Fn() -> u64) -> Vec<(f64, Option<f64>)> {
    let mut points = Vec::new();
    let mut before = counter();
    for second in 0..seconds {
        sleep(SECOND).await;
        let now = counter();
        points.push((f64::from(second) + 0.5, Some((now - before) as f64)));
        before = now;
    }
    points
}

pub(super) fn goodput(seen: &Seen) -> Vec<(f64, Option<f64>)> {
    per_second(seen, |part| Some(part.goodput()))
}

pub(super) fn line(class: &'static str, name: &str, points: Vec<(f64, Option<f64>)>) -> Line {
    Line { name: name.to_owned(), class, points }
}

/// Makes a plot of `seconds`, with what goes `wrong` shaded and said.
pub(super) fn plot(title: &str, unit: &'static str, seconds: u32, wrong: &str, lines: Vec<Line>) -> Plot {
    let (from, to) = (f64::from(WRONG.0), f64::from(WRONG.1));
    Plot {
        title: title.to_owned(),
        unit,
        logarithmic: false,
        span: (0.0, f64::from(seconds)),
        lines,
        shaded: vec![(from, to)],
        marks: vec![(from, wrong.to_owned())],
        bounds: Vec::new(),
    }
}
