//! Byte-range locks: ranges of each owner, the queue of those who wait, and who is let in
//! (wire-client-master §14.2). Only what is held is persistent.

use crate::digest::{Kind, Sum};
use crate::flock::{LockOutcome, LockOwner, WAITING_MAX, Waiter};
use proto::{Inode, SessionId, Status};
use std::sync::Arc;

/// End of a range that reaches to the end of the file.
pub const TO_END: u64 = u64::MAX;

/// Kind of a byte-range lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum RangeKind {
    /// Many at a time; `R` in the changelog.
    Read = 1,
    /// Alone; `W` in the changelog.
    Write = 2,
}

impl RangeKind {
    /// The kind of a number.
    pub fn from_number(number: u8) -> Option<RangeKind> {
        match number {
            1 => Some(RangeKind::Read),
            2 => Some(RangeKind::Write),
            _ => None,
        }
    }
}

/// Bytes from `start` up to, not including, `end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByteRange {
    /// First byte.
    pub start: u64,
    /// First byte behind; [`TO_END`]: to the end of the file.
    pub end: u64,
}

impl ByteRange {
    /// The whole file.
    pub const ALL: ByteRange = ByteRange {
        start: 0,
        end: TO_END,
    };

    fn overlaps(self, other: ByteRange) -> bool {
        self.start < other.end && other.start < self.end
    }
}

/// A held range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RangeLock {
    /// Which bytes.
    pub range: ByteRange,
    /// Its kind.
    pub kind: RangeKind,
    /// Process at the client, to be shown only.
    pub pid: u32,
}

/// One request to lock or unlock a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RangeRequest {
    /// The file.
    pub inode: Inode,
    /// Who asks.
    pub owner: LockOwner,
    /// Number of the request, by which it is interrupted.
    pub reqid: u32,
    /// Number under which it is answered.
    pub msgid: u32,
    /// Process at the client.
    pub pid: u32,
    /// Which bytes.
    pub range: ByteRange,
    /// `None`: unlock.
    pub kind: Option<RangeKind>,
    /// Wait when the range is taken; otherwise 45.
    pub wait: bool,
}

/// A step of a request, in order of effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RangeStep {
    /// The owner has this range in this way (`None`: not at all) from now on.
    Changed(LockOwner, ByteRange, Option<RangeKind>, u32),
    /// A request that waited is answered.
    Answer(LockOwner, Waiter, Status),
}

#[derive(Clone, Debug, PartialEq)]
struct OwnerLocks {
    owner: LockOwner,
    /// Ascending and disjoint; touching ranges differ in kind.
    ranges: Vec<RangeLock>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Waiting {
    owner: LockOwner,
    lock: RangeLock,
    waiter: Waiter,
}

/// Ranges and queue of one file.
#[derive(Clone, Debug, Default, PartialEq)]
struct FileLocks {
    owners: Vec<OwnerLocks>,
    waiting: Vec<Waiting>,
}

/// Byte-range locks of all files. A clone shares everything with the original.
#[derive(Clone, Debug, Default)]
pub struct PosixLocks {
    files: imbl::OrdMap<u32, Arc<FileLocks>>,
}

/// Puts a range of one owner into his list: what it covers is replaced, what it touches and is of
/// the same kind joins it. Whether anything changed.
fn put(ranges: &mut Vec<RangeLock>, range: ByteRange, kind: Option<RangeKind>, pid: u32) -> bool {
    let mut new = kind.map(|kind| RangeLock { range, kind, pid });
    let mut next = Vec::with_capacity(ranges.len() + 2);
    let mut after = Vec::new();
    for &old in ranges.iter() {
        if let Some(new) = &mut new
            && old.kind == new.kind
            && old.range.start <= new.range.end
            && new.range.start <= old.range.end
        {
            new.range.start = new.range.start.min(old.range.start);
            new.range.end = new.range.end.max(old.range.end);
            continue;
        }
        if old.range.start < range.start {
            let end = old.range.end.min(range.start);
            next.push(RangeLock {
                range: ByteRange { end, ..old.range },
                ..old
            });
        }
        if old.range.end > range.end {
            let start = old.range.start.max(range.end);
            after.push(RangeLock {
                range: ByteRange { start, ..old.range },
                ..old
            });
        }
    }
    next.extend(new);
    next.extend(after);
    let changed = next != *ranges;
    *ranges = next;
    changed
}

impl FileLocks {
    /// The conflicting range that begins first.
    fn conflict(
        &self,
        owner: LockOwner,
        range: ByteRange,
        kind: RangeKind,
    ) -> Option<(LockOwner, RangeLock)> {
        self.owners
            .iter()
            .filter(|other| other.owner != owner)
            .flat_map(|other| other.ranges.iter().map(|&lock| (other.owner, lock)))
            .filter(|(_, lock)| {
                lock.range.overlaps(range)
                    && (kind == RangeKind::Write || lock.kind == RangeKind::Write)
            })
            .min_by_key(|(owner, lock)| (lock.range.start, *owner))
    }

    /// Changes an owner's ranges; whether anything changed.
    fn apply(
        &mut self,
        owner: LockOwner,
        range: ByteRange,
        kind: Option<RangeKind>,
        pid: u32,
    ) -> bool {
        let position = self.owners.iter().position(|other| other.owner == owner);
        let Some(position) = position else {
            let Some(kind) = kind else { return false };
            self.owners.push(OwnerLocks {
                owner,
                ranges: vec![RangeLock { range, kind, pid }],
            });
            return true;
        };
        let Some(locks) = self.owners.get_mut(position) else {
            return false;
        };
        let changed = put(&mut locks.ranges, range, kind, pid);
        if locks.ranges.is_empty() {
            self.owners.remove(position);
        }
        changed
    }

    fn change(
        &mut self,
        owner: LockOwner,
        range: ByteRange,
        kind: Option<RangeKind>,
        pid: u32,
        steps: &mut Vec<RangeStep>,
    ) {
        if self.apply(owner, range, kind, pid) {
            steps.push(RangeStep::Changed(owner, range, kind, pid));
        }
    }

    /// Lets in, in order, everybody who no longer conflicts.
    fn grant(&mut self, steps: &mut Vec<RangeStep>) {
        let mut position = 0;
        while let Some(&Waiting {
            owner,
            lock,
            waiter,
        }) = self.waiting.get(position)
        {
            if self.conflict(owner, lock.range, lock.kind).is_some() {
                position += 1;
                continue;
            }
            self.waiting.remove(position);
            self.change(owner, lock.range, Some(lock.kind), lock.pid, steps);
            steps.push(RangeStep::Answer(owner, waiter, Status::Ok));
            // A granted read lock may have replaced the owner's write lock: begin again.
            position = 0;
        }
    }

    fn request(&mut self, request: &RangeRequest, steps: &mut Vec<RangeStep>) -> LockOutcome {
        let &RangeRequest {
            owner, range, pid, ..
        } = request;
        if let Some(kind) = request.kind
            && self.conflict(owner, range, kind).is_some()
        {
            if !request.wait || self.waiting.len() >= WAITING_MAX {
                return LockOutcome::Done(Status::Eagain);
            }
            self.wait(Waiting {
                owner,
                lock: RangeLock { range, kind, pid },
                waiter: Waiter {
                    reqid: request.reqid,
                    msgid: request.msgid,
                },
            });
            return LockOutcome::Waiting;
        }
        self.change(owner, range, request.kind, pid, steps);
        self.grant(steps);
        LockOutcome::Done(Status::Ok)
    }

    /// Queues a request. One that the client repeats, after a reconnection, replaces itself.
    fn wait(&mut self, request: Waiting) {
        let same = self.waiting.iter_mut().find(|other| {
            other.owner == request.owner && other.waiter.reqid == request.waiter.reqid
        });
        match same {
            Some(same) => *same = request,
            None => self.waiting.push(request),
        }
    }

    fn interrupt(&mut self, session: SessionId, reqid: u32, steps: &mut Vec<RangeStep>) {
        let position = self
            .waiting
            .iter()
            .position(|waiting| waiting.owner.session == session && waiting.waiter.reqid == reqid);
        if let Some(position) = position {
            let waiting = self.waiting.remove(position);
            steps.push(RangeStep::Answer(
                waiting.owner,
                waiting.waiter,
                Status::Eintr,
            ));
        }
    }

    fn release(&mut self, session: SessionId, steps: &mut Vec<RangeStep>) {
        self.waiting.retain(|waiting| {
            let released = waiting.owner.session == session;
            if released {
                steps.push(RangeStep::Answer(
                    waiting.owner,
                    waiting.waiter,
                    Status::Ecanceled,
                ));
            }
            !released
        });
        self.owners.retain(|locks| {
            let released = locks.owner.session == session;
            if released {
                steps.push(RangeStep::Changed(locks.owner, ByteRange::ALL, None, 0));
            }
            !released
        });
        self.grant(steps);
    }
}

impl PosixLocks {
    /// Counts what differs from an older state, see [`crate::digest`].
    pub(crate) fn count_changes(&self, old: &PosixLocks, sum: &mut Sum) {
        sum.map(&old.files, &self.files, |sum, side, inode, file| {
            for locks in &file.owners {
                let owner = locks.owner.to_bytes();
                for lock in &locks.ranges {
                    let parts = [
                        &inode.to_be_bytes()[..],
                        &owner,
                        &lock.range.start.to_be_bytes(),
                        &lock.range.end.to_be_bytes(),
                        &lock.pid.to_be_bytes(),
                        &[lock.kind as u8],
                    ];
                    sum.count(side, Kind::Range, &parts);
                }
            }
        });
    }

    /// Every held range: ascending by inode, grouped by owner, ascending by range.
    pub fn iter(&self) -> impl Iterator<Item = (Inode, LockOwner, RangeLock)> {
        self.files.iter().flat_map(|(&inode, file)| {
            file.owners.iter().flat_map(move |locks| {
                locks
                    .ranges
                    .iter()
                    .map(move |&lock| (Inode(inode), locks.owner, lock))
            })
        })
    }

    /// The ranges held in a file, grouped by owner, ascending.
    pub fn of(&self, inode: Inode) -> impl Iterator<Item = (LockOwner, RangeLock)> {
        self.files.get(&inode.0).into_iter().flat_map(|file| {
            file.owners
                .iter()
                .flat_map(|locks| locks.ranges.iter().map(|&lock| (locks.owner, lock)))
        })
    }

    /// Whether nobody holds or awaits a range.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// The range that stands in the way of a lock and begins first, with its true bounds.
    pub fn conflict(
        &self,
        inode: Inode,
        owner: LockOwner,
        range: ByteRange,
        kind: RangeKind,
    ) -> Option<(LockOwner, RangeLock)> {
        self.files.get(&inode.0)?.conflict(owner, range, kind)
    }

    /// Carries out a request; the steps it took are appended. Whether the session has the file open
    /// is tested by the caller.
    pub fn request(&mut self, request: &RangeRequest, steps: &mut Vec<RangeStep>) -> LockOutcome {
        self.with(request.inode, |file| file.request(request, steps))
    }

    /// Gives up the first waiting request of the session with this number, whoever its owner is.
    pub fn interrupt(
        &mut self,
        inode: Inode,
        session: SessionId,
        reqid: u32,
        steps: &mut Vec<RangeStep>,
    ) {
        if self.files.contains_key(&inode.0) {
            self.with(inode, |file| file.interrupt(session, reqid, steps));
        }
    }

    /// The session no longer has the file open: its ranges there go and its waiting requests are
    /// answered with 47.
    pub fn release(&mut self, inode: Inode, session: SessionId, steps: &mut Vec<RangeStep>) {
        if self.files.contains_key(&inode.0) {
            self.with(inode, |file| file.release(session, steps));
        }
    }

    /// Replays a line, or takes a range over from an image.
    ///
    /// # Errors
    /// [`Status::Mismatch`] when another owner's range is in the way.
    pub fn apply(
        &mut self,
        inode: Inode,
        owner: LockOwner,
        range: ByteRange,
        kind: Option<RangeKind>,
        pid: u32,
    ) -> Result<(), Status> {
        self.with(inode, |file| {
            if kind.is_some_and(|kind| file.conflict(owner, range, kind).is_some()) {
                return Err(Status::Mismatch);
            }
            file.apply(owner, range, kind, pid);
            Ok(())
        })
    }

    fn with<T>(&mut self, inode: Inode, change: impl FnOnce(&mut FileLocks) -> T) -> T {
        let file = Arc::make_mut(self.files.entry(inode.0).or_default());
        let result = change(file);
        if file.owners.is_empty() && file.waiting.is_empty() {
            self.files.remove(&inode.0);
        }
        result
    }
}

#[cfg(test)]
mod tests;
