//! On whose behalf a request is made.

use std::sync::Arc;

use proto::client::{Credentials, Gids};

/// User, groups and process behind a request (client-behaviour §9).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// User.
    pub uid: u32,
    /// Groups, the primary one first; never empty.
    gids: Arc<[u32]>,
    /// Process, for caches that belong to one; 0 if unknown.
    pub pid: u32,
}

impl Caller {
    /// A caller with a primary and further groups.
    pub fn new(uid: u32, gid: u32, further: &[u32], pid: u32) -> Caller {
        let gids = std::iter::once(gid)
            .chain(further.iter().copied())
            .collect();
        Caller { uid, gids, pid }
    }

    /// A caller with a list of groups that is kept elsewhere. An empty list becomes group 0.
    pub fn with_groups(uid: u32, gids: Arc<[u32]>, pid: u32) -> Caller {
        if gids.is_empty() {
            return Caller::new(uid, 0, &[], pid);
        }
        Caller { uid, gids, pid }
    }

    /// root with its group.
    pub fn root() -> Caller {
        Caller::new(0, 0, &[], 0)
    }

    /// The user and groups of this process.
    pub fn current() -> Caller {
        let gid = rustix::process::getegid().as_raw();
        let further: Vec<u32> = rustix::process::getgroups()
            .unwrap_or_default()
            .into_iter()
            .map(rustix::process::Gid::as_raw)
            .filter(|further| *further != gid)
            .collect();
        Caller::new(
            rustix::process::geteuid().as_raw(),
            gid,
            &further,
            std::process::id(),
        )
    }

    /// Primary group.
    pub fn gid(&self) -> u32 {
        self.gids.first().copied().unwrap_or(0)
    }

    /// Groups, the primary one first.
    pub fn groups(&self) -> &[u32] {
        &self.gids
    }

    /// As a request carries them.
    pub fn credentials(&self) -> Credentials<'_> {
        Credentials {
            uid: self.uid,
            gids: Gids::listed(&self.gids),
        }
    }

    /// With the primary group only.
    pub fn primary(&self) -> Credentials<'_> {
        Credentials {
            uid: self.uid,
            gids: Gids::listed(self.gids.get(..1).unwrap_or_default()),
        }
    }
}
