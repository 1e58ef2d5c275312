use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::future::BoxFuture;
use tower::{Layer, Service};

use super::{Effect, Error, Inbox, Once};
use crate::Event;
use crate::delivery::Delivery;

/// Makes of services that decide on an [`Effect`] handlers that apply it once; see [`Inbox`].
///
/// # Examples
/// ```
/// use std::convert::Infallible;
/// use std::sync::Arc;
/// use steadfast_core::Event;
/// use steadfast_core::delivery::Delivery;
/// use steadfast_core::inbox::{Effect, Inbox, InboxLayer, InboxOptions};
/// use steadfast_core::store::MemoryStore;
/// use tower::{Layer, service_fn};
///
/// # fn main() -> Result<(), steadfast_core::store::Error> {
/// let inbox = Inbox::new(Arc::new(MemoryStore::new()), InboxOptions::new("shipping"))?;
/// let handler = InboxLayer::new(Arc::new(inbox)).layer(service_fn(|delivery: Delivery<Event>| async move {
///     let notice = Event::new("/shipping", "notice.sent").build();
///     Ok::<_, Infallible>(Effect::to_stream("notices", [notice]))
/// }));
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub struct InboxLayer {
    inbox: Arc<Inbox>,
}

impl InboxLayer {
    /// Makes the layer of `inbox`.
    pub fn new(inbox: Arc<Inbox>) -> Self {
        Self { inbox }
    }
}

impl<S> Layer<S> for InboxLayer {
    type Service = InboxService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        InboxService { inbox: Arc::clone(&self.inbox), inner }
    }
}

/// A handler that applies the effect of each event once; made by [`InboxLayer`].
#[derive(Debug, Clone)]
pub struct InboxService<S> {
    inbox: Arc<Inbox>,
    inner: S,
}

impl<S> Service<Delivery<Event>> for InboxService<S>
where
    S: Service<Delivery<Event>, Response = Effect> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Send,
{
    type Response = Once;
    type Error = Error<S::Error>;
    type Future = BoxFuture<'static, Result<Once, Self::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx).map_err(Error::Effect)
    }

    fn call(&mut self, delivery: Delivery<Event>) -> Self::Future {
        // The one that is ready is taken, and its clone left for the next call.
        let spare = self.inner.clone();
        let mut ready = Some(std::mem::replace(&mut self.inner, spare.clone()));
        let inbox = Arc::clone(&self.inbox);
        Box::pin(async move {
            let event = delivery.payload().clone();
            let decide = move || {
                let (mut inner, is_ready) = match ready.take() {
                    Some(inner) => (inner, true),
                    None => (spare.clone(), false),
                };
                let delivery = delivery.clone();
                async move {
                    if !is_ready {
                        poll_fn(|cx| inner.poll_ready(cx)).await?;
                    }
                    inner.call(delivery).await
                }
            };
            inbox.once(&event, decide).await
        })
    }
}
