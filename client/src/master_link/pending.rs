//! Requests that wait for an answer.

use std::collections::BTreeMap;
use std::time::Duration;

use proto::client::chunks::chunk_flag;
use proto::client::kind;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::Reply;
use crate::error::Result;

/// A request without an answer.
pub(super) struct Waiting {
    /// Type of the request.
    pub(super) kind: u32,
    /// The packet, for the next link.
    frame: Vec<u8>,
    /// On how many links it was sent.
    pub(super) links: u32,
    /// When it was made.
    made: Instant,
    /// Where its answer goes.
    pub(super) reply: oneshot::Sender<Result<Reply>>,
}

/// All requests that wait, in the order in which they were made: numbers grow and are used again
/// only after all others, so a number names one request for the life of a session.
#[derive(Default)]
pub(super) struct Pending {
    requests: BTreeMap<u32, Waiting>,
    last_id: u32,
    lost_at: Option<Instant>,
}

impl Pending {
    /// A number that no waiting request has. Never 0.
    pub(super) fn next_id(&mut self) -> u32 {
        loop {
            self.last_id = self.last_id.wrapping_add(1);
            if self.last_id != 0 && !self.requests.contains_key(&self.last_id) {
                return self.last_id;
            }
        }
    }

    /// Adds a request; `sent`: it is on its way.
    pub(super) fn insert(
        &mut self,
        msgid: u32,
        kind: u32,
        frame: Vec<u8>,
        sent: bool,
        now: Instant,
        reply: oneshot::Sender<Result<Reply>>,
    ) {
        let waiting = Waiting {
            kind,
            frame,
            links: u32::from(sent),
            made: now,
            reply,
        };
        self.requests.insert(msgid, waiting);
    }

    /// Takes the request that an answer belongs to.
    pub(super) fn remove(&mut self, msgid: u32) -> Option<Waiting> {
        self.requests.remove(&msgid)
    }

    /// Appends every request to `out`, in order, for a new link. Their number.
    pub(super) fn repeat(&mut self, out: &mut Vec<u8>) -> u64 {
        self.lost_at = None;
        // Nobody waits for these any more.
        self.requests
            .retain(|_, waiting| !waiting.reply.is_closed());
        for waiting in self.requests.values_mut() {
            if waiting.links > 0 && waiting.kind == kind::WRITE_CHUNK {
                // The first try may hold the lock that this one would wait for.
                if let Some(flags) = waiting.frame.last_mut() {
                    *flags |= chunk_flag::CONTINUE;
                }
            }
            out.extend_from_slice(&waiting.frame);
            waiting.links += 1;
        }
        self.requests.len() as u64
    }

    /// The link broke: from now on patience counts.
    pub(super) fn link_lost(&mut self, now: Instant) {
        self.lost_at.get_or_insert(now);
    }

    /// Takes the requests that waited longer than `patience` without a link, or `timeout` at all.
    pub(super) fn expire(
        &mut self,
        now: Instant,
        patience: Duration,
        timeout: Option<Duration>,
    ) -> Vec<oneshot::Sender<Result<Reply>>> {
        if self.lost_at.is_none() && timeout.is_none() {
            return Vec::new();
        }
        let lost_at = self.lost_at;
        let is_expired = |waiting: &Waiting| {
            let waited = now.duration_since(waiting.made);
            let without_link = lost_at.map(|lost| now.duration_since(lost.max(waiting.made)));
            timeout.is_some_and(|timeout| waited >= timeout)
                || without_link.is_some_and(|without| without >= patience)
        };
        self.requests
            .extract_if(.., |_, waiting| is_expired(waiting))
            .map(|(_, waiting)| waiting.reply)
            .collect()
    }

    /// Takes all requests.
    pub(super) fn take_all(&mut self) -> Vec<oneshot::Sender<Result<Reply>>> {
        std::mem::take(&mut self.requests)
            .into_values()
            .map(|waiting| waiting.reply)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(pending: &mut Pending, frame: u8, sent: bool, now: Instant) -> u32 {
        let id = pending.next_id();
        pending.insert(id, 406, vec![frame], sent, now, {
            let (sender, receiver) = oneshot::channel();
            // The receiver stays alive for the length of the test.
            std::mem::forget(receiver);
            sender
        });
        id
    }

    #[test]
    fn a_new_link_carries_what_is_unanswered_in_order() {
        let now = Instant::now();
        let mut pending = Pending::default();
        let first = add(&mut pending, 1, true, now);
        add(&mut pending, 2, true, now);
        add(&mut pending, 3, false, now);
        assert!(pending.remove(first).is_some());
        assert!(pending.remove(first).is_none(), "answered twice");
        pending.link_lost(now);
        let mut out = Vec::new();
        assert_eq!(pending.repeat(&mut out), 2);
        assert_eq!(out, [2, 3]);
        assert_eq!(pending.remove(2).map(|waiting| waiting.links), Some(2));
        assert_eq!(pending.remove(3).map(|waiting| waiting.links), Some(1));
    }

    #[test]
    fn patience_counts_without_a_link_and_a_timeout_always() {
        let start = Instant::now();
        let second = Duration::from_secs(1);
        let mut pending = Pending::default();
        add(&mut pending, 1, true, start);
        let expired = |pending: &mut Pending, after: u32, timeout| {
            pending
                .expire(start + second * after, 3 * second, timeout)
                .len()
        };
        assert_eq!(expired(&mut pending, 100, None), 0, "a slow answer");
        pending.link_lost(start + second * 100);
        assert_eq!(expired(&mut pending, 102, None), 0);
        assert_eq!(expired(&mut pending, 103, None), 1);
        add(&mut pending, 2, true, start + second * 110);
        pending.repeat(&mut Vec::new());
        assert_eq!(expired(&mut pending, 113, Some(4 * second)), 0);
        assert_eq!(expired(&mut pending, 114, Some(4 * second)), 1);
    }

    #[test]
    fn numbers_skip_zero_and_what_still_waits() {
        let mut pending = Pending {
            last_id: u32::MAX - 1,
            ..Pending::default()
        };
        let now = Instant::now();
        assert_eq!(add(&mut pending, 1, true, now), u32::MAX);
        assert_eq!(add(&mut pending, 1, true, now), 1);
        pending.last_id = u32::MAX - 1;
        assert_eq!(pending.next_id(), 2);
    }
}
