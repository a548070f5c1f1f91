//! Random requests about locks.

use super::{Request, Requests, build};
use proto::Version;
use proto::client::kind;
use proto::client::locks::{Flock, PosixLock, flock, posix};

impl Requests {
    /// Locks. Nobody waits: a waiter that is let in while a file is released gets its line in front
    /// of the release in the real changelog.
    pub(super) fn locks(&mut self, version: Version) -> Option<Request> {
        if !version.has_winattr() {
            return None;
        }
        let (msgid, inode) = (self.msgid, self.inode());
        let owner = u64::from(self.dice.below(4));
        let request = self.msgid;
        if self.dice.once_in(2) {
            // The real master logs no conversion by a try: an owner always wants the same kind.
            let lock = if owner.is_multiple_of(2) {
                flock::TRY_SHARED
            } else {
                flock::TRY_EXCLUSIVE
            };
            let command =
                self.dice
                    .pick(&[lock, lock, flock::UNLOCK, flock::INTERRUPT, flock::RELEASE]);
            return Some(build(
                kind::FLOCK,
                &Flock {
                    msgid,
                    inode,
                    request,
                    owner,
                    command,
                },
                version,
            ));
        }
        let start = u64::from(self.dice.below(50));
        let message = PosixLock {
            msgid,
            inode,
            request,
            owner,
            pid: 100 + owner as u32,
            command: self.dice.pick(&[
                posix::GET,
                posix::TRY,
                posix::TRY,
                posix::TRY,
                posix::INTERRUPT,
            ]),
            kind: self.dice.below(3) as u8,
            start,
            end: self.dice.pick(&[start + 10, start + 1, u64::MAX]),
        };
        Some(build(kind::POSIX_LOCK, &message, version))
    }
}
