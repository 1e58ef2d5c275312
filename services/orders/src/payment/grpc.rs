use std::collections::BTreeMap;
use std::sync::Arc;

use tonic::{Request, Response, Status};

use super::domain::{Charge, Command, Refused, Taken};
use crate::host::{Gate, Key, Work, store_status};
use crate::ledger::{Error, Repository};
use crate::orders::domain::{Invalid, Money, OrderId};
use crate::proto::payment::payment_server::Payment;
use crate::proto::payment::{ChargeRequest, ChargeResponse, VoidRequest, VoidResponse};

/// The gRPC service `payment.v1.Payment`: unavailable until its gate opens.
#[derive(Clone)]
pub struct Service(pub Gate<Ledger>);

/// All charges.
pub struct Ledger {
    charges: Arc<Repository<Charge>>,
    work: Work,
}

impl Ledger {
    /// Makes the ledger over `charges`; started commands run to their end in `work`.
    pub fn new(charges: Repository<Charge>, work: Work) -> Self {
        Self { charges: Arc::new(charges), work }
    }

    /// Returns what has been charged and not given back, by order.
    pub fn charged(&self) -> BTreeMap<String, String> {
        let mut charged = BTreeMap::new();
        self.charges.visit(|_, charge| {
            if let Charge::Charged(taken) = charge {
                // An order is charged under one key at a time; were there two, it must show.
                charged
                    .entry(taken.order.to_string())
                    .and_modify(|sum: &mut String| *sum = format!("{sum} + {}", taken.amount))
                    .or_insert_with(|| taken.amount.to_string());
            }
        });
        charged
    }

    async fn execute(&self, key: Key, command: Command) -> Result<bool, Status> {
        let charges = Arc::clone(&self.charges);
        self.work.finish(async move { charges.execute(key.into(), &command).await }).await?.map_err(status)
    }
}

impl Service {
    fn ledger(&self) -> Result<&Ledger, Status> {
        self.0.get().map(|ledger| &**ledger).ok_or_else(|| Status::unavailable("the log is being read"))
    }
}

#[tonic::async_trait]
impl Payment for Service {
    async fn charge(&self, request: Request<ChargeRequest>) -> Result<Response<ChargeResponse>, Status> {
        let request = request.into_inner();
        let key = Key::try_from(request.key)?;
        let taken = taken(&request.order_id, request.amount_minor, &request.currency)?;
        let changed = self.ledger()?.execute(key, Command::Charge(Arc::new(taken))).await?;
        Ok(Response::new(ChargeResponse { repeated: !changed }))
    }

    async fn void(&self, request: Request<VoidRequest>) -> Result<Response<VoidResponse>, Status> {
        let request = request.into_inner();
        let key = Key::try_from(request.key)?;
        let order: OrderId = request.order_id.parse()?;
        self.ledger()?.execute(key.clone(), Command::Void(order)).await?;
        let session = self.ledger()?.charges.open(key.into()).await.map_err(|error| status(error.into()))?;
        let charged_before = matches!(session.aggregate(), Charge::Voided { taken: Some(_) });
        Ok(Response::new(VoidResponse { charged_before }))
    }
}

fn taken(order: &str, amount_minor: i64, currency: &str) -> Result<Taken, Invalid> {
    let order: OrderId = order.parse()?;
    Ok(Taken { order, amount: Money::new(amount_minor, currency.parse()?)? })
}

fn status(error: Error<Refused>) -> Status {
    match error {
        Error::Refused(refused @ Refused::Voided) => Status::failed_precondition(refused.to_string()),
        Error::Refused(refused @ Refused::Other) => Status::invalid_argument(refused.to_string()),
        Error::Crowded(crowded) => Status::resource_exhausted(crowded.to_string()),
        Error::Store(error) => store_status(&error),
    }
}
