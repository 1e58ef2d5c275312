//! `junit.xml`, which every pipeline can show.

use std::fmt::Write;

use super::{Outcome, Report};

/// One case: its name, its group, and what speaks against it.
struct Case {
    group: &'static str,
    name: String,
    failure: Option<String>,
    skipped: Option<String>,
}

/// Writes reports as one JUnit document: a suite per experiment, a case per objective, invariant, fault and load,
/// and one for the verdict as a whole.
pub fn junit(reports: &[Report]) -> String {
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n");
    for report in reports {
        let cases = cases(report);
        let failures = cases.iter().filter(|case| case.failure.is_some()).count();
        let skipped = cases.iter().filter(|case| case.skipped.is_some()).count();
        let _ = writeln!(
            xml,
            "  <testsuite name=\"{}\" tests=\"{}\" failures=\"{failures}\" errors=\"0\" skipped=\"{skipped}\" \
             time=\"{:.3}\" timestamp=\"{}\">",
            escape(&report.run.name),
            cases.len(),
            report.run.duration_ms as f64 / 1000.0,
            escape(report.run.started_at.trim_end_matches('Z')),
        );
        cases.iter().for_each(|case| write_case(&mut xml, case));
        xml.push_str("  </testsuite>\n");
    }
    xml.push_str("</testsuites>\n");
    xml
}

fn write_case(xml: &mut String, case: &Case) {
    let _ = write!(xml, "    <testcase classname=\"{}\" name=\"{}\"", case.group, escape(&case.name));
    match (&case.failure, &case.skipped) {
        (Some(why), _) => {
            let _ = writeln!(xml, ">\n      <failure message=\"{}\"/>\n    </testcase>", escape(why));
        }
        (None, Some(why)) => {
            let _ = writeln!(xml, ">\n      <skipped message=\"{}\"/>\n    </testcase>", escape(why));
        }
        (None, None) => xml.push_str("/>\n"),
    }
}

fn cases(report: &Report) -> Vec<Case> {
    let mut cases = Vec::new();
    let verdict = &report.verdict;
    let failed = verdict.outcome != Outcome::Pass;
    cases.push(Case {
        group: "verdict",
        name: report.run.name.clone(),
        failure: failed.then(|| format!("{}: {}", verdict.outcome, verdict.reason)),
        skipped: None,
    });
    for objective in &report.objectives {
        let measured = objective.measured.map_or("nothing".to_owned(), |value| format!("{value:.4}"));
        let text = format!("declared {} {}, measured {measured}", objective.declared, objective.unit);
        cases.push(Case {
            group: "objective",
            name: format!("{} {} during {}", objective.step, objective.indicator, objective.during),
            failure: (objective.met == Some(false)).then(|| text.clone()),
            skipped: objective.met.is_none().then(|| format!("too little was observed: {text}")),
        });
    }
    for invariant in &report.invariants {
        cases.push(Case {
            group: "invariant",
            name: invariant.name.clone(),
            failure: (invariant.holds == Some(false)).then(|| invariant.summary.clone()),
            skipped: invariant.holds.is_none().then(|| invariant.summary.clone()),
        });
    }
    for fault in &report.faults {
        let short = fault.dose.iter().find(|dose| !dose.valid);
        let short = short.map(|dose| format!("{}: {} delivered", dose.measure, dose.delivered));
        cases.push(Case {
            group: "fault",
            name: fault.name.clone(),
            failure: fault.undo.error.clone().or(short),
            skipped: None,
        });
    }
    let load = &report.load;
    cases.push(Case {
        group: "load",
        name: "dispatched on schedule".to_owned(),
        failure: (!load.valid).then(|| format!("{} of {} arrivals", load.on_schedule, load.scheduled)),
        skipped: None,
    });
    cases
}

/// Escapes for an attribute; control characters that XML 1.0 cannot hold become spaces.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\n' => escaped.push_str("&#10;"),
            c if c.is_control() => escaped.push(' '),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    #[test]
    fn what_speaks_against_pass_is_a_failure() {
        let mut report = sample::report();
        report.verdict.reason = "a < b & \"c\"".to_owned();
        let xml = junit(&[report]);
        assert!(xml.contains("message=\"FAIL: a &lt; b &amp; &quot;c&quot;\""), "{xml}");
        assert_eq!(xml.matches("<testcase").count(), xml.matches("classname").count());
        assert!(xml.contains("<failure message=\"declared 0.99 ratio, measured 0.5120\"/>"), "{xml}");
    }
}
