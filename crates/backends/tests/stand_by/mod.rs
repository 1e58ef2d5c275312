//! Sources of which one receiver of a group does all the work, and the others stand by.

use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use steadfast_core::testing::transport::{self, Opened, TransportFactory};
use steadfast_core::transport::{Capabilities, Error, Receiver, Source, Subscribe};

/// Declares groups, which such a source does not: the suite leaves out its cases of several receivers else.
struct Group(Arc<dyn Source>);

impl Source for Group {
    fn system(&self) -> &'static str {
        self.0.system()
    }

    fn destination(&self) -> &str {
        self.0.destination()
    }

    fn capabilities(&self) -> Capabilities {
        assert!(!self.0.capabilities().groups, "the suite tests it without help");
        self.0.capabilities().groups()
    }

    fn open<'a>(&'a self, subscribe: &'a Subscribe) -> BoxFuture<'a, Result<Box<dyn Receiver>, Error>> {
        self.0.open(subscribe)
    }
}

struct Factory<F>(F);

impl<F: TransportFactory> TransportFactory for Factory<F> {
    fn open(&mut self) -> BoxFuture<'_, Opened> {
        async {
            let mut opened = self.0.open().await;
            opened.source = Arc::new(Group(opened.source));
            opened
        }
        .boxed()
    }
}

/// Receivers of one group that come and go, one of them at work and the others standing by, lose nothing.
pub(crate) fn receivers_that_come_and_go_lose_nothing(factory: impl TransportFactory) {
    let mut factory = Factory(factory);
    let checked =
        transport::run(async { transport::receivers_that_come_and_go_lose_nothing(&mut factory).await });
    checked.unwrap_or_else(|problem| panic!("{problem}"));
}
