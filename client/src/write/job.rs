//! One WRITE of a chunk: which piece goes out when, what a status means, when it is over
//! (client-behaviour §12.3, §12.4). No I/O: time and statuses come in, decisions go out.

use std::collections::HashMap;
use std::time::Duration;

use proto::Status;
use tokio::time::Instant;

use super::queue::{Queue, Sent};
use crate::chunk_link::{Failure, NOP_AFTER, SILENCE_MAX};

/// Statuses that may be missing before nothing more is sent.
pub(crate) const WINDOW: usize = 64;
/// No new pieces after this.
const SEND_TIME: Duration = Duration::from_secs(25);
/// A job that still waits for statuses after this has failed.
const LIFE_MAX: Duration = Duration::from_secs(30);
/// How long a piece that is not full waits for more data.
const PARTIAL_WAIT: Duration = Duration::from_millis(50);
/// How long the chain stays open without anything to write.
const LINGER: Duration = Duration::from_millis(100);

/// What to do next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Send this piece under this number.
    Send(u32, Sent),
    /// Send a sign of life.
    Nop,
    /// Nothing until a status or new data come, or until then.
    Wait(Instant),
    /// Everything is acknowledged: end the WRITE.
    Finish,
    /// Give up.
    Fail(Failure),
}

/// A WRITE in progress.
#[derive(Debug)]
pub(crate) struct Job {
    outstanding: HashMap<u32, u64>,
    last_id: u32,
    is_open: bool,
    started: Instant,
    heard: Instant,
    sent: Instant,
    /// Since when there is nothing to do.
    idle: Option<Instant>,
    /// Highest byte that was acknowledged, inside the chunk.
    acknowledged_end: u32,
}

impl Job {
    /// The WRITE packet goes out now.
    pub(crate) fn new(now: Instant) -> Job {
        Job {
            outstanding: HashMap::new(),
            last_id: 0,
            is_open: false,
            started: now,
            heard: now,
            sent: now,
            idle: None,
            acknowledged_end: 0,
        }
    }

    /// Byte behind the last acknowledged one, inside the chunk; 0 if none was.
    pub(crate) fn acknowledged_end(&self) -> u32 {
        self.acknowledged_end
    }

    /// Something came from the head of the chain.
    pub(crate) fn heard(&mut self, now: Instant) {
        self.heard = now;
    }

    /// A status came. The bytes that are free now.
    pub(crate) fn status(
        &mut self,
        queue: &mut Queue,
        write_id: u32,
        status: Status,
    ) -> Result<usize, Failure> {
        if status != Status::Ok {
            return Err(Failure::Status(status));
        }
        if write_id == 0 {
            if self.is_open {
                return Err(Failure::Malformed);
            }
            self.is_open = true;
            return Ok(0);
        }
        let number = self
            .outstanding
            .remove(&write_id)
            .ok_or(Failure::Malformed)?;
        let (freed, end) = queue.acknowledge(number);
        self.acknowledged_end = self.acknowledged_end.max(end);
        Ok(freed)
    }

    /// What to do now. `hurry`: somebody waits for the end of the writes.
    pub(crate) fn next(&mut self, queue: &mut Queue, hurry: bool, now: Instant) -> Next {
        let silent_at = self.heard.max(self.sent_while_idle()) + SILENCE_MAX;
        let waits = !self.is_open || !self.outstanding.is_empty();
        if waits && now >= silent_at {
            return Next::Fail(Failure::Silence);
        }
        if waits && now >= self.started + LIFE_MAX {
            return Next::Fail(Failure::Silence);
        }
        let missing = self.outstanding.len() + usize::from(!self.is_open);
        let may_send = missing < WINDOW && now < self.started + SEND_TIME;
        let mut wake = if waits { silent_at } else { now + LINGER };
        if let Some((piece, is_last)) = queue.next_unsent()
            && may_send
        {
            let is_partial = is_last && !piece.is_full() && self.last_id > 0 && !hurry;
            let due = piece.changed + PARTIAL_WAIT;
            if !is_partial || now >= due {
                let write_id = self.last_id + 1;
                if let Some(sent) = queue.send(write_id) {
                    self.last_id = write_id;
                    self.outstanding.insert(write_id, sent.number);
                    self.sent = now;
                    self.idle = None;
                    return Next::Send(write_id, sent);
                }
            }
            wake = wake.min(due);
        }
        if !waits {
            let has_more = queue.next_unsent().is_some();
            if has_more && now >= self.started + SEND_TIME {
                return Next::Finish;
            }
            if !has_more {
                let idle = *self.idle.get_or_insert(now);
                if hurry || now >= idle + LINGER {
                    return Next::Finish;
                }
                wake = wake.min(idle + LINGER);
            }
        }
        if now >= self.sent + NOP_AFTER {
            self.sent = now;
            return Next::Nop;
        }
        Next::Wait(wake.min(self.sent + NOP_AFTER))
    }

    /// Silence counts from the first thing that is waited for.
    fn sent_while_idle(&self) -> Instant {
        self.idle.unwrap_or(self.started)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn ms(number: u64) -> Duration {
        Duration::from_millis(number)
    }

    fn id(next: &Next) -> Option<u32> {
        match next {
            Next::Send(id, _) => Some(*id),
            _ => None,
        }
    }

    /// The timeline of client-behaviour §22: small writes every 20 ms.
    #[test]
    fn small_writes_are_collected_and_the_end_lingers() {
        let start = Instant::now();
        let (mut queue, mut job) = (Queue::default(), Job::new(start));
        let put = |queue: &mut Queue, n: u32, at| {
            queue.put(0, n * 100, Bytes::from(vec![1; 100]), at);
        };
        put(&mut queue, 0, start);
        assert_eq!(
            id(&job.next(&mut queue, false, start)),
            Some(1),
            "the first at once"
        );
        put(&mut queue, 1, start + ms(20));
        put(&mut queue, 2, start + ms(40));
        assert_eq!(
            job.next(&mut queue, false, start + ms(41)),
            Next::Wait(start + ms(90)),
            "not full: waits for more"
        );
        job.status(&mut queue, 0, Status::Ok).unwrap();
        assert_eq!(job.status(&mut queue, 1, Status::Ok), Ok(100));
        assert_eq!(id(&job.next(&mut queue, false, start + ms(90))), Some(2));
        assert_eq!(job.status(&mut queue, 2, Status::Ok), Ok(200));
        assert_eq!(
            job.next(&mut queue, false, start + ms(100)),
            Next::Wait(start + ms(200))
        );
        assert_eq!(job.next(&mut queue, false, start + ms(200)), Next::Finish);
        assert_eq!(job.acknowledged_end(), 300);
    }

    #[test]
    fn a_flush_waits_for_nothing_but_statuses() {
        let start = Instant::now();
        let (mut queue, mut job) = (Queue::default(), Job::new(start));
        queue.put(0, 0, Bytes::from_static(b"a"), start);
        assert_eq!(id(&job.next(&mut queue, true, start)), Some(1));
        queue.put(1, 0, Bytes::from_static(b"b"), start);
        assert_eq!(id(&job.next(&mut queue, true, start)), Some(2));
        job.status(&mut queue, 0, Status::Ok).unwrap();
        job.status(&mut queue, 2, Status::Ok).unwrap();
        assert!(matches!(job.next(&mut queue, true, start), Next::Wait(_)));
        job.status(&mut queue, 1, Status::Ok).unwrap();
        assert_eq!(job.next(&mut queue, true, start), Next::Finish);
    }

    #[test]
    fn the_window_is_bounded() {
        let start = Instant::now();
        let (mut queue, mut job) = (Queue::default(), Job::new(start));
        for block in 0..100 {
            queue.put(block, 0, Bytes::from(vec![0; 65536]), start);
        }
        let sent = (0..100)
            .take_while(|_| id(&job.next(&mut queue, false, start)).is_some())
            .count();
        assert_eq!(sent, WINDOW - 1, "WRITE itself is one of them");
        job.status(&mut queue, 0, Status::Ok).unwrap();
        assert_eq!(id(&job.next(&mut queue, false, start)), Some(64));
        assert!(matches!(job.next(&mut queue, false, start), Next::Wait(_)));
    }

    #[test]
    fn silence_and_errors_end_it() {
        let start = Instant::now();
        let (mut queue, mut job) = (Queue::default(), Job::new(start));
        queue.put(0, 0, Bytes::from_static(b"a"), start);
        job.next(&mut queue, true, start);
        assert_eq!(job.next(&mut queue, true, start + ms(1000)), Next::Nop);
        assert_eq!(
            job.next(&mut queue, true, start + ms(2000)),
            Next::Fail(Failure::Silence)
        );
        for (id, status, failure) in [
            (1, Status::Io, Failure::Status(Status::Io)),
            (7, Status::Ok, Failure::Malformed),
        ] {
            assert_eq!(job.status(&mut queue, id, status), Err(failure));
        }
    }
}
