//! The HTTP source beside a bare axum handler that reads the body: what taking CloudEvents costs.
//!
//! Both stand in one server process, get the same requests (binary mode, 64 bytes of data, each event with an id of its
//! own) from `wrk` over the same number of connections, and answer 202. Ours reads the attributes, puts each event into
//! its queue and hands it to a receiver that settles it. Server and `wrk` share the machine, so that a cost of ours
//! shows less than it would on two; rounds are interleaved and the median ratio is quoted.

mod server;
mod wrk;

use std::time::Duration;

use crate::{Options, Row};
use server::Server;
pub(crate) use server::serve_if_asked;

/// What share of the bare handler's rate is wanted.
const RATIO_WANTED: f64 = 0.7;

/// Compares the rates in several rounds.
pub(crate) fn run(options: &Options) -> anyhow::Result<Vec<Row>> {
    if !wrk::is_there() {
        eprintln!("http: wrk is missing (apt-get install wrk); its row is skipped");
        return Ok(Vec::new());
    }
    let server = Server::start()?;
    let (rounds, span) =
        if options.quick { (3, Duration::from_secs(1)) } else { (7, Duration::from_secs(4)) };
    let script = wrk::Script::write()?;
    let mut measured = Vec::new();
    for round in 0..=rounds {
        let (ours, our_cpu) = measure(&server, &script, "events", span)?;
        let (bare, bare_cpu) = measure(&server, &script, "bare", span)?;
        let ratio = ours / bare;
        eprintln!(
            "http: round {round}: ours {ours:.0}/s ({our_cpu:.1} µs of CPU each), bare {bare:.0}/s ({bare_cpu:.1} µs), \
             ratio {ratio:.2}"
        );
        // The first round warms up.
        if round > 0 {
            measured.push((ours, bare));
        }
    }
    measured.sort_by(|a, b| (a.0 / a.1).total_cmp(&(b.0 / b.1)));
    let (ours, peer) = measured[measured.len() / 2];
    Ok(vec![Row {
        name: "http/source-binary-accepted".to_owned(),
        ours,
        peer,
        peer_name: "bare axum handler".to_owned(),
        ratio: ours / peer,
        ratio_wanted: Some(RATIO_WANTED),
        unit: "requests/s".to_owned(),
    }])
}

/// Returns the rate at which the server answers, and how many microseconds of CPU it takes for each answer.
fn measure(server: &Server, script: &wrk::Script, path: &str, span: Duration) -> anyhow::Result<(f64, f64)> {
    let before = server.cpu()?;
    let rate = script.rate(&format!("{}{path}", server.url), span)?;
    let used = server.cpu()? - before;
    Ok((rate, used.as_secs_f64() * 1e6 / (rate * span.as_secs_f64())))
}
