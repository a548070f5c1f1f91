//! Buffers for requests, used again and again: data of large writes stay in them until they have
//! reached the chunkservers.

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use bytes::Bytes;

use super::kernel::WRITE_BYTES_MAX;
use super::kernel::abi::IN_HEADER_LEN;

/// Room for the fields before the data of a WRITE, and for what other requests need.
const HEAD_BYTES: usize = 4096;
/// Buffers that are kept for the next use.
const FREE_MAX: usize = 32;

/// Free buffers.
#[derive(Debug, Default)]
pub(super) struct BufferPool {
    free: Mutex<Vec<Vec<u8>>>,
}

/// A buffer whose parts are in use; it goes back to the pool when the last one is gone.
struct Shared {
    bytes: Vec<u8>,
    pool: Weak<BufferPool>,
}

impl AsRef<[u8]> for Shared {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        if let Some(pool) = self.pool.upgrade() {
            pool.put(std::mem::take(&mut self.bytes));
        }
    }
}

impl BufferPool {
    /// A buffer for one request of any kind.
    pub(super) fn take(&self) -> Vec<u8> {
        let free = self
            .free
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop();
        free.unwrap_or_else(|| vec![0; HEAD_BYTES + WRITE_BYTES_MAX as usize])
    }

    fn put(&self, bytes: Vec<u8>) {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        if free.len() < FREE_MAX {
            free.push(bytes);
        }
    }

    /// The head of a request and the part `data` of it, without copying the data.
    pub(super) fn share(self: &Arc<Self>, bytes: Vec<u8>, data: Range<usize>) -> (Bytes, Bytes) {
        let head = Bytes::copy_from_slice(bytes.get(..IN_HEADER_LEN + 16).unwrap_or_default());
        let shared = Bytes::from_owner(Shared {
            bytes,
            pool: Arc::downgrade(self),
        });
        (head, shared.slice(data))
    }
}
