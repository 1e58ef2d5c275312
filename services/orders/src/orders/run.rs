use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use steadfast::base::units::HumanDuration;
use steadfast::base::{Deadline, Seed};
use steadfast::core::bus::Bus;
use steadfast::core::store::EventStore;
use steadfast::guard::Registry;
use steadfast::shutdown::Phase;
use steadfast::telemetry::Metrics;
use tokio_util::sync::CancellationToken;

use super::api::{Api, router};
use super::command::{Book, Orders, Settings};
use super::defects::{Defects, WriteBehind};
use super::guards::Guards;
use super::metrics::OrderMetrics;
use super::notices::{Notices, Transport};
use super::process::{Dependencies, Dependency, Manager, Services};
use super::stock::Reader;
use super::view::Totals;
use crate::host::{Common, Gate, HttpMetrics, Incoming, Opened, Program, Work, ending, probes};

/// How many commands may run at once.
const COMMANDS_MAX: usize = 2048;
/// How many events a subscriber of the bus may lag behind before commands wait for it.
const TOPIC_CAPACITY: usize = 4096;
/// How often to ask whether the dependencies are there, while the program starts.
const PROBE_EVERY: Duration = Duration::from_millis(100);
/// How often it is asked in vain before the log says what is waited for.
const LOOKS_UNTOLD: u32 = 10;
/// How long subscribers have to hear the rest when the program stops.
const BUS_CLOSE_WITHIN: Duration = Duration::from_secs(1);

/// Takes orders over HTTP and confirms them with the help of inventory and payment; event-sourced.
#[derive(Debug, Clone, clap::Parser)]
#[command(name = "orders", version)]
pub struct Arguments {
    /// What all three programs take.
    #[command(flatten)]
    pub common: Common,
    /// Where payment is, such as http://127.0.0.1:8081.
    #[arg(long, value_name = "URL")]
    pub payment: String,
    /// Where inventory is.
    #[arg(long, value_name = "URL")]
    pub inventory: String,
    /// The time of a request that states none by X-Envoy-Expected-Rq-Timeout-Ms or grpc-timeout; 3s, unless the guards'
    /// file says otherwise.
    #[arg(long, value_name = "DURATION")]
    pub default_deadline: Option<HumanDuration>,
    /// What carries shipments to where notices are made: `log`, the tail of the log within this process, or a broker,
    /// such as redis://127.0.0.1:6379, nats://127.0.0.1:4222, kafka://127.0.0.1:9092.
    #[arg(long, value_name = "URL", default_value = "log")]
    pub notices: Transport,
    /// Defects on purpose.
    #[command(flatten)]
    pub defects: Defects,
}

/// Runs the program until `stopping` is cancelled.
///
/// # Errors
/// The port or the log cannot be opened, or the log cannot be closed.
pub async fn run(arguments: Arguments, stopping: CancellationToken) -> anyhow::Result<()> {
    let guarding = arguments.common.guarding.clone();
    let (defects, default_deadline) = (arguments.defects, arguments.default_deadline);
    let adjusted = move |mut guards: Guards| {
        if let (Some(time), Some(deadline)) = (default_deadline, &mut guards.incoming.deadline) {
            deadline.default = time.into();
        }
        defects.switch_off(&mut guards);
        guards
    };
    // Boxed, for it would be a large part of what starts the program.
    let guards = Box::new(adjusted(guarding.load("orders")?));
    let incoming = Incoming::new("orders", &guards.incoming)?;
    let program = Program::bind(&arguments.common, stopping.clone()).await?;
    let gate = Gate::<Api>::default();
    let metrics = Metrics::new("orders");
    let measured = metrics.register(HttpMetrics::register);
    let events = metrics.register(|registry| OrderMetrics::register(registry, gate.clone()));
    let breakers = Registry::default();
    metrics.register_breakers(breakers.clone());
    let routes = router(gate.clone(), program.faults(), &incoming);
    let router = measured.measure(routes).merge(probes(gate.clone())).merge(metrics.router());
    let shown = program.shown();
    shown.breakers(&breakers);
    shown.stack(incoming.stack());
    metrics.register_stack(incoming.stack());
    let router = router.merge(shown.router());
    let start = async move {
        let Opened { mut store, durability } = arguments.common.open_store("orders").await?;
        if defects.acknowledge_before_append {
            store = Arc::new(WriteBehind::new(store)) as Arc<dyn EventStore>;
        }
        let totals = Arc::new(Totals::default());
        let book = Book::load(&*store, |id, entry, details| totals.apply(id, entry, details)).await?;

        let (bus, work) = (Arc::new(Bus::new()), Work::new(COMMANDS_MAX));
        shown.scope(work.scope());
        shown.bus("orders", &bus);
        metrics.register_scope(work.scope());
        let topic = bus.topic("orders")?;
        let mut heard = topic.subscribe("view", TOPIC_CAPACITY)?;
        let view = Arc::clone(&totals);
        let subscriber = tokio::spawn(async move {
            while let Some(delivery) = heard.next().await {
                let recorded: &super::command::Recorded = delivery.payload();
                view.apply(recorded.id, &recorded.entry, recorded.details.as_ref());
                events.count(&recorded.entry);
            }
        });

        let settings = Settings { durability, idempotent: !defects.no_idempotency };
        let orders = Arc::new(Orders::new(Arc::clone(&store), book, topic, settings));
        metrics.register_machine(orders.asked());
        let seed = Seed::random();
        let dependencies = Dependencies {
            inventory: Dependency::new("inventory", &arguments.inventory, &breakers, &guards.inventory, seed)
                .with_context(|| format!("--inventory {}", arguments.inventory))?,
            payment: Dependency::new("payment", &arguments.payment, &breakers, &guards.payment, seed)
                .with_context(|| format!("--payment {}", arguments.payment))?,
        };
        for dependency in [&dependencies.inventory, &dependencies.payment] {
            shown.stack(dependency.stack());
            metrics.register_stack(dependency.stack());
        }
        let stock = Reader::new(dependencies.inventory.channel(), &breakers, &guards.stock, seed)?;
        shown.stack(stock.stack());
        metrics.register_stack(stock.stack());
        for (dependency, url) in
            [(&dependencies.inventory, &arguments.inventory), (&dependencies.payment, &arguments.payment)]
        {
            let mut looks = 0_u32;
            while !dependency.is_well().await {
                looks += 1;
                if looks == LOOKS_UNTOLD {
                    tracing::info!("waiting for {} at {url} to say that it is well", dependency.name());
                }
                tokio::time::sleep(PROBE_EVERY).await;
            }
        }
        let (guarded, asked) = (dependencies.clone(), stock.clone());
        let apply = move |guards: Guards| adjusted(guards).apply(&incoming, &guarded, &asked);
        work.spawn("guards", guarding.follow("orders", stopping.clone(), apply));
        let persistent = !defects.no_retry;
        let services = Services::new(Arc::clone(&orders), dependencies, stopping.clone(), persistent);
        let manager = Manager::new(Arc::clone(&orders), services, work.clone());
        manager.resume().await?;
        work.spawn("keep-up", Arc::clone(&manager).keep_up(stopping));
        let notices = Notices::start(&store, durability, &arguments.notices, !defects.no_outbox)?;
        let closing = Arc::clone(&manager);
        let deadline = !defects.no_breaker_no_deadline;
        gate.open(Arc::new(Api { orders, manager, totals, stock, work: work.clone(), deadline }));
        let mut ending = ending();
        ending.add(Phase::Flush, "commands", async move {
            closing.close().await;
            work.close().await;
            bus.close(Deadline::within(BUS_CLOSE_WITHIN)).await;
            Ok(subscriber.await?)
        });
        ending.add(Phase::Flush, "notices", async move {
            notices.close().await;
            Ok(())
        });
        ending.add(Phase::Close, "store", async move { Ok(store.close().await?) });
        Ok(ending)
    };
    program.run(router, start).await
}
