use std::ops::Deref;

/// What a [`CellMap`](super::CellMap) held for a key at one moment: the value and its version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry<V> {
    pub(super) version: u64,
    pub(super) value: V,
}

impl<V> Entry<V> {
    /// Returns the version: at least 1, and greater with each change of this key, also across a removal. It grows by
    /// more than 1 where other keys have changed too.
    #[inline]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Returns the value alone.
    pub fn into_value(self) -> V {
        self.value
    }
}

impl<V> Deref for Entry<V> {
    type Target = V;

    #[inline]
    fn deref(&self) -> &V {
        &self.value
    }
}
