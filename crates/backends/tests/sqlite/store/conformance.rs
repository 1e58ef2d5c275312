use std::sync::Arc;

use futures::future::BoxFuture;
use steadfast_core::store::EventStore;
use steadfast_core::testing::store::StoreFactory;

struct InAFile(tempfile::TempDir);

impl InAFile {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }
}

impl StoreFactory for InAFile {
    fn open(&mut self) -> BoxFuture<'_, Arc<dyn EventStore>> {
        Box::pin(async { super::open(self.0.path()) })
    }

    fn reopen(&mut self) -> Option<BoxFuture<'_, Arc<dyn EventStore>>> {
        Some(self.open())
    }
}

steadfast_core::store_conformance!(InAFile::new());
steadfast_core::store_users_conformance!(InAFile::new());
