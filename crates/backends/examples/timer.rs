//! A heartbeat ten times a second, and a report on the morning of each working day.
//!
//! `cargo run -p steadfast-backends --example timer --features timer`
#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;
use std::time::{Duration, SystemTime};

use steadfast_backends::timer::{Config, Missed, Schedule, TimerSource};
use steadfast_base::Deadline;
use steadfast_base::units::HumanDuration;
use steadfast_core::cloudevents::rfc3339;
use steadfast_core::transport::{Outcome, Settlement, Source, Subscribe};

#[tokio::main]
pub(crate) async fn main() -> Result<(), Box<dyn Error>> {
    let every = Schedule::Every(HumanDuration(Duration::from_millis(100)));
    // A heartbeat that is late is of no use: leave it out.
    let config = Config { missed: Missed::Skip, ..Config::new("heartbeat", every) };
    let heartbeat = TimerSource::new(config)?;
    let receiver = heartbeat.open(&Subscribe::new("monitor")).await?;
    for _ in 0..3 {
        for received in receiver.receive(1).await? {
            println!("{} at {}", received.event.kind(), rfc3339::format(received.event.time()));
            receiver.settle(&[Settlement { token: received.token, outcome: Outcome::Handled }]).await?;
        }
    }
    receiver.close(Deadline::within(Duration::from_secs(5))).await?;

    // Nobody waits for this one here; it tells when it would tick.
    let morning = Schedule::Cron { expression: "30 6 * * MON-FRI".into(), time_zone: "Europe/Berlin".into() };
    let report = TimerSource::new(Config::new("report", morning))?;
    let mut due = SystemTime::now();
    for _ in 0..3 {
        due = report.next(due).ok_or("the schedule has no more ticks")?;
        println!("the report is due at {}", rfc3339::format(due));
    }
    Ok(())
}
