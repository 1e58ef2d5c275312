//! The view on a terminal: what happened scrolls above, the present stands below.

use std::fmt::Write;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use steadfast_base::units::format_duration;
use steadfast_lab::run::{Event, Progress, Snapshot};

use super::plain;

/// Draws on standard error and takes the drawing away when dropped.
#[derive(Debug)]
pub(crate) struct Live {
    bar: ProgressBar,
}

impl Live {
    pub(crate) fn new() -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(8));
        let style = ProgressStyle::with_template("{msg}").unwrap_or_else(|_| ProgressStyle::default_bar());
        bar.set_style(style);
        Self { bar }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

impl Progress for Live {
    fn event(&self, at: Duration, event: &Event) {
        self.bar.println(plain::line(at, event));
    }

    fn snapshot(&self, snapshot: &Snapshot) {
        self.bar.set_message(draw(snapshot));
    }
}

/// Width of the bar in characters; the lines fit 80 columns.
const BAR: usize = 30;

fn draw(snapshot: &Snapshot) -> String {
    let length = snapshot.length.as_secs_f64().max(0.001);
    let share = (snapshot.elapsed.as_secs_f64() / length).clamp(0.0, 1.0);
    let filled = (share * BAR as f64).round() as usize;
    let whole = |duration: Duration| format_duration(Duration::from_secs(duration.as_secs()));
    let mut text = format!(
        "{:<9} [{}{}] {:>4}/{}   offered {:.0}/s   dispatched {:.0}/s",
        snapshot.phase,
        "=".repeat(filled),
        " ".repeat(BAR - filled),
        whole(snapshot.elapsed.min(snapshot.length)),
        whole(snapshot.length),
        snapshot.offered_per_second,
        snapshot.dispatched_per_second,
    );
    for step in &snapshot.steps {
        let milliseconds = |value: Option<f64>| value.map_or("-".to_owned(), |ms| format!("{ms:.1} ms"));
        let errors = if step.ended == 0 { 0.0 } else { 100.0 * step.failed as f64 / step.ended as f64 };
        let _ = write!(
            text,
            "\n  {:<14} {:>5}/s   p50 {:>10}   p99 {:>10}   errors {errors:>5.1} %",
            step.name,
            step.ended,
            milliseconds(step.p50_ms),
            milliseconds(step.p99_ms),
        );
    }
    let faults = if snapshot.faults.is_empty() { "none".to_owned() } else { snapshot.faults.join(", ") };
    let _ = write!(text, "\n  active faults: {faults}   (Ctrl-C aborts and undoes)");
    text
}

#[cfg(test)]
mod tests {
    use steadfast_lab::run::StepSnapshot;

    use super::*;

    #[test]
    fn the_present_fits_a_narrow_terminal() {
        let step = StepSnapshot {
            name: "confirm".to_owned(),
            ended: 160,
            failed: 8,
            p50_ms: Some(3.25),
            p99_ms: Some(1512.5),
        };
        let snapshot = Snapshot {
            phase: "inject",
            elapsed: Duration::from_millis(11_400),
            length: Duration::from_secs(33),
            offered_per_second: 200.0,
            dispatched_per_second: 199.0,
            steps: vec![step],
            faults: vec!["slow".to_owned()],
        };
        let text = draw(&snapshot);
        assert!(text.contains("p99  1512.5 ms   errors   5.0 %"), "{text}");
        assert!(text.contains("active faults: slow"), "{text}");
        assert!(text.contains(" 11s/33s "), "{text}");
    }
}
