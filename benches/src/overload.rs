//! Three times what a server can serve, in real time: what is served with load shedding, and without guards.

use std::time::Duration;

use steadfast_base::Seed;
use steadfast_guard::testing::overload::{Load, Remote, Seen, Server};
use steadfast_guard::{Shed, ShedLayer, ShedPolicy};
use tower::Layer;

use crate::{Options, Row, progress};

fn server() -> Server {
    Server::new(32, Duration::from_millis(20), Seed::new(1))
}

pub(crate) fn run(options: &Options) -> anyhow::Result<Vec<Row>> {
    let length = Duration::from_secs(if options.quick { 10 } else { 60 });
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let capacity = server().capacity();
    let offer = |rate: f64, length: Duration, is_guarded: bool| -> Seen {
        runtime.block_on(async {
            let mut rng = Seed::new(1).stream("arrivals");
            let before = Load { rate: 0.8 * capacity, ..Load::default() };
            let load = Load { rate, length, ..Load::default() };
            if is_guarded {
                let shed = ShedLayer::new(Shed::new("server", ShedPolicy::default(), Seed::new(1)));
                let way = Remote::new(shed.layer(server()));
                before.offer(&way, &mut rng).await;
                load.offer(&way, &mut rng).await
            } else {
                load.offer(&Remote::new(server()), &mut rng).await
            }
        })
    };
    progress("unloaded");
    let unloaded = offer(0.1 * capacity, Duration::from_secs(5), false);
    progress("three times the capacity, with shedding");
    let shed = offer(3.0 * capacity, length, true);
    progress("three times the capacity, without guards");
    let bare = offer(3.0 * capacity, length, false);

    let percent = |seen: &Seen| 100.0 * seen.goodput() / capacity;
    let p99 = |seen: &Seen| seen.latency(0.99).map_or(f64::NAN, |latency| latency.as_secs_f64() * 1000.0);
    let (goodput, latency, allowed) = (percent(&shed), p99(&shed), 2.0 * p99(&unloaded));
    Ok(vec![
        Row {
            name: "overload: served in time with shedding, real time".to_owned(),
            ours: goodput,
            peer: percent(&bare),
            peer_name: "without guards".to_owned(),
            ratio: goodput / 100.0,
            ratio_wanted: Some(0.9),
            unit: "% of the capacity, which the ratio is to".to_owned(),
        },
        Row {
            name: "overload: p99 of what is served, real time".to_owned(),
            ours: latency,
            peer: allowed,
            peer_name: "twice that unloaded".to_owned(),
            ratio: allowed / latency,
            ratio_wanted: Some(1.0),
            unit: "ms".to_owned(),
        },
    ])
}
