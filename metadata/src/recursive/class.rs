//! Storage classes of files and directories.

use super::{
    Compare, RECURSIVE, Tally, Walk, check_smode, has_class, is_admin, is_barred, outcome,
};
use crate::access::disable;
use crate::quota::Usage;
use crate::storage_class::is_predefined;
use crate::{Caller, Namespace, Tx};
use proto::changelog::{Counts, Entry};
use proto::{ClassId, Inode, Status};

/// What SETSCLASS does.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ClassSet {
    /// The class that an exchange replaces.
    pub source: ClassId,
    /// The class to set.
    pub class: ClassId,
    /// Set mode as on the wire.
    pub smode: u8,
}

impl Namespace {
    /// Storage classes of an inode or of everything below it.
    ///
    /// # Errors
    /// 3 no such inode, 1 neither file nor directory.
    pub fn get_sclass(&self, inode: Inode, recursive: bool) -> Result<Tally<ClassId>, Status> {
        self.class_holder(inode)?;
        Ok(self.tally(inode, recursive, |node| {
            has_class(node.kind()).then_some(node.class)
        }))
    }

    /// SETSCLASS; `smode` as on the wire: 0 set, 1 only to a higher class, 2 only to a lower one, 3
    /// only those that have `source`, 4 recursive. `source` matters to 3 only.
    ///
    /// # Errors
    /// In this order: 1 disabled, 6 unknown class, 1 outside the session's goals, 6 bad mode, 33
    /// read-only, 3 no such inode, 1 neither file nor directory, 34 quota, 1 not permitted (not
    /// recursive).
    pub fn set_sclass(
        &mut self,
        tx: &mut Tx<'_>,
        who: &Caller<'_>,
        inode: Inode,
        source: ClassId,
        class: ClassId,
        smode: u8,
    ) -> Result<Counts, Status> {
        who.permit(disable::SET_CLASS)?;
        let compare = Compare::of(smode);
        let exchanges = compare == Compare::Exchange;
        if self.classes.get(class).is_none() || exchanges && self.classes.get(source).is_none() {
            return Err(Status::Einval);
        }
        let rights = &who.rights;
        if is_predefined(class) && !compare.is_within(class.0, rights.min_goal, rights.max_goal) {
            return Err(Status::Eperm);
        }
        check_smode(smode)?;
        if matches!(compare, Compare::Increase | Compare::Decrease) && !is_predefined(class) {
            return Err(Status::Einval);
        }
        who.writes()?;
        self.class_holder(inode)?;
        let recursive = smode & RECURSIVE != 0;
        if matches!(compare, Compare::Set | Compare::Increase)
            && self.class_exceeds_quota(inode, class, recursive)
        {
            return Err(Status::Quota);
        }
        let set = ClassSet {
            source,
            class,
            smode,
        };
        let (counts, changed) = self.change_classes(tx, inode, who.uid, set, is_admin(who));
        outcome(counts, recursive)?;
        self.log_classes(tx, inode, who.uid, set, counts, &changed);
        Ok(counts)
    }

    /// One line for all, or, when classes for administrators held something back that a replay
    /// would not hold back, one for each inode that was changed.
    fn log_classes(
        &mut self,
        tx: &mut Tx<'_>,
        inode: Inode,
        uid: u32,
        set: ClassSet,
        counts: Counts,
        changed: &HeldBack,
    ) {
        let one = Counts {
            changed: 1,
            ..Counts::default()
        };
        match changed {
            HeldBack::Nothing => self.log_class(tx, inode, uid, set, counts),
            HeldBack::AllBut(changed) => {
                let smode = set.smode & !RECURSIVE;
                for &inode in changed {
                    self.log_class(tx, inode, uid, ClassSet { smode, ..set }, one);
                }
            }
        }
    }

    fn log_class(
        &mut self,
        tx: &mut Tx<'_>,
        inode: Inode,
        uid: u32,
        set: ClassSet,
        counts: Counts,
    ) {
        let entry = Entry::SetClass {
            inode,
            uid,
            source: set.source,
            destination: set.class,
            mode: set.smode,
            counts,
        };
        self.log(tx, &entry);
    }

    /// Whether the copies of a class are too many for the real-size quotas above an inode.
    fn class_exceeds_quota(&self, inode: Inode, class: ClassId, recursive: bool) -> bool {
        let Some(node) = self.store.node(inode) else {
            return false;
        };
        if self.quotas.is_empty() || node.is_dir() && !recursive {
            return false;
        }
        let stats = self.store.stats(node);
        let wanted = stats
            .size
            .saturating_mul(self.classes.counted_copies(class).into());
        let added = Usage {
            real_size: wanted.saturating_sub(stats.real_size),
            ..Usage::NONE
        };
        if node.is_dir() {
            self.over_quota(inode, added)
        } else {
            self.over_quota_of(inode, added)
        }
    }

    /// The effect of SETSCLASS; on replay everything that administrators may counts as permitted.
    pub(crate) fn apply_set_sclass(
        &mut self,
        tx: &mut Tx<'_>,
        inode: Inode,
        uid: u32,
        set: ClassSet,
    ) -> Counts {
        self.change_classes(tx, inode, uid, set, true).0
    }

    fn change_classes(
        &mut self,
        tx: &mut Tx<'_>,
        inode: Inode,
        uid: u32,
        set: ClassSet,
        admin: bool,
    ) -> (Counts, HeldBack) {
        let compare = Compare::of(set.smode);
        let mut counts = Counts::default();
        let mut changed = Vec::new();
        let mut held_back = false;
        let mut walk = Walk::new(inode, set.smode & RECURSIVE != 0);
        while let Some(inode) = walk.next(self) {
            let Some(node) = self.store.node(inode) else {
                continue;
            };
            if !has_class(node.kind()) {
                continue;
            }
            let changes = match compare {
                Compare::Set => node.class != set.class,
                Compare::Increase => node.class < set.class,
                Compare::Decrease => node.class > set.class,
                // Also a class exchanged for itself counts as changed, as in 3.0.117.
                Compare::Exchange => node.class == set.source,
            };
            if is_barred(node, uid) {
                counts.refused += 1;
            } else if !changes {
                counts.unchanged += 1;
            } else if !admin && (self.is_admin_only(node.class) || self.is_admin_only(set.class)) {
                counts.refused += 1;
                held_back = true;
            } else {
                self.change_class(tx, inode, set.class);
                if let Some(node) = self.store.node_mut(inode) {
                    node.ctime = tx.now;
                }
                counts.changed += 1;
                if !admin {
                    changed.push(inode);
                }
            }
        }
        let held_back = if held_back {
            HeldBack::AllBut(changed)
        } else {
            HeldBack::Nothing
        };
        (counts, held_back)
    }

    fn is_admin_only(&self, class: ClassId) -> bool {
        self.classes
            .get(class)
            .is_some_and(|class| class.rules.admin_only)
    }
}

/// Whether classes for administrators kept inodes as they were.
#[derive(Debug)]
enum HeldBack {
    Nothing,
    /// Only these were changed.
    AllBut(Vec<Inode>),
}
