//! Locks, waiting for them, and being interrupted (client-behaviour §10).

use std::future::Future;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use proto::Inode;
use proto::client::locks::{flock, lock_kind, posix};
use rustix::io::Errno;
use tokio::sync::Notify;

use super::adapter::Adapter;
use super::files::{DataHandle, FileHandle};
use super::kernel::{Header, LockRange, Reply};
use crate::error::{Error, Result};
use crate::operations::{FlockRequest, PosixRequest};

/// Last byte of a range that goes to the end of the file.
const LAST: u64 = i64::MAX as u64;
/// The same on the wire, where the end is exclusive.
const TO_THE_END: u64 = u64::MAX;
/// How often an interrupt is repeated until the request is answered.
const INTERRUPT_AGAIN: Duration = Duration::from_millis(100);
/// An interrupt may be read before its request is known: when to look again.
const EARLY_INTERRUPT: [Duration; 3] = [
    Duration::from_millis(1),
    Duration::from_millis(10),
    Duration::from_millis(100),
];

/// Takes a waiting request off the list when it ends.
struct Registered<'a> {
    adapter: &'a Adapter,
    unique: u64,
}

impl Drop for Registered<'_> {
    fn drop(&mut self) {
        self.adapter
            .waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&self.unique);
    }
}

impl Adapter {
    fn lock_handle(&self, number: u64) -> Result<Arc<FileHandle>> {
        match self.files.get(number) {
            Some(handle) if matches!(*handle, FileHandle::Data(_)) => Ok(handle),
            Some(_) => Err(Error::Os(Errno::PERM)),
            None => Err(Error::Os(Errno::BADF)),
        }
    }

    pub(super) async fn getlk(&self, header: &Header, lock: &LockRange, reply: Reply) {
        match self.lock_handle(lock.handle) {
            Err(error) => return reply.error(error.errno()),
            Ok(handle) => {
                if let Err(error) = handle.wait_for_open().await {
                    return reply.error(error.errno());
                }
            }
        }
        let request = PosixRequest {
            request: 0,
            command: posix::GET,
            ..posix_request(header.inode, lock)
        };
        match self.session().posix_get(request).await {
            Err(error) => reply.error(error.errno()),
            Ok(state) => {
                let end = match state.end {
                    TO_THE_END => LAST,
                    end => end.saturating_sub(1),
                };
                let kind = match state.kind {
                    lock_kind::READ => libc::F_RDLCK,
                    lock_kind::WRITE => libc::F_WRLCK,
                    _ => libc::F_UNLCK,
                };
                reply.lock(state.start, end, kind as u32, state.pid);
            }
        }
    }

    pub(super) async fn setlk(&self, header: &Header, lock: &LockRange, wait: bool) -> Result<()> {
        let handle = self.lock_handle(lock.handle)?;
        let FileHandle::Data(handle) = &*handle else {
            return Err(Error::Os(Errno::PERM));
        };
        handle.wait_for_open().await?;
        let is_unlock = lock.kind == libc::F_UNLCK as u32;
        if is_unlock {
            // The next owner has to see what was written.
            handle.file.sync().await?;
            self.attributes_changed(header.inode);
        }
        if lock.is_flock {
            self.set_flock(header, handle, lock, wait).await
        } else {
            self.set_posix(header, handle, lock, wait).await
        }
    }

    async fn set_flock(
        &self,
        header: &Header,
        handle: &DataHandle,
        lock: &LockRange,
        wait: bool,
    ) -> Result<()> {
        let command = match (lock.kind as i32, wait) {
            (libc::F_UNLCK, _) => flock::UNLOCK,
            (libc::F_RDLCK, false) => flock::TRY_SHARED,
            (libc::F_RDLCK, true) => flock::LOCK_SHARED,
            (libc::F_WRLCK, false) => flock::TRY_EXCLUSIVE,
            (libc::F_WRLCK, true) => flock::LOCK_EXCLUSIVE,
            _ => return Err(Error::Os(Errno::INVAL)),
        };
        handle.uses_flock.store(true, Ordering::Relaxed);
        handle.owners().flock.insert(lock.owner);
        let request = FlockRequest {
            inode: header.inode,
            request: self.next_lock_request(),
            owner: lock.owner,
            command,
        };
        let interrupt = FlockRequest {
            command: flock::INTERRUPT,
            ..request
        };
        if command == flock::UNLOCK || !wait {
            return self.session().flock(request).await;
        }
        self.wait_for_lock(header.unique, self.session().flock(request), || {
            self.session().flock(interrupt)
        })
        .await
    }

    async fn set_posix(
        &self,
        header: &Header,
        handle: &DataHandle,
        lock: &LockRange,
        wait: bool,
    ) -> Result<()> {
        let mut request = posix_request(header.inode, lock);
        request.request = self.next_lock_request();
        handle.uses_posix_locks.store(true, Ordering::Relaxed);
        handle.owners().posix.insert(lock.owner);
        if request.kind == lock_kind::UNLOCK {
            request.command = posix::SET;
            return self.session().posix_lock(request).await;
        }
        if !wait {
            request.command = posix::TRY;
            return self.session().posix_lock(request).await;
        }
        request.command = posix::SET;
        let interrupt = PosixRequest {
            command: posix::INTERRUPT,
            kind: lock_kind::UNLOCK,
            start: 0,
            end: 0,
            ..request
        };
        self.wait_for_lock(header.unique, self.session().posix_lock(request), || {
            self.session().posix_lock(interrupt)
        })
        .await
    }

    /// Waits for a lock; an interrupt of the kernel is passed to the master, which ends the wait.
    async fn wait_for_lock<F: Future<Output = Result<()>>>(
        &self,
        unique: u64,
        granted: impl Future<Output = Result<()>>,
        interrupt: impl Fn() -> F,
    ) -> Result<()> {
        let interrupted = Arc::new(Notify::new());
        self.waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(unique, Arc::clone(&interrupted));
        let _registered = Registered {
            adapter: self,
            unique,
        };
        tokio::pin!(granted);
        tokio::select! {
            biased;
            outcome = &mut granted => return outcome,
            () = interrupted.notified() => {}
        }
        loop {
            let asked = async {
                // Whatever it answers: what counts is the answer to the request.
                let _ = interrupt().await;
                tokio::time::sleep(INTERRUPT_AGAIN).await;
            };
            tokio::select! {
                biased;
                outcome = &mut granted => return outcome,
                () = asked => {}
            }
        }
    }

    /// A process that waits for an answer got a signal.
    pub(super) async fn interrupt(&self, unique: u64) {
        for delay in EARLY_INTERRUPT {
            let found = self
                .waiting
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .get(&unique)
                .cloned();
            if let Some(waiting) = found {
                waiting.notify_one();
                return;
            }
            tokio::time::sleep(delay).await;
        }
    }

    /// A descriptor was closed: the fcntl locks of its process are gone.
    pub(super) async fn release_posix(&self, handle: &DataHandle, owner: u64) {
        let request = PosixRequest {
            inode: handle.file.inode(),
            request: 0,
            owner,
            pid: 0,
            command: posix::SET,
            kind: lock_kind::UNLOCK,
            start: 0,
            end: TO_THE_END,
        };
        if let Err(error) = self.session().posix_lock(request).await {
            tracing::debug!("unlock of file {}: {error}", request.inode);
        }
        handle.owners().posix.remove(&owner);
    }

    /// The last reference to a handle is gone: so are all locks that were taken through it.
    pub(super) async fn release_locks(&self, handle: &DataHandle, flock_owner: Option<u64>) {
        let (posix_owners, mut flock_owners) = {
            let mut owners = handle.owners();
            (
                std::mem::take(&mut owners.posix),
                std::mem::take(&mut owners.flock),
            )
        };
        for owner in posix_owners {
            self.release_posix(handle, owner).await;
        }
        if handle.uses_flock.load(Ordering::Relaxed) {
            flock_owners.extend(flock_owner);
            for owner in flock_owners {
                let request = FlockRequest {
                    inode: handle.file.inode(),
                    request: 0,
                    owner,
                    command: flock::RELEASE,
                };
                if let Err(error) = self.session().flock(request).await {
                    tracing::debug!("release of file {}: {error}", request.inode);
                }
            }
        }
    }
}

fn posix_request(inode: Inode, lock: &LockRange) -> PosixRequest {
    PosixRequest {
        inode,
        request: 0,
        owner: lock.owner,
        pid: lock.pid,
        command: posix::GET,
        kind: match lock.kind as i32 {
            libc::F_RDLCK => lock_kind::READ,
            libc::F_WRLCK => lock_kind::WRITE,
            _ => lock_kind::UNLOCK,
        },
        start: lock.start,
        end: if lock.end >= LAST {
            TO_THE_END
        } else {
            lock.end + 1
        },
    }
}
