//! The view on a terminal: what happened scrolls above, the present stands below.

use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use console::Term;
use steadfast_base::units::format_duration;
use steadfast_lab::run::{Event, Progress, Snapshot};
use steadfast_lab::spec::Phase;

use super::plain;

/// Draws on standard error and takes the drawing away when dropped.
///
/// The cursor rests at the begin of the line below the drawing: there the echo of Ctrl-C breaks no line, and a
/// program that is ended at once leaves the shell's prompt in the right place.
#[derive(Debug)]
pub(crate) struct Live {
    terminal: Term,
    /// The lines that stand there now.
    drawn: Mutex<Vec<String>>,
}

impl Live {
    pub(crate) fn new() -> Self {
        Self { terminal: Term::stderr(), drawn: Mutex::default() }
    }

    /// Takes the drawing away, writes `above` in its place, and draws `lines` below; in one write, so that it does
    /// not flicker.
    fn draw(&self, above: Option<&str>, lines: impl FnOnce(&[String]) -> Vec<String>) {
        let mut drawn = self.drawn.lock().unwrap_or_else(PoisonError::into_inner);
        let mut text = String::from("\r");
        if !drawn.is_empty() {
            let _ = write!(text, "\x1b[{}A", drawn.len());
        }
        text.push_str("\x1b[J");
        if let Some(above) = above {
            let _ = writeln!(text, "{above}");
        }
        *drawn = lines(&drawn);
        // A line that the terminal breaks in two would not be taken away whole.
        let width = usize::from(self.terminal.size().1).saturating_sub(1);
        for line in &*drawn {
            let _ = writeln!(text, "{}", console::truncate_str(line, width, "…"));
        }
        // Whoever closed standard error does not want it; the run goes on.
        let _ = std::io::stderr().write_all(text.as_bytes());
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.draw(None, |_| Vec::new());
    }
}

impl Progress for Live {
    fn event(&self, at: Duration, event: &Event) {
        // The figures are those of the load; before it and after it there are none.
        let without_load = matches!(event, Event::Phase { name, .. }
            if Phase::ALL.iter().all(|phase| phase.name() != *name));
        let keep = |drawn: &[String]| if without_load { Vec::new() } else { drawn.to_vec() };
        self.draw(Some(&plain::line(at, event)), keep);
    }

    fn snapshot(&self, snapshot: &Snapshot) {
        self.draw(None, |_| lines(snapshot));
    }
}

/// Width of the bar in characters.
const BAR: usize = 24;

/// Writes the present: a line for the phase, one for the load, one for each step, one for the faults.
fn lines(snapshot: &Snapshot) -> Vec<String> {
    let mut lines = vec![phase(snapshot), load(snapshot)];
    for step in &snapshot.steps {
        let milliseconds = |value: Option<f64>| value.map_or("-".to_owned(), |ms| format!("{ms:.1} ms"));
        let errors = if step.ended == 0 { 0.0 } else { 100.0 * step.failed as f64 / step.ended as f64 };
        lines.push(format!(
            "  {:<12} {:>5}/s  p50 {:>10}  p99 {:>10}  errors {errors:>5.1} %",
            console::truncate_str(&step.name, 12, "…"),
            step.ended,
            milliseconds(step.p50_ms),
            milliseconds(step.p99_ms),
        ));
    }
    let faults = if snapshot.faults.is_empty() { "none".to_owned() } else { snapshot.faults.join(", ") };
    lines.push(format!("  active faults: {faults}   (Ctrl-C aborts and undoes)"));
    lines
}

fn phase(snapshot: &Snapshot) -> String {
    let length = snapshot.length.as_secs_f64().max(0.001);
    let share = (snapshot.elapsed.as_secs_f64() / length).clamp(0.0, 1.0);
    let filled = (share * BAR as f64).round() as usize;
    let whole = |duration: Duration| format_duration(Duration::from_secs(duration.as_secs()));
    format!(
        "{:<9} [{}{}] {} of {}",
        snapshot.phase,
        "=".repeat(filled),
        " ".repeat(BAR - filled),
        whole(snapshot.elapsed.min(snapshot.length)),
        whole(snapshot.length),
    )
}

fn load(snapshot: &Snapshot) -> String {
    let Snapshot { offered_per_second, dispatched_per_second, .. } = snapshot;
    format!("  offered {offered_per_second:.0}/s  dispatched {dispatched_per_second:.0}/s")
}

#[cfg(test)]
mod tests {
    use steadfast_lab::run::StepSnapshot;

    use super::*;

    #[test]
    fn the_present_fits_a_narrow_terminal() {
        let step = StepSnapshot {
            name: "confirm-the-whole-order".to_owned(),
            ended: 160,
            failed: 8,
            p50_ms: Some(3.25),
            p99_ms: Some(15_123.5),
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
        let lines = lines(&snapshot);
        assert_eq!(lines[0], "inject    [========                ] 11s of 33s");
        assert_eq!(lines[1], "  offered 200/s  dispatched 199/s");
        assert!(lines[2].contains("p99 15123.5 ms  errors   5.0 %"), "{lines:?}");
        assert!(lines[3].contains("active faults: slow"), "{lines:?}");
        assert!(lines.iter().all(|line| line.chars().count() < 80), "{lines:?}");
    }
}
