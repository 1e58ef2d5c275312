use std::sync::Arc;

use tonic::{Request, Response, Status};

use super::domain::{Command, Lines, Reservation, SetAside};
use super::store::Store;
use crate::host::{Gate, Key};
use crate::orders::domain::{OrderId, Quantity, Sku};
use crate::proto::inventory::inventory_server::Inventory;
use crate::proto::inventory::{
    LevelRequest, LevelResponse, ReleaseRequest, ReleaseResponse, ReserveRequest, ReserveResponse,
};

/// How many lines a reservation may have.
const LINES_MAX: usize = 500;

/// The gRPC service `inventory.v1.Inventory`: unavailable until its gate opens.
#[derive(Clone)]
pub struct Service(pub Gate<Store>);

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
        let command = Command::Reserve(Arc::new(SetAside { order, lines }));
        let (changed, _) = self.store()?.execute(key, command).await?;
        Ok(Response::new(ReserveResponse { repeated: !changed }))
    }

    async fn release(&self, request: Request<ReleaseRequest>) -> Result<Response<ReleaseResponse>, Status> {
        let request = request.into_inner();
        let key = Key::try_from(request.key)?;
        let order: OrderId = request.order_id.parse()?;
        let (_, reservation) = self.store()?.execute(key, Command::Release(order)).await?;
        let reserved_before = matches!(reservation, Reservation::Released { reserved: Some(_) });
        Ok(Response::new(ReleaseResponse { reserved_before }))
    }
    async fn level(&self, request: Request<LevelRequest>) -> Result<Response<LevelResponse>, Status> {
        let sku: Sku = request.into_inner().sku.parse()?;
        Ok(Response::new(LevelResponse { free: self.store()?.free(&sku) }))
    }
}
