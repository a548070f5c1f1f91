//! Chunk requests that wait because their chunk is locked or busy (wire-client-master §12.5).
//!
//! A request waits as the packet that brought it: when the chunk is unlocked it is executed again
//! from the start, so whatever changed meanwhile is seen. After 30 s its last status is sent.

use proto::{ChunkId, Status};
use std::collections::{HashMap, VecDeque};

/// How long a request waits before its status is sent.
pub const WAIT_MS: u64 = 30_000;

/// Requests that may wait at the same time; a further one gets its status at once.
pub const WAITING_MAX: usize = 200_000;

/// A request that waits, with the connection `L` that gets the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting<L> {
    /// Connection that sent it.
    pub link: L,
    /// Message type of the request.
    pub kind: u32,
    /// Its payload, msgid included.
    pub payload: Box<[u8]>,
    /// Why it waits, and what is sent when it has waited too long.
    pub status: Status,
    /// Monotonic time after which it is given up, milliseconds.
    pub deadline_ms: u64,
}

/// The queues, one for each chunk, each in order of arrival.
#[derive(Debug)]
pub struct WaitingRequests<L> {
    chunks: HashMap<ChunkId, VecDeque<Waiting<L>>>,
    count: usize,
}

impl<L> Default for WaitingRequests<L> {
    fn default() -> Self {
        WaitingRequests {
            chunks: HashMap::new(),
            count: 0,
        }
    }
}

impl<L: PartialEq> WaitingRequests<L> {
    /// Whether one more request may wait.
    pub fn has_room(&self) -> bool {
        self.count < WAITING_MAX
    }

    /// Appends a request to the queue of a chunk.
    pub fn push(&mut self, chunk: ChunkId, request: Waiting<L>) {
        self.chunks.entry(chunk).or_default().push_back(request);
        self.count += 1;
    }

    /// Number of requests that wait for a chunk.
    pub fn waiting_for(&self, chunk: ChunkId) -> usize {
        if self.count == 0 {
            return 0;
        }
        self.chunks.get(&chunk).map_or(0, VecDeque::len)
    }

    /// Takes the request that has waited longest for a chunk.
    pub fn pop(&mut self, chunk: ChunkId) -> Option<Waiting<L>> {
        let queue = self.chunks.get_mut(&chunk)?;
        let request = queue.pop_front();
        if queue.is_empty() {
            self.chunks.remove(&chunk);
        }
        self.count -= usize::from(request.is_some());
        request
    }

    /// Takes every request whose time is up.
    pub fn expired(&mut self, now_ms: u64) -> Vec<Waiting<L>> {
        let mut expired = Vec::new();
        if self.count == 0 {
            return expired;
        }
        self.chunks.retain(|_, queue| {
            while let Some(request) = queue.pop_front_if(|request| request.deadline_ms <= now_ms) {
                expired.push(request);
            }
            !queue.is_empty()
        });
        self.count -= expired.len();
        expired
    }

    /// Drops the requests of a connection that ended.
    pub fn drop_link(&mut self, link: &L) {
        if self.count == 0 {
            return;
        }
        let mut count = 0;
        self.chunks.retain(|_, queue| {
            queue.retain(|request| request.link != *link);
            count += queue.len();
            !queue.is_empty()
        });
        self.count = count;
    }
}

#[cfg(test)]
mod tests {
    use super::{Waiting, WaitingRequests};
    use proto::{ChunkId, Status};

    fn request(link: u32, deadline_ms: u64) -> Waiting<u32> {
        Waiting {
            link,
            kind: 432,
            payload: Box::from(*b"\0\0\0\x01"),
            status: Status::Locked,
            deadline_ms,
        }
    }

    #[test]
    fn each_chunk_has_its_own_order_of_arrival() {
        let mut waiting = WaitingRequests::default();
        for (chunk, link) in [(1, 10), (2, 20), (1, 11), (1, 12)] {
            waiting.push(ChunkId(chunk), request(link, 0));
        }
        assert_eq!(waiting.waiting_for(ChunkId(1)), 3);
        let order: Vec<u32> = std::iter::from_fn(|| waiting.pop(ChunkId(1)))
            .map(|request| request.link)
            .collect();
        assert_eq!(order, [10, 11, 12]);
        assert_eq!((waiting.count, waiting.waiting_for(ChunkId(2))), (1, 1));
        assert_eq!(waiting.pop(ChunkId(1)), None);
    }

    #[test]
    fn what_has_waited_too_long_and_what_lost_its_connection_goes() {
        let mut waiting = WaitingRequests::default();
        for (chunk, link, deadline_ms) in [(1, 10, 100), (1, 11, 200), (2, 10, 300), (3, 12, 100)] {
            waiting.push(ChunkId(chunk), request(link, deadline_ms));
        }
        let mut expired: Vec<u32> = waiting.expired(100).iter().map(|r| r.link).collect();
        expired.sort_unstable();
        assert_eq!(expired, [10, 12]);
        assert_eq!(waiting.count, 2);
        waiting.drop_link(&10);
        assert_eq!(waiting.count, 1);
        assert_eq!(waiting.pop(ChunkId(1)).map(|r| r.link), Some(11));
        assert_eq!(waiting.count, 0);
    }
}
