//! From findings to a verdict.
//!
//! A verdict needs evidence: PASS is what remains when nothing speaks against it, and a run in which the fault or
//! the load was not as declared says nothing about the system, whatever its numbers were.

use crate::report::{Finding, Outcome, Verdict};

/// The finding's code that marks a violated invariant: lost data outranks a dose that was too small.
pub(crate) const INVARIANT_VIOLATED: &str = "invariant-violated";

/// Ranks a finding; the lowest rank decides. The order is that of the exit codes' documentation: not restored, a
/// violated invariant, invalid, a violated objective, inconclusive.
fn rank(finding: &Finding) -> u8 {
    match (finding.outcome, finding.code.as_str()) {
        (Outcome::NotRestored, _) => 0,
        (Outcome::Internal, _) => 1,
        (Outcome::Interrupted, _) => 2,
        (Outcome::Usage, _) => 3,
        (Outcome::Refused, _) => 4,
        (Outcome::Fail, INVARIANT_VIOLATED) => 5,
        (Outcome::Invalid, _) => 6,
        (Outcome::Fail, _) => 7,
        (Outcome::Inconclusive, _) => 8,
        (Outcome::Pass, _) => 9,
    }
}

/// Makes the verdict of a run from all that speaks against PASS.
pub(crate) fn decide(mut findings: Vec<Finding>, pass_reason: &str) -> Verdict {
    findings.sort_by_key(rank);
    let (outcome, code, reason) = match findings.first() {
        Some(first) => (first.outcome, first.code.clone(), first.message.clone()),
        None => (Outcome::Pass, "all-held".to_owned(), pass_reason.to_owned()),
    };
    Verdict { outcome, exit_code: outcome.exit_code(), reason_code: code, reason, findings }
}

/// Returns the outcome of a suite: that of its most severe member. A suite of which nothing was run has shown nothing
/// and is inconclusive.
pub fn most_severe<'a>(verdicts: impl IntoIterator<Item = &'a Verdict>) -> Outcome {
    most_severe_ranked(verdicts).map_or(Outcome::Inconclusive, |(_, outcome)| outcome)
}

/// Returns the outcome of a suite that was interrupted before all its members were run: never PASS, and
/// [`Outcome::Interrupted`] unless something more severe was found.
pub fn most_severe_of_interrupted<'a>(verdicts: impl IntoIterator<Item = &'a Verdict>) -> Outcome {
    let interrupted = finding(Outcome::Interrupted, "interrupted", "not all experiments were run");
    let interrupted = (rank(&interrupted), interrupted.outcome);
    let found = most_severe_ranked(verdicts).filter(|found| found.0 < interrupted.0);
    found.unwrap_or(interrupted).1
}

fn most_severe_ranked<'a>(verdicts: impl IntoIterator<Item = &'a Verdict>) -> Option<(u8, Outcome)> {
    let ranked = |verdict: &Verdict| (verdict.findings.first().map_or(u8::MAX, rank), verdict.outcome);
    verdicts.into_iter().map(ranked).min_by_key(|(rank, _)| *rank)
}

/// Makes a finding.
pub(crate) fn finding(outcome: Outcome, code: &str, message: impl Into<String>) -> Finding {
    Finding { outcome, code: code.to_owned(), message: message.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decided(codes: &[(Outcome, &str)]) -> Outcome {
        let findings = codes.iter().map(|(outcome, code)| finding(*outcome, code, *code)).collect();
        decide(findings, "").outcome
    }

    #[test]
    fn nothing_against_it_is_a_pass() {
        assert_eq!(decided(&[]), Outcome::Pass);
    }

    #[test]
    fn the_most_severe_decides() {
        let objective = (Outcome::Fail, "objective-violated");
        let invariant = (Outcome::Fail, INVARIANT_VIOLATED);
        let invalid = (Outcome::Invalid, "dose-too-small");
        let not_restored = (Outcome::NotRestored, "undo-failed");
        let inconclusive = (Outcome::Inconclusive, "too-few-samples");
        assert_eq!(decided(&[objective, invalid]), Outcome::Invalid);
        assert_eq!(decided(&[objective, invalid, invariant]), Outcome::Fail);
        assert_eq!(decided(&[invariant, not_restored]), Outcome::NotRestored);
        assert_eq!(decided(&[inconclusive, objective]), Outcome::Fail);
        assert_eq!(decided(&[inconclusive]), Outcome::Inconclusive);
        // Whoever reads only the code must learn first that something is left.
        assert_eq!(decided(&[(Outcome::Internal, "fault-task"), not_restored]), Outcome::NotRestored);
    }

    #[test]
    fn a_suite_takes_its_most_severe_member() {
        let pass = decide(Vec::new(), "held");
        let fail = decide(vec![finding(Outcome::Fail, "objective-violated", "slow")], "");
        let invalid = decide(vec![finding(Outcome::Invalid, "dose-too-small", "few")], "");
        assert_eq!(most_severe([&pass, &fail, &invalid]), Outcome::Invalid);
        assert_eq!(most_severe([&pass, &fail]), Outcome::Fail);
        assert_eq!(most_severe([&pass]), Outcome::Pass);
    }

    #[test]
    fn what_was_not_run_did_not_pass() {
        let pass = decide(Vec::new(), "held");
        let not_restored = decide(vec![finding(Outcome::NotRestored, "undo-failed", "left")], "");
        assert_eq!(most_severe([]), Outcome::Inconclusive);
        assert_eq!(most_severe_of_interrupted([]), Outcome::Interrupted);
        assert_eq!(most_severe_of_interrupted([&pass]), Outcome::Interrupted);
        assert_eq!(most_severe_of_interrupted([&pass, &not_restored]), Outcome::NotRestored);
    }
}
