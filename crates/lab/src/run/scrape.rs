//! Prometheus scrapes beside the load: each second, with counter resets seen; a missing scrape is never good.

use std::time::{Duration, Instant};

use steadfast_load::Targets;
use steadfast_slo::prometheus::{self, Exposition, Kind, Scrapes};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::http::Client;
use crate::report::{ScrapePoint, ScrapeSeries};
use crate::spec::Experiment;

/// How often each process is scraped.
const INTERVAL: Duration = Duration::from_secs(1);

/// How long a scrape may take, and how large its answer may be.
const TIMEOUT: Duration = Duration::from_millis(900);
const BYTES_MAX: usize = 4 << 20;

/// Most series that are kept of one process.
const SERIES_MAX: usize = 200;

/// Scrapes every process that has metrics until it is finished.
pub(crate) struct Scraper {
    stop: CancellationToken,
    tasks: Vec<(String, JoinHandle<OfProcess>)>,
}

/// The series of one process, and whether it has more.
type OfProcess = (Vec<ScrapeSeries>, bool);

/// All that was scraped.
pub(crate) struct Scraped {
    pub(crate) series: Vec<ScrapeSeries>,
    /// The processes that have metrics of which not one scrape was answered.
    pub(crate) unreachable: Vec<String>,
    /// The processes that have more series than are kept.
    pub(crate) cut: Vec<String>,
}

impl Scraped {
    /// Says of which processes not every series was kept.
    pub(crate) fn cuts(&self) -> impl Iterator<Item = String> {
        self.cut.iter().map(|process| {
            format!("{process} has more than {SERIES_MAX} series of metrics; only as many are in the report")
        })
    }
}

impl Scraper {
    pub(crate) fn start(experiment: &Experiment, targets: &Targets, run_start: Instant) -> Self {
        let stop = CancellationToken::new();
        let tasks = experiment.system.processes.iter().filter_map(|process| {
            let target = Target {
                process: process.name.clone(),
                path: process.metrics.clone()?,
                targets: targets.clone(),
                run_start,
                stop: stop.clone(),
            };
            Some((process.name.clone(), tokio::spawn(target.until_stopped())))
        });
        Self { tasks: tasks.collect(), stop }
    }

    /// Stops scraping and returns all series.
    pub(crate) async fn finish(self) -> Scraped {
        self.stop.cancel();
        let mut all = Scraped { series: Vec::new(), unreachable: Vec::new(), cut: Vec::new() };
        for (process, task) in self.tasks {
            let (series, cut) = task.await.unwrap_or_default();
            if series.is_empty() {
                all.unreachable.push(process);
            } else if cut {
                all.cut.push(process);
            }
            all.series.extend(series);
        }
        all
    }
}

struct Target {
    process: String,
    path: String,
    targets: Targets,
    run_start: Instant,
    stop: CancellationToken,
}

impl Target {
    async fn until_stopped(self) -> OfProcess {
        let client = Client::new(TIMEOUT, BYTES_MAX);
        let mut scrapes = Scrapes::new(SERIES_MAX);
        let mut tick = tokio::time::interval(INTERVAL);
        loop {
            tokio::select! {
                _ = tick.tick() => {}
                () = self.stop.cancelled() => break,
            }
            let scraped = tokio::select! {
                scraped = self.scrape(&client) => scraped,
                () = self.stop.cancelled() => break,
            };
            scrapes.add(self.run_start.elapsed(), scraped.as_ref());
        }
        let cut = scrapes.left_out() > 0;
        let series = scrapes.into_series().into_iter();
        (series.map(|series| in_report(&self.process, series)).collect(), cut)
    }

    async fn scrape(&self, client: &Client) -> Option<Exposition> {
        let url = self.targets.get(&format!("{}.url", self.process))?;
        let answer = client.get(&format!("{}{}", url.trim_end_matches('/'), self.path)).await.ok()?;
        let text = std::str::from_utf8(&answer.body).ok().filter(|_| answer.status.is_success())?;
        prometheus::parse(text).ok()
    }
}

fn in_report(process: &str, series: prometheus::ScrapedSeries) -> ScrapeSeries {
    let point =
        |point: prometheus::Point| ScrapePoint { at_ms: point.at.as_millis() as u64, value: point.value };
    ScrapeSeries {
        process: process.to_owned(),
        metric: series.metric,
        kind: if series.kind == Kind::Counter { "counter" } else { "gauge" }.to_owned(),
        points: series.points.into_iter().map(point).collect(),
        missing: series.missing,
    }
}
