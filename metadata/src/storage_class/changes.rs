//! Administration of storage classes (wire-client-master §16), with its lines.

use super::{
    ClassRules, LabelExpression, LabelList, LabelMode, StorageClass, StorageClasses, is_predefined,
    is_valid_name,
};
use crate::caller::{Caller, SessionRights};
use crate::namespace::Namespace;
use crate::tx::Tx;
use proto::changelog::{self, Entry};
use proto::{ClassId, Status};

/// What a CHANGE request changes; nothing at all only shows the class.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClassChange {
    /// Only admin sessions may give it to files.
    pub admin_only: Option<bool>,
    /// How strictly labels bind.
    pub mode: Option<LabelMode>,
    /// Days until a file is archived; 0 never.
    pub archive_delay_days: Option<u16>,
    /// First placement.
    pub create: Option<LabelList>,
    /// Everything later.
    pub keep: Option<LabelList>,
    /// Instead of `keep` once a chunk is archived.
    pub archive: Option<LabelList>,
    /// Predefined classes are changed too.
    pub force: bool,
}

impl ClassChange {
    /// Whether it changes nothing: the request to show the class.
    pub fn is_show(&self) -> bool {
        *self == ClassChange::default()
    }

    fn applied_to(&self, rules: &ClassRules) -> ClassRules {
        ClassRules {
            admin_only: self.admin_only.unwrap_or(rules.admin_only),
            mode: self.mode.unwrap_or(rules.mode),
            archive_delay_days: self.archive_delay_days.unwrap_or(rules.archive_delay_days),
            create: self.create.unwrap_or(rules.create),
            keep: self.keep.unwrap_or(rules.keep),
            archive: self.archive.unwrap_or(rules.archive),
        }
    }
}

impl ClassRules {
    /// The rules that a line carries; lists that it leaves out are those of `old`. `None` when there
    /// is no old list for one, or a value is unknown.
    pub fn from_entry(
        entry: &changelog::StorageClass<'_>,
        old: Option<&ClassRules>,
    ) -> Option<ClassRules> {
        let (create, rest) = entry.labels.split_at_checked(entry.create.into())?;
        let (keep, rest) = rest.split_at_checked(entry.keep.into())?;
        let archive = rest.get(..entry.archive.into())?;
        let list = |masks: &[[u32; 4]], old: Option<LabelList>| match masks {
            [] => old,
            masks => {
                let expressions: Vec<_> = masks.iter().copied().map(LabelExpression).collect();
                LabelList::new(&expressions)
            }
        };
        Some(ClassRules {
            admin_only: entry.admin_only,
            mode: LabelMode::from_stored(entry.mode),
            archive_delay_days: entry.archive_delay_days,
            create: list(create, old.map(|old| old.create))?,
            keep: list(keep, old.map(|old| old.keep))?,
            archive: list(archive, old.map(|old| old.archive))?,
        })
    }
}

fn class_entry(name: &[u8], new: bool, rules: &ClassRules, class: ClassId) -> Entry<'static> {
    let lists = [&rules.create, &rules.keep, &rules.archive];
    let labels: Vec<_> = lists
        .iter()
        .flat_map(|list| list.expressions().iter().map(|expression| expression.0))
        .collect();
    Entry::ClassSet(changelog::StorageClass {
        name: name.to_vec().into(),
        new,
        create: rules.create.copies(),
        keep: rules.keep.copies(),
        archive: rules.archive.copies(),
        mode: rules.mode as u8,
        archive_delay_days: rules.archive_delay_days,
        admin_only: rules.admin_only,
        labels: labels.into(),
        class,
    })
}

fn admin(who: &Caller<'_>) -> Result<(), Status> {
    if who.has(SessionRights::ADMIN) {
        Ok(())
    } else {
        Err(Status::EpermNotAdmin)
    }
}

impl Namespace {
    /// All storage classes.
    pub fn classes(&self) -> &StorageClasses {
        &self.classes
    }

    /// CREATE.
    ///
    /// # Errors
    /// 49 not admin, 6 bad name, 50 name in use, 51 no free id.
    pub fn class_create(
        &mut self,
        tx: &mut Tx<'_>,
        who: &Caller<'_>,
        name: &[u8],
        rules: ClassRules,
    ) -> Result<ClassId, Status> {
        admin(who)?;
        let id = self.classes.create(name, rules.clone())?;
        self.log(tx, &class_entry(name, true, &rules, id));
        Ok(id)
    }

    /// CHANGE; the rules as they are then. Showing needs no rights.
    ///
    /// # Errors
    /// 49 not admin, 6 bad name, 52 no such class, 1 predefined and not forced.
    pub fn class_change(
        &mut self,
        tx: &mut Tx<'_>,
        who: &Caller<'_>,
        name: &[u8],
        change: &ClassChange,
    ) -> Result<ClassRules, Status> {
        if !change.is_show() {
            admin(who)?;
        }
        if !is_valid_name(name) {
            return Err(Status::Einval);
        }
        let id = self.classes.find(name).ok_or(Status::NoSuchClass)?;
        if !change.is_show() && is_predefined(id) && !change.force {
            return Err(Status::Eperm);
        }
        let class = self.classes.get(id).ok_or(Status::NoSuchClass)?;
        let rules = change.applied_to(&class.rules);
        if change.is_show() {
            return Ok(rules);
        }
        if rules != class.rules {
            self.classes.modify(name, rules.clone())?;
            self.chunks.classes_changed(tx, &self.classes);
        }
        // As in 3.0.117, a change that leaves everything as it was has its line, too.
        self.log(tx, &class_entry(name, false, &rules, id));
        Ok(rules)
    }

    /// Replays SCSET; the class.
    pub(crate) fn apply_class_set(
        &mut self,
        tx: &mut Tx<'_>,
        entry: &changelog::StorageClass<'_>,
    ) -> Result<ClassId, Status> {
        if entry.new {
            let rules = ClassRules::from_entry(entry, None).ok_or(Status::Einval)?;
            return self.classes.create(&entry.name, rules);
        }
        let id = self.classes.find(&entry.name).ok_or(Status::NoSuchClass)?;
        let old = self
            .classes
            .get(id)
            .map(|class: &StorageClass| &class.rules);
        let rules = ClassRules::from_entry(entry, old).ok_or(Status::Einval)?;
        self.classes.modify(&entry.name, rules)?;
        self.chunks.classes_changed(tx, &self.classes);
        Ok(id)
    }

    /// DELETE.
    ///
    /// # Errors
    /// 49 not admin, 6 bad name, 52 no such class, 1 predefined, 53 in use.
    pub fn class_delete(
        &mut self,
        tx: &mut Tx<'_>,
        who: &Caller<'_>,
        name: &[u8],
    ) -> Result<(), Status> {
        admin(who)?;
        let class = self.classes.delete(name)?;
        let entry = Entry::ClassDelete {
            name: name.into(),
            class,
        };
        self.log(tx, &entry);
        Ok(())
    }

    /// DUPLICATE.
    ///
    /// # Errors
    /// 49 not admin, 6 bad name, 52 no such class, 50 new name in use, 51 no free id.
    pub fn class_duplicate(
        &mut self,
        tx: &mut Tx<'_>,
        who: &Caller<'_>,
        old: &[u8],
        new: &[u8],
    ) -> Result<(), Status> {
        admin(who)?;
        let (source_class, destination_class) = self.classes.duplicate(old, new)?;
        let entry = Entry::ClassDuplicate {
            source: old.into(),
            destination: new.into(),
            source_class,
            destination_class,
        };
        self.log(tx, &entry);
        Ok(())
    }

    /// RENAME.
    ///
    /// # Errors
    /// 49 not admin, 6 bad name, 52 no such class, 1 predefined, 50 new name in use.
    pub fn class_rename(
        &mut self,
        tx: &mut Tx<'_>,
        who: &Caller<'_>,
        old: &[u8],
        new: &[u8],
    ) -> Result<(), Status> {
        admin(who)?;
        let class = self.classes.rename(old, new)?;
        let entry = Entry::ClassRename {
            name: old.into(),
            new_name: new.into(),
            class,
        };
        self.log(tx, &entry);
        Ok(())
    }
}
