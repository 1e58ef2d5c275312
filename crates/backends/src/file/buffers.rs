//! Room for what is read, used again when nobody looks at it any more: new memory would have to be filled with zeros,
//! and mapped page by page.

use std::sync::{Arc, Weak};

use parking_lot::Mutex;

/// How much is read at once where much is to be read.
pub(super) const LENGTH: usize = 1 << 20;
/// How many are kept: one is read into while another one is taken apart.
const KEPT_MAX: usize = 2;

type Kept = Mutex<Vec<Vec<u8>>>;

/// The buffers of one reader.
#[derive(Debug, Default)]
pub(super) struct Buffers(Arc<Kept>);

impl Buffers {
    /// Returns a buffer of `length` bytes; what it holds is left from before. Those of [`LENGTH`] are used again.
    pub(super) fn take(&self, length: usize) -> Buffer {
        let kept = if length == LENGTH { self.0.lock().pop() } else { None };
        Buffer { bytes: kept.unwrap_or_else(|| vec![0; length]), home: Arc::downgrade(&self.0) }
    }

    /// Gives back the memory of those that are kept, and of those that are in use when they are dropped.
    pub(super) fn release(&mut self) {
        self.0 = Arc::default();
    }
}

/// A buffer that goes back to its reader when it is dropped.
#[derive(Debug)]
pub(super) struct Buffer {
    pub(super) bytes: Vec<u8>,
    home: Weak<Kept>,
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if self.bytes.len() == LENGTH
            && let Some(home) = self.home.upgrade()
        {
            let mut kept = home.lock();
            if kept.len() < KEPT_MAX {
                kept.push(std::mem::take(&mut self.bytes));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn a_buffer_is_used_again_when_its_last_slice_is_gone() {
        let buffers = Buffers::default();
        let bytes = Bytes::from_owner(buffers.take(LENGTH));
        let (place, slice) = (bytes.as_ptr(), bytes.slice(5..9));
        drop(bytes);
        assert_ne!(buffers.take(LENGTH).bytes.as_ptr(), place);
        drop(slice);
        let all: Vec<_> = (0..KEPT_MAX).map(|_| buffers.take(LENGTH)).collect();
        assert!(all.iter().any(|buffer| buffer.bytes.as_ptr() == place));
    }

    #[test]
    fn no_more_are_kept_than_are_needed_and_none_of_another_length() {
        let mut buffers = Buffers::default();
        drop((0..5).map(|_| buffers.take(LENGTH)).collect::<Vec<_>>());
        assert_eq!(buffers.0.lock().len(), KEPT_MAX);
        buffers.0.lock().clear();
        drop(buffers.take(LENGTH + 1));
        assert!(buffers.0.lock().is_empty());
        let left = buffers.take(LENGTH);
        buffers.release();
        drop(left);
        assert!(buffers.0.lock().is_empty());
        let left = buffers.take(LENGTH);
        drop(buffers);
        assert_eq!(left.as_ref().len(), LENGTH);
    }
}
