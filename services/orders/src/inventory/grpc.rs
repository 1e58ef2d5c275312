use std::collections::BTreeMap;
use std::sync::Arc;

use steadfast::core::Aggregate;
use steadfast::core::store;
use tonic::{Request, Response, Status};

use super::domain::{Command, Event, Lines, Refused, Reservation, SetAside};
use super::levels::Levels;
use crate::host::{Gate, Key, Work, store_status};
use crate::ledger::{Error, Repository};
use crate::orders::domain::{OrderId, Quantity, Sku};
use crate::proto::inventory::inventory_server::Inventory;
use crate::proto::inventory::{ReleaseRequest, ReleaseResponse, ReserveRequest, ReserveResponse};

/// How many lines a reservation may have.
const LINES_MAX: usize = 500;
/// How often a command is decided anew when the store has moved on.
const CONFLICTS_MAX: u32 = 3;

/// The gRPC service `inventory.v1.Inventory`: unavailable until its gate opens.
#[derive(Clone)]
pub struct Service(pub Gate<Store>);

/// All reservations, and what is left.
pub struct Store {
    shelves: Arc<Shelves>,
    work: Work,
}

struct Shelves {
    reservations: Repository<Reservation>,
    levels: Levels,
}

impl Store {
    /// Makes the store over `reservations`, with `stock` pieces of every article before the first of them;
    /// started commands run to their end in `work`.
    pub fn new(reservations: Repository<Reservation>, stock: u64, work: Work) -> Self {
        let levels = Levels::new(stock);
        reservations.visit(|_, reservation| {
            if let Reservation::Reserved(aside) = reservation {
                levels.restore(&aside.lines);
            }
        });
        Self { shelves: Arc::new(Shelves { reservations, levels }), work }
    }

    /// Returns what is set aside, by order and article.
    pub fn reserved(&self) -> BTreeMap<String, BTreeMap<String, u64>> {
        let mut reserved = BTreeMap::<_, BTreeMap<_, u64>>::new();
        self.shelves.reservations.visit(|_, reservation| {
            if let Reservation::Reserved(aside) = reservation {
                let lines = reserved.entry(aside.order.to_string()).or_default();
                for (sku, count) in &aside.lines {
                    *lines.entry(sku.to_string()).or_default() += count;
                }
            }
        });
        reserved
    }

    async fn execute(&self, key: Key, command: Command) -> Result<bool, Status> {
        let shelves = Arc::clone(&self.shelves);
        self.work.finish(async move { shelves.execute(key, &command).await }).await?.map_err(status)
    }
}

impl Shelves {
    async fn execute(&self, key: Key, command: &Command) -> Result<bool, Error<Refused>> {
        let mut session = self.reservations.open(key.into()).await?;
        for _ in 0..CONFLICTS_MAX {
            let before = session.aggregate().clone();
            let events = before.decide(command).map_err(Error::Refused)?;
            let Some(event) = events.first() else { return Ok(false) };
            // Taken before the log has it, so that nobody else takes it meanwhile.
            if let Event::Reserved(aside) = event {
                self.levels.take(&aside.lines).map_err(Error::Refused)?;
            }
            match session.append(&events).await {
                Ok(()) => {
                    if let (Event::Released { .. }, Reservation::Reserved(aside)) = (event, before) {
                        self.levels.put_back(&aside.lines);
                    }
                    return Ok(true);
                }
                Err(error) => {
                    if let Event::Reserved(aside) = event {
                        self.levels.put_back(&aside.lines);
                    }
                    match error {
                        store::Error::Conflict { .. } => session.reload().await?,
                        error => return Err(error.into()),
                    }
                }
            }
        }
        Err(store::Error::Overloaded.into())
    }
}

impl Service {
    fn store(&self) -> Result<&Store, Status> {
        self.0.get().map(|store| &**store).ok_or_else(|| Status::unavailable("the log is being read"))
    }
}

#[tonic::async_trait]
impl Inventory for Service {
    async fn reserve(&self, request: Request<ReserveRequest>) -> Result<Response<ReserveResponse>, Status> {
        let request = request.into_inner();
        let key = Key::try_from(request.key)?;
        let order: OrderId = request.order_id.parse()?;
        if request.lines.is_empty() || request.lines.len() > LINES_MAX {
            return Err(Status::invalid_argument(format!("a reservation must have 1 to {LINES_MAX} lines")));
        }
        let mut lines = Lines::new();
        for line in request.lines {
            let sku: Sku = line.sku.parse()?;
            *lines.entry(sku).or_default() += u64::from(Quantity::try_from(line.quantity)?.get());
        }
        let changed =
            self.store()?.execute(key, Command::Reserve(Arc::new(SetAside { order, lines }))).await?;
        Ok(Response::new(ReserveResponse { repeated: !changed }))
    }

    async fn release(&self, request: Request<ReleaseRequest>) -> Result<Response<ReleaseResponse>, Status> {
        let request = request.into_inner();
        let key = Key::try_from(request.key)?;
        let order: OrderId = request.order_id.parse()?;
        self.store()?.execute(key.clone(), Command::Release(order)).await?;
        let session = self
            .store()?
            .shelves
            .reservations
            .open(key.into())
            .await
            .map_err(|error| status(error.into()))?;
        let reserved_before = matches!(session.aggregate(), Reservation::Released { reserved: Some(_) });
        Ok(Response::new(ReleaseResponse { reserved_before }))
    }
}

fn status(error: Error<Refused>) -> Status {
    match error {
        Error::Refused(refused @ Refused::Other) => Status::invalid_argument(refused.to_string()),
        Error::Refused(refused) => Status::failed_precondition(refused.to_string()),
        Error::Crowded(crowded) => Status::resource_exhausted(crowded.to_string()),
        Error::Store(error) => store_status(&error),
    }
}
