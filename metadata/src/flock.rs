//! Whole-file locks: holders, the queue of those who wait, and who is let in (wire-client-master
//! §14.1). Only what is held is persistent.

use crate::digest::{Kind, Sum};
use proto::{Inode, SessionId, Status};
use std::collections::VecDeque;
use std::sync::Arc;

/// Most requests that wait for locks of one kind on one file; more are answered with 45.
pub const WAITING_MAX: usize = 1 << 16;

/// Who holds a lock or waits for one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LockOwner {
    /// Session.
    pub session: SessionId,
    /// Number that the client made for an open file or a process.
    pub owner: u64,
}

impl LockOwner {
    /// Both numbers, as records are hashed.
    pub(crate) fn to_bytes(self) -> [u8; 12] {
        let mut bytes = [0; 12];
        bytes[..4].copy_from_slice(&self.session.0.to_be_bytes());
        bytes[4..].copy_from_slice(&self.owner.to_be_bytes());
        bytes
    }
}

/// Kind of a whole-file lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlockKind {
    /// Many at a time; 0 in the image, `R` in the changelog.
    Shared,
    /// Alone; 1 in the image, `W` in the changelog.
    Exclusive,
}

/// What a request wants, as its number on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlockCommand {
    /// 0.
    Unlock,
    /// 1 and 3: at once or not at all.
    Try(FlockKind),
    /// 2 and 4: wait for it.
    Lock(FlockKind),
    /// 5: a waiting request is given up.
    Interrupt,
    /// 6: the file handle was closed.
    Release,
}

impl FlockCommand {
    /// The command of a number.
    pub fn from_number(number: u8) -> Option<FlockCommand> {
        match number {
            0 => Some(FlockCommand::Unlock),
            1 => Some(FlockCommand::Try(FlockKind::Shared)),
            2 => Some(FlockCommand::Lock(FlockKind::Shared)),
            3 => Some(FlockCommand::Try(FlockKind::Exclusive)),
            4 => Some(FlockCommand::Lock(FlockKind::Exclusive)),
            5 => Some(FlockCommand::Interrupt),
            6 => Some(FlockCommand::Release),
            _ => None,
        }
    }
}

/// One request for a whole-file lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlockRequest {
    /// The file.
    pub inode: Inode,
    /// Who asks.
    pub owner: LockOwner,
    /// Number of the request within its owner, by which it is interrupted.
    pub reqid: u32,
    /// Number under which it is answered.
    pub msgid: u32,
    /// What it wants.
    pub command: FlockCommand,
}

/// What a lock request comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockOutcome {
    /// It is to be answered now.
    Done(Status),
    /// It is answered later by a [`LockAnswer`](crate::Event::LockAnswer).
    Waiting,
}

/// A held lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flock {
    /// Who holds it.
    pub owner: LockOwner,
    /// Its kind.
    pub kind: FlockKind,
}

/// One message that is answered when its lock is granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waiter {
    /// Number by which it is interrupted.
    pub reqid: u32,
    /// Number under which it is answered.
    pub msgid: u32,
}

#[derive(Clone, Debug, PartialEq)]
struct Waiting {
    lock: Flock,
    waiters: Vec<Waiter>,
}

/// A step of a request, in order of effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlockStep {
    /// The lock is held from now on.
    Locked(Flock),
    /// The lock is no longer held.
    Unlocked(LockOwner),
    /// A request that waited is answered.
    Answer(LockOwner, Waiter, Status),
}

/// Holders and queue of one file.
#[derive(Clone, Debug, Default, PartialEq)]
struct FileLocks {
    /// One exclusive lock or any number of shared ones, oldest first.
    held: Vec<Flock>,
    waiting: VecDeque<Waiting>,
}

/// Locks of all files. A clone shares everything with the original.
#[derive(Clone, Debug, Default)]
pub struct Flocks {
    files: imbl::OrdMap<u32, Arc<FileLocks>>,
}

impl FileLocks {
    fn held_kind(&self, owner: LockOwner) -> Option<FlockKind> {
        self.held
            .iter()
            .find(|lock| lock.owner == owner)
            .map(|lock| lock.kind)
    }

    fn has_exclusive(&self) -> bool {
        self.held
            .first()
            .is_some_and(|lock| lock.kind == FlockKind::Exclusive)
    }

    fn position(&self, owner: LockOwner) -> Option<usize> {
        self.waiting
            .iter()
            .position(|waiting| waiting.lock.owner == owner)
    }

    fn lock(&mut self, lock: Flock, steps: &mut Vec<FlockStep>) {
        self.held.push(lock);
        steps.push(FlockStep::Locked(lock));
    }

    fn unlock(&mut self, owner: LockOwner, steps: &mut Vec<FlockStep>) {
        self.held.retain(|lock| lock.owner != owner);
        steps.push(FlockStep::Unlocked(owner));
    }

    /// Lets in the head of the queue: one exclusive request, or all shared ones up to the next
    /// exclusive one.
    fn grant(&mut self, steps: &mut Vec<FlockStep>) {
        while let Some(head) = self.waiting.front() {
            let free = match head.lock.kind {
                FlockKind::Exclusive => self.held.is_empty(),
                FlockKind::Shared => !self.has_exclusive(),
            };
            if !free {
                return;
            }
            let Some(Waiting { lock, waiters }) = self.waiting.pop_front() else {
                return;
            };
            self.lock(lock, steps);
            answer(lock.owner, &waiters, Status::Ok, steps);
        }
    }

    /// Removes the waiting request at `position`; its messages are answered with `status`.
    fn cancel(&mut self, position: usize, status: Status, steps: &mut Vec<FlockStep>) {
        if let Some(waiting) = self.waiting.remove(position) {
            answer(waiting.lock.owner, &waiting.waiters, status, steps);
        }
    }

    fn request(&mut self, request: &FlockRequest, steps: &mut Vec<FlockStep>) -> LockOutcome {
        let owner = request.owner;
        match request.command {
            FlockCommand::Unlock | FlockCommand::Release => {
                if self.held_kind(owner).is_some() {
                    self.unlock(owner, steps);
                } else if let Some(position) = self.position(owner) {
                    self.cancel(position, Status::Ecanceled, steps);
                }
                self.grant(steps);
                LockOutcome::Done(Status::Ok)
            }
            FlockCommand::Interrupt => {
                self.interrupt(owner, request.reqid, steps);
                LockOutcome::Done(Status::Ok)
            }
            FlockCommand::Try(kind) => {
                LockOutcome::Done(self.attempt(Flock { owner, kind }, steps))
            }
            FlockCommand::Lock(kind) => self.wait_for(
                Flock { owner, kind },
                Waiter {
                    reqid: request.reqid,
                    msgid: request.msgid,
                },
                steps,
            ),
        }
    }

    fn interrupt(&mut self, owner: LockOwner, reqid: u32, steps: &mut Vec<FlockStep>) {
        let Some(position) = self.position(owner) else {
            return;
        };
        let Some(waiting) = self.waiting.get_mut(position) else {
            return;
        };
        let Some(index) = waiting
            .waiters
            .iter()
            .position(|waiter| waiter.reqid == reqid)
        else {
            return;
        };
        let waiter = waiting.waiters.remove(index);
        let last = waiting.waiters.is_empty();
        steps.push(FlockStep::Answer(owner, waiter, Status::Eintr));
        if last {
            self.waiting.remove(position);
            self.grant(steps);
        }
    }

    /// A request that does not wait.
    fn attempt(&mut self, lock: Flock, steps: &mut Vec<FlockStep>) -> Status {
        match self.held_kind(lock.owner) {
            Some(held) if held == lock.kind => return Status::Ok,
            Some(FlockKind::Shared) if self.held.len() > 1 => return Status::Eagain,
            Some(_) => {
                self.unlock(lock.owner, steps);
                self.lock(lock, steps);
                self.grant(steps);
                return Status::Ok;
            }
            None => {}
        }
        if self.position(lock.owner).is_some() || !self.is_free(lock.kind) {
            return Status::Eagain;
        }
        self.lock(lock, steps);
        Status::Ok
    }

    fn is_free(&self, kind: FlockKind) -> bool {
        match kind {
            FlockKind::Shared => !self.has_exclusive() && self.waiting.is_empty(),
            FlockKind::Exclusive => self.held.is_empty() && self.waiting.is_empty(),
        }
    }

    /// A request that waits when it has to.
    fn wait_for(&mut self, lock: Flock, waiter: Waiter, steps: &mut Vec<FlockStep>) -> LockOutcome {
        match self.held_kind(lock.owner) {
            Some(held) if held == lock.kind => return LockOutcome::Done(Status::Ok),
            Some(_) => {
                self.unlock(lock.owner, steps);
                self.grant(steps);
            }
            None => {}
        }
        if self.position(lock.owner).is_none() && self.is_free(lock.kind) {
            self.lock(lock, steps);
            return LockOutcome::Done(Status::Ok);
        }
        let waiting: usize = self.waiting.iter().map(|each| each.waiters.len()).sum();
        if waiting >= WAITING_MAX {
            return LockOutcome::Done(Status::Eagain);
        }
        if let Some(position) = self.position(lock.owner) {
            self.join(position, lock.kind, waiter, steps);
            return LockOutcome::Waiting;
        }
        self.waiting.push_back(Waiting {
            lock,
            waiters: vec![waiter],
        });
        LockOutcome::Waiting
    }

    /// A request whose owner waits already: it joins the waiting one, or changes its kind in place.
    fn join(
        &mut self,
        position: usize,
        kind: FlockKind,
        waiter: Waiter,
        steps: &mut Vec<FlockStep>,
    ) {
        let Some(waiting) = self.waiting.get_mut(position) else {
            return;
        };
        if waiting.lock.kind == kind {
            match waiting
                .waiters
                .iter_mut()
                .find(|other| other.reqid == waiter.reqid)
            {
                Some(same) => same.msgid = waiter.msgid,
                None => waiting.waiters.push(waiter),
            }
            return;
        }
        waiting.lock.kind = kind;
        let cancelled = std::mem::replace(&mut waiting.waiters, vec![waiter]);
        answer(waiting.lock.owner, &cancelled, Status::Ecanceled, steps);
        self.grant(steps);
    }

    /// Everything of a session goes; its own waiting requests are cancelled.
    fn release(&mut self, session: SessionId, steps: &mut Vec<FlockStep>) {
        let mut position = 0;
        while let Some(waiting) = self.waiting.get(position) {
            if waiting.lock.owner.session == session {
                self.cancel(position, Status::Ecanceled, steps);
            } else {
                position += 1;
            }
        }
        self.held.retain(|lock| {
            let released = lock.owner.session == session;
            if released {
                steps.push(FlockStep::Unlocked(lock.owner));
            }
            !released
        });
        self.grant(steps);
    }
}

fn answer(owner: LockOwner, waiters: &[Waiter], status: Status, steps: &mut Vec<FlockStep>) {
    steps.extend(
        waiters
            .iter()
            .map(|&waiter| FlockStep::Answer(owner, waiter, status)),
    );
}

impl Flocks {
    /// Counts what differs from an older state, see [`crate::digest`].
    pub(crate) fn count_changes(&self, old: &Flocks, sum: &mut Sum) {
        sum.map(&old.files, &self.files, |sum, side, inode, file| {
            for lock in &file.held {
                let kind = u8::from(lock.kind == FlockKind::Exclusive);
                let owner = lock.owner.to_bytes();
                sum.count(side, Kind::Flock, &[&inode.to_be_bytes(), &owner, &[kind]]);
            }
        });
    }

    /// Every held lock, ascending by inode, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = (Inode, Flock)> {
        self.files
            .iter()
            .flat_map(|(&inode, file)| file.held.iter().map(move |&lock| (Inode(inode), lock)))
    }

    /// The locks held on a file, oldest first.
    pub fn of(&self, inode: Inode) -> &[Flock] {
        self.files.get(&inode.0).map_or(&[], |file| &file.held)
    }

    /// Whether nobody holds or awaits a lock.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// Carries out a request; the steps it took are appended. Whether the session has the file open
    /// is tested by the caller.
    pub fn request(&mut self, request: &FlockRequest, steps: &mut Vec<FlockStep>) -> LockOutcome {
        self.with(request.inode, |file| file.request(request, steps))
    }

    /// The session no longer has the file open: its locks there go and its waiting requests are
    /// answered with 47.
    pub fn release(&mut self, inode: Inode, session: SessionId, steps: &mut Vec<FlockStep>) {
        if self.files.contains_key(&inode.0) {
            self.with(inode, |file| file.release(session, steps));
        }
    }

    /// Replays a line, or takes a lock over from an image: the owner holds this kind (`None`:
    /// nothing) from now on.
    ///
    /// # Errors
    /// [`Status::Mismatch`] when another owner's lock is in the way.
    pub fn apply(
        &mut self,
        inode: Inode,
        owner: LockOwner,
        kind: Option<FlockKind>,
    ) -> Result<(), Status> {
        self.with(inode, |file| {
            let conflict = kind.is_some_and(|kind| {
                file.held.iter().any(|lock| {
                    lock.owner != owner
                        && (kind == FlockKind::Exclusive || lock.kind == FlockKind::Exclusive)
                })
            });
            if conflict {
                return Err(Status::Mismatch);
            }
            file.held.retain(|lock| lock.owner != owner);
            file.held.extend(kind.map(|kind| Flock { owner, kind }));
            Ok(())
        })
    }

    fn with<T>(&mut self, inode: Inode, change: impl FnOnce(&mut FileLocks) -> T) -> T {
        let file = Arc::make_mut(self.files.entry(inode.0).or_default());
        let result = change(file);
        if file.held.is_empty() && file.waiting.is_empty() {
            self.files.remove(&inode.0);
        }
        result
    }
}

#[cfg(test)]
mod tests;
