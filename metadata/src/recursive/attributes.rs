//! Trash times and extra attributes.

use super::{
    Compare, RECURSIVE, Tally, Walk, check_smode, has_class, is_admin, is_barred, is_stranger,
    outcome,
};
use crate::access::disable;
use crate::store::node::{NodeRecord, eattr};
use crate::{Caller, Namespace, Tx};
use proto::changelog::{Counts, Entry};
use proto::{Inode, Status};

const HOUR_SECONDS: u32 = 3600;
/// Extra attributes that only administrators change.
const PROTECTING: u8 = eattr::UNDELETABLE | eattr::APPEND_ONLY | eattr::IMMUTABLE;

/// Hours of a time in seconds, rounded up. What does not fit is cut as 3.0.117 cuts it, since lines
/// carry seconds; [`Namespace::set_trashtime`] lets nothing through that does not fit.
fn hours(seconds: u32) -> u16 {
    (seconds.wrapping_add(HOUR_SECONDS - 1) / HOUR_SECONDS) as u16
}

/// What SETEATTR makes of the attributes of an inode.
fn changed_eattr(node: &NodeRecord, eattr: u8, compare: Compare) -> u8 {
    let new = match compare {
        Compare::Set => eattr,
        Compare::Increase => node.eattr | eattr,
        Compare::Decrease => node.eattr & !eattr,
        Compare::Exchange => node.eattr,
    };
    if node.is_dir() {
        new
    } else {
        new & !eattr::NO_ENTRY_CACHE
    }
}

impl Namespace {
    /// Trash times in seconds, of an inode or of everything below it.
    ///
    /// # Errors
    /// 3 no such inode, 1 neither file nor directory.
    pub fn get_trashtime(&self, inode: Inode, recursive: bool) -> Result<Tally<u32>, Status> {
        self.class_holder(inode)?;
        Ok(self.tally(inode, recursive, |node| {
            has_class(node.kind()).then(|| u32::from(node.trash_hours) * HOUR_SECONDS)
        }))
    }

    /// SETTRASHTIME; `smode` as on the wire: 0 set, 1 only longer, 2 only shorter, 4 recursive. Times
    /// above 65535 hours are set to that.
    ///
    /// # Errors
    /// In this order: 1 disabled, 1 outside the session's limits, 6 bad mode, 33 read-only, 3 no such
    /// inode, 1 neither file nor directory, 1 not permitted (not recursive).
    pub fn set_trashtime(
        &mut self,
        tx: &mut Tx<'_>,
        who: &Caller<'_>,
        inode: Inode,
        seconds: u32,
        smode: u8,
    ) -> Result<Counts, Status> {
        who.permit(disable::SET_TRASH)?;
        let (min, max) = (who.rights.min_trash_seconds, who.rights.max_trash_seconds);
        if !Compare::of(smode).is_within(seconds, min, max) {
            return Err(Status::Eperm);
        }
        check_smode(smode)?;
        who.writes()?;
        self.class_holder(inode)?;
        let seconds = seconds.min(u32::from(u16::MAX) * HOUR_SECONDS);
        let counts = self.apply_set_trashtime(tx.now, inode, who.uid, seconds, smode);
        outcome(counts, smode & RECURSIVE != 0)?;
        let entry = Entry::SetTrashTime {
            inode,
            uid: who.uid,
            seconds,
            mode: smode,
            counts,
        };
        self.log(tx, &entry);
        Ok(counts)
    }

    /// The effect of SETTRASHTIME.
    pub(crate) fn apply_set_trashtime(
        &mut self,
        now: u32,
        inode: Inode,
        uid: u32,
        seconds: u32,
        smode: u8,
    ) -> Counts {
        let hours = hours(seconds);
        let compare = Compare::of(smode);
        let mut counts = Counts::default();
        let mut walk = Walk::new(inode, smode & RECURSIVE != 0);
        while let Some(inode) = walk.next(self) {
            let Some(node) = self.store.node(inode) else {
                continue;
            };
            if !has_class(node.kind()) {
                continue;
            }
            let changes = if self.older.is_some() {
                compare.changes(self.trash_seconds(inode, node), seconds)
            } else {
                compare.changes(node.trash_hours, hours)
            };
            if is_barred(node, uid) {
                counts.refused += 1;
            } else if !changes {
                counts.unchanged += 1;
            } else if let Some(node) = self.store.node_mut(inode) {
                node.trash_hours = hours;
                node.ctime = now;
                counts.changed += 1;
                self.keep_trash_seconds(inode, seconds);
            }
        }
        counts
    }

    /// Extra attributes of an inode or of everything below it.
    ///
    /// # Errors
    /// 3 no such inode.
    pub fn get_eattr(&self, inode: Inode, recursive: bool) -> Result<Tally<u8>, Status> {
        self.node_or(inode)?;
        Ok(self.tally(inode, recursive, |node| Some(node.eattr)))
    }

    /// SETEATTR; `smode` as on the wire: 0 set, 1 set bits, 2 clear bits, 4 recursive.
    ///
    /// # Errors
    /// In this order: 1 disabled, 6 bad mode, 33 read-only, 1 protecting bits and not admin, 3 no
    /// such inode, 1 not permitted (not recursive).
    pub fn set_eattr(
        &mut self,
        tx: &mut Tx<'_>,
        who: &Caller<'_>,
        inode: Inode,
        eattr: u8,
        smode: u8,
    ) -> Result<Counts, Status> {
        who.permit(disable::SET_EATTR)?;
        check_smode(smode)?;
        who.writes()?;
        if eattr & PROTECTING != 0 && !is_admin(who) {
            return Err(Status::Eperm);
        }
        self.node_or(inode)?;
        let recursive = smode & RECURSIVE != 0;
        let clears_all = Compare::of(smode) == Compare::Set && !is_admin(who);
        if clears_all && self.has_protected(inode, recursive) {
            return outcome(
                self.set_unprotecting(tx, who, inode, eattr, recursive),
                recursive,
            );
        }
        let counts = self.change_eattr(tx, who, inode, eattr, smode);
        outcome(counts, recursive)
    }

    fn has_protected(&self, inode: Inode, recursive: bool) -> bool {
        let mut walk = Walk::new(inode, recursive);
        while let Some(inode) = walk.next(self) {
            let node = self.store.node(inode);
            if node.is_some_and(|node| node.has(PROTECTING)) {
                return true;
            }
        }
        false
    }

    /// Sets all attributes but the protecting ones, which the caller may not clear. No single line
    /// can say that, so it is done in two steps: the bits to set, then the bits to clear.
    fn set_unprotecting(
        &mut self,
        tx: &mut Tx<'_>,
        who: &Caller<'_>,
        inode: Inode,
        eattr: u8,
        recursive: bool,
    ) -> Counts {
        let clears = !eattr & !PROTECTING;
        let mut counts = Counts::default();
        let mut walk = Walk::new(inode, recursive);
        while let Some(inode) = walk.next(self) {
            let Some(node) = self.store.node(inode) else {
                continue;
            };
            let set = changed_eattr(node, eattr, Compare::Increase);
            if is_refused(node, who.uid, eattr) || is_refused(node, who.uid, clears) {
                counts.refused += 1;
            } else if set & !clears == node.eattr {
                counts.unchanged += 1;
            } else {
                counts.changed += 1;
            }
        }
        let deep = if recursive { RECURSIVE } else { 0 };
        if recursive || counts.refused == 0 {
            self.change_eattr(tx, who, inode, eattr, 1 | deep);
            self.change_eattr(tx, who, inode, clears, 2 | deep);
        }
        counts
    }

    fn change_eattr(
        &mut self,
        tx: &mut Tx<'_>,
        who: &Caller<'_>,
        inode: Inode,
        eattr: u8,
        smode: u8,
    ) -> Counts {
        let counts = self.apply_set_eattr(tx.now, inode, who.uid, eattr, smode);
        if smode & RECURSIVE != 0 || counts.refused == 0 {
            let entry = Entry::SetEattr {
                inode,
                uid: who.uid,
                eattr,
                mode: smode,
                counts,
            };
            self.log(tx, &entry);
        }
        counts
    }

    /// The effect of SETEATTR.
    pub(crate) fn apply_set_eattr(
        &mut self,
        now: u32,
        inode: Inode,
        uid: u32,
        eattr: u8,
        smode: u8,
    ) -> Counts {
        let compare = Compare::of(smode);
        let mut counts = Counts::default();
        let mut walk = Walk::new(inode, smode & RECURSIVE != 0);
        while let Some(inode) = walk.next(self) {
            let Some(node) = self.store.node(inode) else {
                continue;
            };
            let new = changed_eattr(node, eattr, compare);
            if is_refused(node, uid, eattr) {
                counts.refused += 1;
            } else if new == node.eattr {
                counts.unchanged += 1;
            } else if let Some(node) = self.store.node_mut(inode) {
                node.eattr = new;
                node.ctime = now;
                counts.changed += 1;
            }
        }
        counts
    }
}

/// Whether SETEATTR with these bits is not permitted to a user.
fn is_refused(node: &NodeRecord, uid: u32, eattr: u8) -> bool {
    is_stranger(node, uid) || node.has(eattr::IMMUTABLE) && eattr & eattr::NO_OWNER != 0
}
