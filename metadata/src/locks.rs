//! Opening and closing files, and locks on open files: the requests of clients, with their lines.

use crate::event::{Event, LockKind};
use crate::flock::{
    Flock, FlockCommand, FlockKind, FlockRequest, FlockStep, LockOutcome, LockOwner,
};
use crate::namespace::Namespace;
use crate::posix_lock::{ByteRange, RangeKind, RangeLock, RangeRequest, RangeStep};
use crate::tx::Tx;
use proto::changelog::{Entry, LockChange};
use proto::{Inode, SessionId, Status};

fn flock_change(kind: Option<FlockKind>) -> LockChange {
    match kind {
        None => LockChange::Unlock,
        Some(FlockKind::Shared) => LockChange::Read,
        Some(FlockKind::Exclusive) => LockChange::Write,
    }
}

/// The kind of whole-file lock that a line leaves.
pub(crate) fn flock_kind(change: LockChange) -> Option<FlockKind> {
    match change {
        LockChange::Unlock => None,
        LockChange::Read => Some(FlockKind::Shared),
        LockChange::Write => Some(FlockKind::Exclusive),
    }
}

fn range_change(kind: Option<RangeKind>) -> LockChange {
    match kind {
        None => LockChange::Unlock,
        Some(RangeKind::Read) => LockChange::Read,
        Some(RangeKind::Write) => LockChange::Write,
    }
}

/// The kind of byte-range lock that a line leaves.
pub(crate) fn range_kind(change: LockChange) -> Option<RangeKind> {
    match change {
        LockChange::Unlock => None,
        LockChange::Read => Some(RangeKind::Read),
        LockChange::Write => Some(RangeKind::Write),
    }
}

impl Namespace {
    /// Notes that a session has a file open; `false` when it had already. The file must exist.
    pub fn acquire(&mut self, tx: &mut Tx<'_>, session: SessionId, inode: Inode) -> bool {
        let new = self.open.insert(session, inode);
        if new {
            self.log(tx, &Entry::Acquire { session, inode });
        }
        new
    }

    /// Replays ACQUIRE.
    pub(crate) fn apply_acquire(&mut self, session: SessionId, inode: Inode) -> Result<(), Status> {
        if self.open.insert(session, inode) {
            Ok(())
        } else {
            Err(Status::Mismatch)
        }
    }

    /// Notes that a session no longer has a file open; `false` when it had not. Its locks on the file
    /// go first, with their lines and those of whom that lets in: 3.0.117 stops at the line of a
    /// release that still has whole-file locks to end.
    pub fn release(&mut self, tx: &mut Tx<'_>, session: SessionId, inode: Inode) -> bool {
        if !self.open.contains(session, inode) {
            return false;
        }
        self.end_locks(tx, inode, session);
        self.open.remove(session, inode);
        self.log(tx, &Entry::Release { session, inode });
        true
    }

    /// Replays RELEASE.
    pub(crate) fn apply_release(&mut self, session: SessionId, inode: Inode) -> Result<(), Status> {
        if !self.open.remove(session, inode) {
            return Err(Status::Mismatch);
        }
        self.drop_locks(inode, session);
        Ok(())
    }

    /// The sessions that have a file open, ascending.
    pub fn openers(&self, inode: Inode) -> impl Iterator<Item = SessionId> {
        self.open.openers(inode)
    }

    /// The files that a session has open, ascending.
    pub fn files_of(&self, session: SessionId) -> impl Iterator<Item = Inode> {
        self.open.files_of(session)
    }

    /// Every open file: session and inode, ascending.
    pub fn open_files(&self) -> impl Iterator<Item = (SessionId, Inode)> {
        self.open.iter()
    }

    /// FLOCK (wire-client-master §14.1).
    pub fn flock(&mut self, tx: &mut Tx<'_>, request: &FlockRequest) -> LockOutcome {
        let needs_open = !matches!(
            request.command,
            FlockCommand::Interrupt | FlockCommand::Release
        );
        if needs_open && !self.open.contains(request.owner.session, request.inode) {
            return LockOutcome::Done(Status::NotOpened);
        }
        let mut steps = Vec::new();
        let outcome = self.flocks.request(request, &mut steps);
        for step in &steps {
            self.emit_flock(tx, request.inode, step);
        }
        outcome
    }

    /// Replays FLOCK.
    pub(crate) fn apply_flock(
        &mut self,
        inode: Inode,
        owner: LockOwner,
        kind: Option<FlockKind>,
    ) -> Result<(), Status> {
        self.flocks.apply(inode, owner, kind)
    }

    /// The whole-file locks of a file, oldest first.
    pub fn flocks_of(&self, inode: Inode) -> &[Flock] {
        self.flocks.of(inode)
    }

    /// All whole-file locks, ascending by inode.
    pub fn flocks(&self) -> impl Iterator<Item = (Inode, Flock)> {
        self.flocks.iter()
    }

    /// POSIX_LOCK set, try and unlock (wire-client-master §14.2).
    pub fn posix_lock(&mut self, tx: &mut Tx<'_>, request: &RangeRequest) -> LockOutcome {
        if request.kind.is_some() && !self.open.contains(request.owner.session, request.inode) {
            return LockOutcome::Done(Status::NotOpened);
        }
        if request.range.start >= request.range.end {
            return LockOutcome::Done(Status::Einval);
        }
        let mut steps = Vec::new();
        let outcome = self.posix_locks.request(request, &mut steps);
        let others_lock = self.posix_locks.of(request.inode).next().is_some();
        if request.kind.is_none() && steps.is_empty() && others_lock {
            // MooseFS writes a line for an unlock that finds nothing, too; but its replay stops at
            // one about a file in which nobody ever locked anything.
            steps.push(RangeStep::Changed(
                request.owner,
                request.range,
                None,
                request.pid,
            ));
        }
        for step in &steps {
            self.emit_range(tx, request.inode, step);
        }
        outcome
    }

    /// POSIX_LOCK get: the first range in the way of a lock. Its process is shown to its own session
    /// only, else it is 0.
    pub fn posix_lock_conflict(
        &self,
        inode: Inode,
        owner: LockOwner,
        range: ByteRange,
        kind: RangeKind,
    ) -> Option<RangeLock> {
        let (holder, mut lock) = self.posix_locks.conflict(inode, owner, range, kind)?;
        if holder.session != owner.session {
            lock.pid = 0;
        }
        Some(lock)
    }

    /// POSIX_LOCK interrupt: gives up the first waiting request of the session with this number.
    pub fn posix_lock_interrupt(
        &mut self,
        tx: &mut Tx<'_>,
        inode: Inode,
        session: SessionId,
        reqid: u32,
    ) {
        let mut steps = Vec::new();
        self.posix_locks
            .interrupt(inode, session, reqid, &mut steps);
        for step in &steps {
            self.emit_range(tx, inode, step);
        }
    }

    /// Replays POSIXLOCK.
    pub(crate) fn apply_posix_lock(
        &mut self,
        inode: Inode,
        owner: LockOwner,
        range: ByteRange,
        kind: Option<RangeKind>,
        pid: u32,
    ) -> Result<(), Status> {
        self.posix_locks.apply(inode, owner, range, kind, pid)
    }

    /// The byte-range locks of a file, grouped by owner, ascending.
    pub fn posix_locks_of(&self, inode: Inode) -> impl Iterator<Item = (LockOwner, RangeLock)> {
        self.posix_locks.of(inode)
    }

    /// All byte-range locks, ascending by inode.
    pub fn posix_locks(&self) -> impl Iterator<Item = (Inode, LockOwner, RangeLock)> {
        self.posix_locks.iter()
    }

    /// Ends the locks and the waiting requests of a session on a file: lines and answers.
    pub(crate) fn end_locks(&mut self, tx: &mut Tx<'_>, inode: Inode, session: SessionId) {
        let mut steps = Vec::new();
        self.flocks.release(inode, session, &mut steps);
        for step in &steps {
            self.emit_flock(tx, inode, step);
        }
        let mut steps = Vec::new();
        self.posix_locks.release(inode, session, &mut steps);
        for step in &steps {
            self.emit_range(tx, inode, step);
        }
    }

    /// The same on replay, where nobody waits.
    pub(crate) fn drop_locks(&mut self, inode: Inode, session: SessionId) {
        self.flocks.release(inode, session, &mut Vec::new());
        self.posix_locks.release(inode, session, &mut Vec::new());
    }

    fn emit_flock(&mut self, tx: &mut Tx<'_>, inode: Inode, step: &FlockStep) {
        let (owner, kind) = match *step {
            FlockStep::Locked(lock) => (lock.owner, Some(lock.kind)),
            FlockStep::Unlocked(owner) => (owner, None),
            FlockStep::Answer(owner, waiter, status) => {
                tx.event(Event::LockAnswer {
                    session: owner.session,
                    msgid: waiter.msgid,
                    kind: LockKind::Flock,
                    status,
                });
                return;
            }
        };
        let entry = Entry::Flock {
            inode,
            session: owner.session,
            owner: owner.owner,
            change: flock_change(kind),
        };
        self.log(tx, &entry);
    }

    fn emit_range(&mut self, tx: &mut Tx<'_>, inode: Inode, step: &RangeStep) {
        match *step {
            RangeStep::Changed(owner, range, kind, pid) => {
                let entry = Entry::PosixLock {
                    inode,
                    session: owner.session,
                    owner: owner.owner,
                    change: range_change(kind),
                    start: range.start,
                    end: range.end,
                    pid,
                };
                self.log(tx, &entry);
            }
            RangeStep::Answer(owner, waiter, status) => tx.event(Event::LockAnswer {
                session: owner.session,
                msgid: waiter.msgid,
                kind: LockKind::Posix,
                status,
            }),
        }
    }
}

#[cfg(test)]
mod tests;
