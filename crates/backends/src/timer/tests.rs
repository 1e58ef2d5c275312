use std::time::{Duration, SystemTime, UNIX_EPOCH};

use proptest::prelude::*;
use steadfast_base::units::HumanDuration;
use steadfast_core::cloudevents::rfc3339;

use super::missed::{Due, is_late};
use super::plan::Plan;
use super::{Missed, Schedule};

fn time(text: &str) -> SystemTime {
    rfc3339::parse(text).expect("a time")
}

fn cron(expression: &str, time_zone: &str) -> Plan {
    Plan::new(&Schedule::Cron { expression: expression.into(), time_zone: time_zone.into() }).expect("valid")
}

fn every(interval: Duration) -> Plan {
    Plan::new(&Schedule::Every(HumanDuration(interval))).expect("valid")
}

/// The ticks after `from` and up to `to`, forwards; and the same backwards.
fn ticks(plan: &Plan, from: &str, to: &str) -> Vec<String> {
    let (from, to) = (time(from), time(to));
    let in_order = std::iter::successors(plan.next(from), |tick| plan.next(*tick));
    let forwards: Vec<_> = in_order.take_while(|tick| *tick <= to).collect();
    let back = std::iter::successors(plan.last(to), |tick| plan.before(*tick));
    let mut backwards: Vec<_> = back.take_while(|tick| *tick > from).collect();
    backwards.reverse();
    assert_eq!(forwards, backwards, "the same ticks both ways");
    forwards.into_iter().map(rfc3339::format).collect()
}

#[test]
fn intervals_are_counted_from_1970() {
    let plan = every(Duration::from_secs(10));
    let found = ticks(&plan, "2026-11-23T12:00:05Z", "2026-11-23T12:00:30Z");
    assert_eq!(found, ["2026-11-23T12:00:10Z", "2026-11-23T12:00:20Z", "2026-11-23T12:00:30Z"]);
    assert_eq!(plan.last(time("2026-11-23T12:00:20.5Z")), Some(time("2026-11-23T12:00:20Z")));
    assert_eq!(
        every(Duration::from_millis(300)).next(UNIX_EPOCH),
        Some(UNIX_EPOCH + Duration::from_millis(300))
    );
}

#[test]
fn a_time_that_is_skipped_ticks_right_after_the_gap() {
    // In Berlin 02:00 became 03:00 on 2026-03-29, at 01:00 UTC.
    let (from, to) = ("2026-03-28T00:00:00Z", "2026-03-31T00:00:00Z");
    let fixed = ticks(&cron("30 2 * * *", "Europe/Berlin"), from, to);
    assert_eq!(fixed, ["2026-03-28T01:30:00Z", "2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"]);
    // What follows the clock has nothing where the clock has nothing.
    let hours = ticks(&cron("30 * * * *", "Europe/Berlin"), "2026-03-29T00:00:00Z", "2026-03-29T03:00:00Z");
    assert_eq!(hours, ["2026-03-29T00:30:00Z", "2026-03-29T01:30:00Z", "2026-03-29T02:30:00Z"]);
    let several =
        ticks(&cron("30 1-3 * * *", "Europe/Berlin"), "2026-03-29T00:00:00Z", "2026-03-29T12:00:00Z");
    assert_eq!(several, ["2026-03-29T00:30:00Z", "2026-03-29T01:30:00Z"], "01:30 and 03:30");
}

#[test]
fn a_time_that_is_repeated_ticks_once_if_it_is_one_time() {
    // In Berlin 03:00 became 02:00 on 2026-10-25, at 01:00 UTC.
    let fixed = ticks(&cron("30 2 * * *", "Europe/Berlin"), "2026-10-24T12:00:00Z", "2026-10-26T12:00:00Z");
    assert_eq!(fixed, ["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"], "the first of both");
    let hours = ticks(&cron("30 * * * *", "Europe/Berlin"), "2026-10-24T23:45:00Z", "2026-10-25T02:45:00Z");
    assert_eq!(hours, ["2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z", "2026-10-25T02:30:00Z"], "both");
    // Half an hour is skipped and repeated on Lord Howe Island.
    let fixed =
        ticks(&cron("45 1 * * *", "Australia/Lord_Howe"), "2026-04-04T00:00:00Z", "2026-04-06T00:00:00Z");
    assert_eq!(fixed, ["2026-04-04T14:45:00Z", "2026-04-05T15:15:00Z"]);
}

#[test]
fn expressions_are_read_and_what_is_wrong_is_named() {
    let (from, to) = ("2026-02-01T00:00:00Z", "2026-03-31T23:00:00Z");
    assert_eq!(ticks(&cron("0 12 L * *", "UTC"), from, to), ["2026-02-28T12:00:00Z", "2026-03-31T12:00:00Z"]);
    assert_eq!(
        ticks(&cron("0 0 * * FRI#2", "UTC"), from, to),
        ["2026-02-13T00:00:00Z", "2026-03-13T00:00:00Z"]
    );
    assert_eq!(ticks(&cron("30 0 0 1 3 * 2026", "UTC"), from, to), ["2026-03-01T00:00:30Z"]);
    assert_eq!(cron("0 0 0 1 1 * 2026", "UTC").next(time("2027-01-01T00:00:00Z")), None, "no more");
    for (schedule, field) in [
        (Schedule::Cron { expression: "61 * * * *".into(), time_zone: "UTC".into() }, "expression"),
        (Schedule::Cron { expression: "hourly".into(), time_zone: "UTC".into() }, "expression"),
        (Schedule::Cron { expression: "* * * * *".into(), time_zone: "Mars/Phobos".into() }, "timeZone"),
        (Schedule::Every(HumanDuration(Duration::ZERO)), "every"),
    ] {
        let error = Plan::new(&schedule).expect_err(field).to_string();
        assert!(error.contains(field), "{error}");
    }
}

#[test]
fn missed_ticks_are_left_out_or_made_up_for() {
    let plan = every(Duration::from_secs(10));
    let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
    let decide = |missed: Missed, now: u64| {
        let newest = plan.last(at(now)).expect("a tick");
        let Due { ticks, late, gap } =
            missed.decide(&plan, at(100), newest, |due| is_late(due, at(now), Duration::from_secs(1)));
        let ticks: Vec<_> =
            ticks.iter().map(|tick| tick.duration_since(UNIX_EPOCH).expect("after").as_secs()).collect();
        (ticks, late, gap)
    };
    for missed in [Missed::Skip, Missed::Once, Missed::All { max: 3 }] {
        assert_eq!(decide(missed, 111), (vec![110], 0, false), "not missed yet");
    }
    assert_eq!(decide(Missed::Skip, 112), (vec![], 0, true));
    assert_eq!(decide(Missed::Skip, 131), (vec![130], 0, true));
    assert_eq!(decide(Missed::Once, 112), (vec![110], 1, false));
    assert_eq!(decide(Missed::Once, 135), (vec![130], 1, true));
    assert_eq!(decide(Missed::Once, 131), (vec![120, 130], 1, true), "one is made up for, one is in time");
    assert_eq!(decide(Missed::All { max: 3 }, 135), (vec![110, 120, 130], 3, false));
    assert_eq!(decide(Missed::All { max: 3 }, 155), (vec![130, 140, 150], 3, true));
    // A hundred years do not take long.
    assert_eq!(decide(Missed::All { max: 1 }, 3_153_600_005).0, [3_153_600_000]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn ticks_go_on_and_are_the_same_both_ways(
        start in 0_u64..4_000_000_000,
        expression in prop::sample::select(vec![
            "* * * * *", "*/7 * * * *", "0 */5 * * *", "30 2 * * *", "15 1-3 * * *", "0 0 31 * *", "59 59 23 * * SUN",
            "0,30 2,3 * * *",
        ]),
        zone in prop::sample::select(vec!["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Sao_Paulo"]),
    ) {
        let plan = cron(expression, zone);
        let mut tick = UNIX_EPOCH + Duration::from_secs(start);
        for step in 0..12 {
            let next = plan.next(tick).expect("goes on");
            prop_assert!(next > tick);
            prop_assert_eq!(plan.last(next), Some(next));
            prop_assert_eq!(plan.next(next - Duration::from_nanos(1)), Some(next));
            if step > 0 {
                prop_assert_eq!(plan.before(next), Some(tick));
            }
            tick = next;
        }
    }

    #[test]
    fn intervals_too(start in 0_u64..4_000_000_000_000, interval in 1_u64..100_000_000) {
        let plan = every(Duration::from_millis(interval));
        let start = UNIX_EPOCH + Duration::from_millis(start);
        let next = plan.next(start).expect("goes on");
        prop_assert!(next > start && next <= start + Duration::from_millis(interval));
        prop_assert_eq!(plan.last(next), Some(next));
        prop_assert!(plan.before(next).is_none_or(|before| before <= start));
    }
}
