//! Random requests about definitions of storage classes.

use super::{CLASSES, Request, Requests, build};
use proto::Version;
use proto::client::kind;
use proto::client::message::List;
use proto::client::sclass::{
    Definition, SclassChange, SclassCopy, SclassCreate, SclassDelete, SclassList, change,
};

impl Requests {
    /// Definitions of storage classes.
    pub(super) fn classes(&mut self, version: Version) -> Option<Request> {
        if !version.has_named_classes() {
            return None;
        }
        let msgid = self.msgid;
        let (name, new_name) = (self.dice.pick(CLASSES), self.dice.pick(CLASSES));
        let (create, keep, archive) = (self.copies(), self.copies(), self.copies());
        let definition = Some(Definition {
            admin_only: self.dice.pick(&[0, 0, 1]),
            mode: self.dice.pick(&[0, 1, 2]),
            archive_delay_days: self.dice.pick(&[0, 1, 100, 65_535]),
            create: List::Values(&create),
            keep: List::Values(&keep),
            archive: List::Values(&archive),
        });
        Some(match self.dice.below(7) {
            0 | 1 => build(
                kind::SCLASS_CREATE,
                &SclassCreate {
                    msgid,
                    name,
                    definition,
                },
                version,
            ),
            2 => {
                let mask = self.dice.below(0x40) as u16;
                let force = self.dice.pick(&[0, change::FORCE]);
                let message = SclassChange {
                    msgid,
                    name,
                    change: mask | force,
                    definition,
                };
                build(kind::SCLASS_CHANGE, &message, version)
            }
            3 => build(kind::SCLASS_DELETE, &SclassDelete { msgid, name }, version),
            4 => build(
                kind::SCLASS_DUPLICATE,
                &SclassCopy {
                    msgid,
                    name,
                    new_name,
                },
                version,
            ),
            5 => build(
                kind::SCLASS_RENAME,
                &SclassCopy {
                    msgid,
                    name,
                    new_name,
                },
                version,
            ),
            _ => {
                let format = self.dice.pick(&[0, 128, 1]);
                build(kind::SCLASS_LIST, &SclassList { msgid, format }, version)
            }
        })
    }
}
