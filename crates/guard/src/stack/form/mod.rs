//! How the settings of each guard are written in a document. The names are those of the policies, the values have units.

mod calls;
mod load;
mod time;

use std::marker::PhantomData;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub(super) use calls::Breaker;
pub(super) use calls::Hedge;
pub(super) use calls::Retry;
pub(super) use load::Bulkhead;
pub(super) use load::KeyedRateLimit;
pub(super) use load::RateLimit;
pub(super) use load::RefuseExpired;
pub(super) use load::Shed;
pub(super) use time::Deadline;
pub(super) use time::ServerDeadline;
pub(super) use time::Timeout;

/// Reads and writes settings that may be absent by way of their form `F`.
pub(super) struct Optional<F>(PhantomData<F>);

impl<F> Optional<F> {
    pub(super) fn serialize<P, S>(settings: &Option<P>, serializer: S) -> Result<S::Ok, S::Error>
    where
        F: Serialize + From<P>,
        P: Copy,
        S: Serializer,
    {
        settings.map(F::from).serialize(serializer)
    }

    pub(super) fn deserialize<'de, P, D>(deserializer: D) -> Result<Option<P>, D::Error>
    where
        F: Deserialize<'de> + TryInto<P, Error: std::fmt::Display>,
        D: Deserializer<'de>,
    {
        let form = Option::<F>::deserialize(deserializer)?;
        form.map(|form| form.try_into().map_err(serde::de::Error::custom)).transpose()
    }
}
