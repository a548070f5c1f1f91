//! The order of confirmations in a write chain (chunkserver §3.4.2): a write is confirmed when this
//! server and the next one have it, in the order in which the writes came.

use proto::Status;
use std::collections::VecDeque;

/// Writes that are not confirmed yet.
#[derive(Debug)]
pub struct Chain {
    has_successor: bool,
    pending: VecDeque<Pending>,
}

#[derive(Debug)]
struct Pending {
    write_id: u32,
    local: Option<Status>,
    successor: Option<Status>,
}

/// The successor confirmed a write that nobody has asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unexpected;

impl Chain {
    /// A chain without writes.
    pub fn new(has_successor: bool) -> Chain {
        Chain {
            has_successor,
            pending: VecDeque::new(),
        }
    }

    /// A write has come and was passed on.
    pub fn begin(&mut self, write_id: u32) {
        self.pending.push_back(Pending {
            write_id,
            local: None,
            successor: (!self.has_successor).then_some(Status::Ok),
        });
    }

    /// The next write in order that this server has not finished is finished.
    pub fn local(&mut self, status: Status) {
        if let Some(pending) = self.pending.iter_mut().find(|write| write.local.is_none()) {
            pending.local = Some(status);
        }
    }

    /// The successor has confirmed a write, or failed.
    pub fn successor(&mut self, write_id: u32, status: Status) -> Result<(), Unexpected> {
        let pending = self
            .pending
            .iter_mut()
            .find(|write| write.write_id == write_id && write.successor.is_none())
            .ok_or(Unexpected)?;
        pending.successor = Some(status);
        Ok(())
    }

    /// The next confirmation that may be sent. A failure is told as soon as it is known, since
    /// nothing is confirmed after it.
    pub fn next_confirmed(&mut self) -> Option<(u32, Status)> {
        let failed = self.pending.iter().find_map(|write| {
            let status = [write.local, write.successor]
                .into_iter()
                .flatten()
                .find(|status| *status != Status::Ok)?;
            Some((write.write_id, status))
        });
        let front = self.pending.front()?;
        if front.local == Some(Status::Ok) && front.successor == Some(Status::Ok) {
            let write_id = front.write_id;
            self.pending.pop_front();
            return Some((write_id, Status::Ok));
        }
        if failed.is_some() {
            self.pending.clear();
        }
        failed
    }

    /// Writes that are not confirmed yet.
    pub fn len(&self) -> usize {
        self.pending.len()
    }

    /// Whether everything was confirmed.
    pub fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::{Chain, Unexpected};
    use proto::Status;

    #[test]
    fn the_last_server_confirms_what_it_has_written() {
        let mut chain = Chain::new(false);
        chain.begin(1);
        chain.begin(2);
        assert_eq!(chain.next_confirmed(), None);
        chain.local(Status::Ok);
        assert_eq!(chain.next_confirmed(), Some((1, Status::Ok)));
        chain.local(Status::Crc);
        assert_eq!(chain.next_confirmed(), Some((2, Status::Crc)));
        assert!(chain.is_empty());
    }

    #[test]
    fn both_must_have_it_and_the_order_stays() {
        let mut chain = Chain::new(true);
        for write_id in [5, 6, 7] {
            chain.begin(write_id);
        }
        assert_eq!(chain.successor(6, Status::Ok), Ok(()));
        chain.local(Status::Ok);
        assert_eq!(chain.next_confirmed(), None, "the successor lacks 5");
        assert_eq!(chain.successor(5, Status::Ok), Ok(()));
        assert_eq!(chain.next_confirmed(), Some((5, Status::Ok)));
        assert_eq!(chain.next_confirmed(), None, "6 is not written here");
        chain.local(Status::Ok);
        assert_eq!(chain.next_confirmed(), Some((6, Status::Ok)));
        assert_eq!(chain.successor(6, Status::Ok), Err(Unexpected));
        assert_eq!(chain.successor(7, Status::NoSpace), Ok(()));
        assert_eq!(chain.next_confirmed(), Some((7, Status::NoSpace)));
    }

    #[test]
    fn what_succeeded_before_a_failure_is_confirmed_first() {
        let mut chain = Chain::new(true);
        chain.begin(1);
        chain.begin(2);
        chain.local(Status::Ok);
        chain.local(Status::Io);
        assert_eq!(chain.successor(1, Status::Ok), Ok(()));
        assert_eq!(chain.next_confirmed(), Some((1, Status::Ok)));
        assert_eq!(chain.next_confirmed(), Some((2, Status::Io)));
        assert_eq!(chain.next_confirmed(), None);
    }
}
