use std::collections::BTreeMap;
use std::time::Duration;

use super::{Counter, Exposition, Kind};

/// Collects what scrape after scrape of one process says.
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use steadfast_slo::prometheus::{Scrapes, parse};
///
/// let mut scrapes = Scrapes::new(100);
/// scrapes.add(Duration::from_secs(1), Some(&parse("hits_total 5\n")?));
/// scrapes.add(Duration::from_secs(2), None);
/// scrapes.add(Duration::from_secs(3), Some(&parse("hits_total 9\n")?));
/// let series = scrapes.into_series();
/// assert_eq!(series[0].points.iter().map(|p| p.value).collect::<Vec<_>>(), [Some(0.0), None, Some(4.0)]);
/// assert_eq!(series[0].missing, 1);
/// # Ok::<(), steadfast_slo::prometheus::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Scrapes {
    series_max: usize,
    series: BTreeMap<String, (Counter, ScrapedSeries)>,
    left_out: u64,
}

/// One series over time.
#[derive(Debug, Clone, PartialEq)]
pub struct ScrapedSeries {
    /// The metric with its labels.
    pub metric: String,
    /// Its kind: of a counter the points are increases, of everything else values.
    pub kind: Kind,
    /// One point for each scrape since the series was first seen.
    pub points: Vec<Point>,
    /// How many of them are missing.
    pub missing: u64,
    /// How often a counter started again.
    pub resets: u64,
}

/// One scrape of a series.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// When, since the start of the run.
    pub at: Duration,
    /// The increase or value; none where the scrape is missing.
    pub value: Option<f64>,
}

impl Scrapes {
    /// Creates a collection of at most `series_max` series; further ones are counted and left out.
    pub fn new(series_max: usize) -> Self {
        Self { series_max, series: BTreeMap::new(), left_out: 0 }
    }

    /// Takes the scrape of the time `at`; none where it is missing. A series that a scrape does not name is missing in
    /// it too.
    pub fn add(&mut self, at: Duration, scrape: Option<&Exposition>) {
        let mut values: BTreeMap<String, (Kind, f64)> = BTreeMap::new();
        for sample in scrape.iter().flat_map(|exposition| &exposition.samples) {
            let kind = scrape.map_or(Kind::Other, |exposition| exposition.kind(&sample.name));
            values.insert(sample.series(), (kind, sample.value));
        }
        for (metric, (kind, _)) in &values {
            if self.series.contains_key(metric) {
                continue;
            }
            if self.series.len() == self.series_max {
                self.left_out += 1;
                continue;
            }
            let series = ScrapedSeries {
                metric: metric.clone(),
                kind: *kind,
                points: Vec::new(),
                missing: 0,
                resets: 0,
            };
            self.series.insert(metric.clone(), (Counter::default(), series));
        }
        for (metric, (counter, series)) in &mut self.series {
            let value = values.get(metric).map(|(_, value)| *value);
            let value = match series.kind {
                Kind::Counter => counter.observe(value),
                Kind::Gauge | Kind::Other => value.filter(|value| value.is_finite()),
            };
            series.missing += u64::from(value.is_none());
            series.resets = counter.resets();
            series.points.push(Point { at, value });
        }
    }

    /// Returns how often a series was left out for want of room.
    pub fn left_out(&self) -> u64 {
        self.left_out
    }

    /// Returns the series, sorted by metric.
    pub fn into_series(self) -> Vec<ScrapedSeries> {
        self.series.into_values().map(|(_, series)| series).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prometheus::parse;

    fn second(second: u64) -> Duration {
        Duration::from_secs(second)
    }

    #[test]
    fn a_series_that_goes_away_is_missing_and_not_zero() {
        let mut scrapes = Scrapes::new(10);
        scrapes.add(second(0), Some(&parse("a 1\nb 2\n").expect("is well-formed")));
        scrapes.add(second(1), Some(&parse("a 3\n").expect("is well-formed")));
        let series = scrapes.into_series();
        assert_eq!(series[0].points[1].value, Some(3.0));
        assert_eq!((series[1].points[1].value, series[1].missing), (None, 1));
    }

    #[test]
    fn there_are_never_more_series_than_the_bound() {
        let mut scrapes = Scrapes::new(1);
        scrapes.add(second(0), Some(&parse("a 1\nb 2\n").expect("is well-formed")));
        assert_eq!(scrapes.left_out(), 1);
        assert_eq!(scrapes.into_series().len(), 1);
    }
}
