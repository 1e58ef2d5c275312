//! One plain line per phase and event, for logs and pipelines.

use std::io::Write;
use std::time::Duration;

use steadfast_lab::run::{Event, Progress, Snapshot};

/// Writes lines to standard error.
#[derive(Debug, Default)]
pub(crate) struct Plain;

impl Progress for Plain {
    fn event(&self, at: Duration, event: &Event) {
        // Whoever closed standard error does not want the lines; the run goes on.
        let _ = writeln!(std::io::stderr(), "{}", line(at, event));
    }

    fn snapshot(&self, _snapshot: &Snapshot) {}
}

/// Writes an event as one line.
pub(crate) fn line(at: Duration, event: &Event) -> String {
    let at = format!("{:>6.1} s", at.as_secs_f64());
    match event {
        Event::Phase { name, doing, length: Some(length) } => {
            format!("{at}  {name:<9} {doing} ({} s)", length.as_secs())
        }
        Event::Phase { name, doing, length: None } => format!("{at}  {name:<9} {doing}"),
        Event::FaultInjected { name, description } => format!("{at}  fault     {name}: {description}"),
        Event::FaultUndone { name } => format!("{at}  undone    {name}, verified"),
        Event::Note { text } => format!("{at}  note      {text}"),
        Event::Finding { message } => format!("{at}  finding   {message}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_line() {
        let phase = Event::Phase {
            name: "baseline",
            doing: "measuring".to_owned(),
            length: Some(Duration::from_secs(8)),
        };
        assert_eq!(line(Duration::from_millis(1234), &phase), "   1.2 s  baseline  measuring (8 s)");
    }
}
