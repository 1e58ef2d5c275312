//! `report.html`: one self-contained file.

use minijinja::value::Serde;
use minijinja::{Environment, Value, context};
use serde::Serialize;

use super::plot::{Line, Plot};
use super::{Outcome, Report, StepSeries};

const TEMPLATE: &str = include_str!("report.html");

/// A plot drawn twice, for wide and for narrow pages.
#[derive(Serialize)]
struct Drawn {
    title: String,
    unit: &'static str,
    wide: Value,
    narrow: Value,
    legend: Vec<Legend>,
}

#[derive(Serialize)]
struct Legend {
    name: String,
    class: &'static str,
}

/// Renders a report as a page that needs nothing beside itself.
///
/// # Errors
/// The template and the report do not fit: a defect of this crate.
pub fn html(report: &Report) -> Result<String, minijinja::Error> {
    let mut environment = Environment::new();
    environment.add_filter("measure", measure);
    environment.add_filter("seconds", |ms: u64| format!("{:.1} s", ms as f64 / 1000.0));
    environment.add_filter("grouped", |value: f64| grouped(value));
    environment.add_template("report.html", TEMPLATE)?;
    let plots: Vec<Drawn> = plots(report).into_iter().filter(|plot| !plot.is_empty()).map(draw).collect();
    environment.get_template("report.html")?.render(context! {
        report => Value::from(Serde(report)),
        outcome => report.verdict.outcome.to_string(),
        tone => tone(report.verdict.outcome),
        plots => Value::from(Serde(&plots)),
    })
}

/// Returns the class that colours a verdict.
fn tone(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Pass => "good",
        Outcome::Inconclusive | Outcome::Invalid | Outcome::Refused | Outcome::Interrupted => "unclear",
        _ => "bad",
    }
}

fn draw(plot: Plot) -> Drawn {
    Drawn {
        wide: Value::from_safe_string(plot.svg(760.0, 220.0)),
        narrow: Value::from_safe_string(plot.svg(350.0, 210.0)),
        legend: plot.lines.iter().map(|line| Legend { name: line.name.clone(), class: line.class }).collect(),
        title: plot.title,
        unit: plot.unit,
    }
}

fn plots(report: &Report) -> Vec<Plot> {
    report.steps.iter().flat_map(|step| [latency(report, step), rates(report, step)]).collect()
}

fn base(report: &Report, title: String, unit: &'static str) -> Plot {
    let seconds = |ms: u64| ms as f64 / 1000.0;
    let starts = report.steps.iter().filter_map(|step| step.seconds.first()).map(|second| second.at_ms);
    let ends = report.steps.iter().filter_map(|step| step.seconds.last()).map(|second| second.at_ms + 1000);
    let span = (seconds(starts.min().unwrap_or(0)), seconds(ends.max().unwrap_or(1000)));
    let windows = report.faults.iter().flat_map(|fault| &fault.windows);
    let phases =
        report.phases.iter().filter(|p| ["baseline", "inject", "recover"].contains(&p.name.as_str()));
    Plot {
        title,
        unit,
        logarithmic: false,
        span,
        lines: Vec::new(),
        shaded: windows.map(|window| (seconds(window.from_ms), seconds(window.to_ms))).collect(),
        marks: phases.map(|phase| (seconds(phase.from_ms), phase.name.clone())).collect(),
        bounds: Vec::new(),
    }
}

fn line(
    step: &StepSeries,
    name: &str,
    class: &'static str,
    value: impl Fn(&super::StepSecond) -> Option<f64>,
) -> Line {
    let point = |second: &super::StepSecond| (second.at_ms as f64 / 1000.0 + 0.5, value(second));
    Line { name: name.to_owned(), class, points: step.seconds.iter().map(point).collect() }
}

fn latency(report: &Report, step: &StepSeries) -> Plot {
    let mut plot = base(report, format!("{}: latency of successes", step.name), "ms, logarithmic");
    plot.logarithmic = true;
    plot.lines = vec![
        line(step, "p50", "a", |second| second.p50_ms),
        line(step, "p95", "b", |second| second.p95_ms),
        line(step, "p99", "c", |second| second.p99_ms),
    ];
    let bounds = report.objectives.iter().filter(|o| o.step == step.name && o.unit == "ms");
    plot.bounds = bounds.map(|o| (o.from_ms as f64 / 1000.0, o.to_ms as f64 / 1000.0, o.declared)).collect();
    plot
}

fn rates(report: &Report, step: &StepSeries) -> Plot {
    let mut plot = base(report, format!("{}: rate and errors", step.name), "commands per second");
    plot.lines = vec![
        line(step, "offered", "d", |second| Some(second.offered as f64)),
        line(step, "succeeded", "a", |second| Some(second.succeeded as f64)),
        line(step, "failed", "c", |second| Some(second.failed as f64)),
        line(step, "repeated", "b", |second| Some(second.retries as f64)),
    ];
    plot
}

/// Writes a measured or declared value with its unit.
fn measure(value: Option<f64>, unit: &str) -> String {
    let Some(value) = value else { return "–".to_owned() };
    match unit {
        "ratio" => {
            let text = format!("{:.2}", value * 100.0);
            format!("{} %", text.trim_end_matches('0').trim_end_matches('.'))
        }
        "ms" if value >= 100.0 => format!("{} ms", grouped(value.round())),
        "ms" => format!("{value:.1} ms"),
        _ => grouped(value),
    }
}

/// Writes a number with commas between its thousands.
fn grouped(value: f64) -> String {
    let text = if value == value.trunc() { format!("{value:.0}") } else { format!("{value:.2}") };
    let (whole, fraction) = text.split_once('.').map_or((text.as_str(), None), |(w, f)| (w, Some(f)));
    let (sign, digits) = whole.strip_prefix('-').map_or(("", whole), |digits| ("-", digits));
    let mut out = sign.to_owned();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 3 == 0 {
            out.push(',');
        }
        out.push(digit);
    }
    fraction.into_iter().for_each(|fraction| {
        out.push('.');
        out.push_str(fraction);
    });
    out
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    #[test]
    fn the_page_is_self_contained_and_escapes_what_it_shows() {
        let page = html(&sample::report()).expect("the sample renders");
        assert!(!page.contains("<script>"), "the document's text must be escaped");
        assert!(!page.contains("http://") && !page.contains("https://"), "nothing is loaded from elsewhere");
        for wanted in ["FAIL", "51.2 %", "99 %", "1,204", "delay of 500 ms", "the target lists no lease"] {
            assert!(page.contains(wanted), "{wanted}");
        }
        if let Some(folder) = std::env::var_os("STEADFAST_SAMPLE_REPORT") {
            std::fs::write(std::path::Path::new(&folder).join("sample.html"), page)
                .expect("a writable folder");
        }
    }

    #[test]
    fn values_are_written_with_their_units() {
        assert_eq!(measure(Some(0.9991), "ratio"), "99.91 %");
        assert_eq!(measure(Some(1.0), "ratio"), "100 %");
        assert_eq!(measure(Some(1234.5), "ms"), "1,235 ms");
        assert_eq!(measure(Some(3.25), "ms"), "3.2 ms");
        assert_eq!(measure(None, "ms"), "–");
        assert_eq!(grouped(-1_234_567.0), "-1,234,567");
    }
}
