//! QUOTACONTROL and the check of each second, with their lines (wire-client-master §15.4,
//! master-behaviour §12).

use super::{Limits, Quota, Usage};
use crate::caller::{Caller, SessionRights};
use crate::namespace::Namespace;
use crate::store::dirs::DirStats;
use crate::tx::Tx;
use proto::changelog::{self, Entry};
use proto::{Inode, NodeKind, Status};

/// What QUOTACONTROL asks for. `flags` are those of [`Quota::flags`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QuotaRequest {
    /// Show it.
    Get,
    /// Remove these limits.
    Remove {
        /// Which.
        flags: u8,
    },
    /// Set these limits.
    Set {
        /// Which; 0 only shows the quota.
        flags: u8,
        /// Grace time; 0 keeps the present one.
        grace_seconds: u32,
        /// Values of the soft limits.
        soft: Limits,
        /// Values of the hard limits.
        hard: Limits,
    },
}

/// Answer to QUOTACONTROL: the quota as it is then, and what it counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuotaReport {
    /// Limits; those that are not set read 0.
    pub quota: Quota,
    /// Present values.
    pub usage: Usage,
}

impl Limits {
    fn entry(self) -> changelog::QuotaLimits {
        changelog::QuotaLimits {
            inodes: self.inodes,
            length: self.length,
            size: self.size,
            real_size: self.real_size,
        }
    }

    fn from_entry(entry: changelog::QuotaLimits) -> Limits {
        Limits {
            inodes: entry.inodes,
            length: entry.length,
            size: entry.size,
            real_size: entry.real_size,
        }
    }
}

impl Quota {
    fn entry(&self, inode: Inode) -> Entry<'static> {
        Entry::Quota(changelog::Quota {
            inode,
            exceeded: self.exceeded,
            flags: self.flags,
            soft_since: self.since,
            soft: self.soft.entry(),
            hard: self.hard.entry(),
            grace_seconds: self.grace_seconds,
        })
    }
}

impl From<DirStats> for Usage {
    fn from(stats: DirStats) -> Usage {
        Usage {
            inodes: stats.inodes.into(),
            length: stats.length,
            size: stats.size,
            real_size: stats.real_size,
        }
    }
}

impl Namespace {
    /// QUOTACONTROL.
    ///
    /// # Errors
    /// For changes: 4 the session's root is remapped, 33 read-only, 1 not admin. Always: 1 metadata
    /// session, 3 no such inode, 1 not a directory.
    pub fn quota_control(
        &mut self,
        tx: &mut Tx<'_>,
        who: &Caller<'_>,
        inode: Inode,
        request: QuotaRequest,
    ) -> Result<QuotaReport, Status> {
        let (QuotaRequest::Set { flags, .. } | QuotaRequest::Remove { flags }) = request else {
            return self.quota_report(who, inode);
        };
        if flags == 0 {
            return self.quota_report(who, inode);
        }
        let root_uid = self
            .session(who.session)
            .map_or(0, |session| session.params.root_uid);
        if root_uid != 0 {
            return Err(Status::Eacces);
        }
        if who.has(SessionRights::READ_ONLY) {
            return Err(Status::Erofs);
        }
        if !who.has(SessionRights::ADMIN) {
            return Err(Status::Eperm);
        }
        let mut new = self.quota_report(who, inode)?.quota;
        match request {
            QuotaRequest::Get => {}
            QuotaRequest::Remove { flags } => new.remove_limits(flags),
            QuotaRequest::Set {
                flags,
                grace_seconds,
                soft,
                hard,
            } => new.set_limits(flags, grace_seconds, soft, hard),
        }
        self.quotas.set(inode, new);
        self.log(tx, &new.entry(inode));
        self.quota_report(who, inode)
    }

    fn quota_report(&self, who: &Caller<'_>, inode: Inode) -> Result<QuotaReport, Status> {
        if who.root == Inode(0) {
            return Err(Status::Eperm);
        }
        let node = self.node(inode).ok_or(Status::Enoent)?;
        if node.kind != NodeKind::Directory {
            return Err(Status::Eperm);
        }
        Ok(QuotaReport {
            quota: self.quotas.get(inode).copied().unwrap_or_default(),
            usage: self.usage_below(inode),
        })
    }

    /// What the quota of a directory counts.
    pub(crate) fn usage_below(&self, inode: Inode) -> Usage {
        let dir = self.store.dir(inode);
        dir.map_or(Usage::NONE, |dir| Usage::from(dir.stats))
    }

    /// Whether quotas of a directory or of any above it refuse what an operation adds.
    pub(crate) fn over_quota(&self, directory: Inode, added: Usage) -> bool {
        !self.quotas.is_empty()
            && self.quotas.exceeded(
                self.store.with_ancestors(directory),
                |inode| self.usage_below(inode),
                added,
            )
    }

    /// The same for every directory that holds a name of an inode, with those above them.
    pub(crate) fn over_quota_of(&self, inode: Inode, added: Usage) -> bool {
        !self.quotas.is_empty()
            && self
                .parents(inode)
                .any(|parent| self.over_quota(parent, added))
    }

    /// Looks at the soft limits of all quotas; to be called each second.
    pub fn quota_check_all(&mut self, tx: &mut Tx<'_>) {
        let due = self.quotas.due(|inode| self.usage_below(inode), tx.now);
        for (inode, quota) in due {
            self.quotas.set(inode, quota);
            self.log(tx, &quota.entry(inode));
        }
    }

    /// Replays QUOTA. Grace 0 keeps the present time.
    pub(crate) fn apply_quota(&mut self, entry: &changelog::Quota) -> Result<(), Status> {
        let node = self.node(entry.inode).ok_or(Status::Enoent)?;
        if node.kind != NodeKind::Directory {
            return Err(Status::Eperm);
        }
        let old = self.quotas.get(entry.inode).copied().unwrap_or_default();
        let grace_seconds = match entry.grace_seconds {
            0 => old.grace_seconds,
            seconds => seconds,
        };
        let quota = Quota {
            flags: entry.flags,
            grace_seconds,
            exceeded: entry.exceeded,
            since: entry.soft_since,
            soft: Limits::from_entry(entry.soft),
            hard: Limits::from_entry(entry.hard),
        };
        self.quotas.set(entry.inode, quota);
        Ok(())
    }
}
