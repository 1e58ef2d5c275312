use std::collections::BTreeMap;
use std::sync::Arc;

use steadfast::core::repository::{Cause, Error};
use tonic::{Request, Response, Status};

use super::domain::{Charge, Command, Refused, Taken};
use super::log::{Charged, Charges};
use crate::host::{Gate, Key, Work};
use crate::ledger::{Behind, LogView, status};
use crate::orders::domain::{Invalid, Money, OrderId};
use crate::proto::payment::payment_server::Payment;
use crate::proto::payment::{ChargeRequest, ChargeResponse, VoidRequest, VoidResponse};

/// The gRPC service `payment.v1.Payment`: unavailable until its gate opens.
#[derive(Clone)]
pub struct Service(pub Gate<Ledger>);

/// All charges.
pub struct Ledger {
    charges: Arc<Charges>,
    charged: Arc<LogView<Charged>>,
    work: Work,
}

impl Ledger {
    /// Makes the ledger over `charges` and what their log says; started commands run to their end in `work`.
    pub fn new(charges: Charges, charged: Arc<LogView<Charged>>, work: Work) -> Self {
        Self { charges: Arc::new(charges), charged, work }
    }

    /// Returns what has been charged and not given back, by order.
    ///
    /// # Errors
    /// [`Behind`].
    pub async fn charged(&self) -> Result<BTreeMap<String, String>, Behind> {
        self.charged.caught_up().await?;
        Ok(self.charged.look(Charged::by_order))
    }

    /// Carries out a command; says whether that changed anything, and how the charge stands.
    async fn execute(&self, key: Key, command: Command) -> Result<(bool, Charge), Status> {
        let charges = Arc::clone(&self.charges);
        let execute = async move {
            // The key names the charge, which tells a repetition by itself: the same key serves to charge and to void.
            let done = charges.execute(key.as_str(), &command, &Cause::unknown()).await?;
            let charge = charges.look(key.as_str(), |charge, _| charge.clone()).await?;
            Ok((!done.events.is_empty(), charge))
        };
        self.work.finish(execute).await?.map_err(|error: Error<Refused>| status(error, refusal))
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
        let (changed, _) = self.ledger()?.execute(key, Command::Charge(Arc::new(taken))).await?;
        Ok(Response::new(ChargeResponse { repeated: !changed }))
    }

    async fn void(&self, request: Request<VoidRequest>) -> Result<Response<VoidResponse>, Status> {
        let request = request.into_inner();
        let key = Key::try_from(request.key)?;
        let order: OrderId = request.order_id.parse()?;
        let (_, charge) = self.ledger()?.execute(key, Command::Void(order)).await?;
        let charged_before = matches!(charge, Charge::Voided { taken: Some(_) });
        Ok(Response::new(VoidResponse { charged_before }))
    }
}

fn taken(order: &str, amount_minor: i64, currency: &str) -> Result<Taken, Invalid> {
    let order: OrderId = order.parse()?;
    Ok(Taken { order, amount: Money::new(amount_minor, currency.parse()?)? })
}

fn refusal(refused: Refused) -> Status {
    match refused {
        Refused::Voided => Status::failed_precondition(refused.to_string()),
        Refused::Other => Status::invalid_argument(refused.to_string()),
    }
}
