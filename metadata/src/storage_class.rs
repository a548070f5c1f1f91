//! Storage classes: named rules about the number of copies of a chunk and the labels of the servers
//! that hold them (master-behaviour §4). Choosing servers by these rules is not done here.

mod changes;

pub use changes::ClassChange;

use crate::digest::{Kind, Side, Sum};
use proto::{ClassId, Status};
use std::sync::Arc;

/// Most copies that a list can ask for.
pub const COPIES_MAX: usize = 9;
/// Label masks of one copy, joined by OR.
pub const MASKS: usize = 4;
/// Highest id of the classes that always exist.
pub const PREDEFINED_MAX: u8 = 9;
/// Longest name, bytes.
pub const NAME_BYTES_MAX: usize = 255;

/// Which servers may hold one copy: an OR of four masks, bit 0 of each is label A and bit 25 label
/// Z. Inside a mask all labels are required; unused masks are 0, and four of them mean any server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct LabelExpression(pub [u32; MASKS]);

impl LabelExpression {
    /// Any server.
    pub const ANY: LabelExpression = LabelExpression([0; MASKS]);

    /// Whether every server fits.
    pub fn is_any(self) -> bool {
        self.0[0] == 0
    }

    /// Whether a server with these labels fits.
    pub fn matches(self, labels: u32) -> bool {
        self.is_any()
            || self
                .0
                .iter()
                .take_while(|&&mask| mask != 0)
                .any(|&mask| labels & mask == mask)
    }
}

/// One expression for each of 1 to 9 copies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LabelList {
    expressions: [LabelExpression; COPIES_MAX],
    copies: u8,
}

impl LabelList {
    /// A list from its expressions; `None` unless there are 1 to 9.
    pub fn new(expressions: &[LabelExpression]) -> Option<LabelList> {
        let mut list = LabelList::any(u8::try_from(expressions.len()).ok()?)?;
        list.expressions
            .get_mut(..expressions.len())?
            .copy_from_slice(expressions);
        Some(list)
    }

    /// That many copies on any servers; `None` unless there are 1 to 9.
    pub fn any(copies: u8) -> Option<LabelList> {
        (1..=COPIES_MAX)
            .contains(&usize::from(copies))
            .then_some(LabelList {
                expressions: [LabelExpression::ANY; COPIES_MAX],
                copies,
            })
    }

    /// The expressions, one for each copy.
    pub fn expressions(&self) -> &[LabelExpression] {
        self.expressions
            .get(..usize::from(self.copies))
            .unwrap_or_default()
    }

    /// As records are hashed.
    fn to_bytes(self) -> [u8; 1 + 4 * MASKS * COPIES_MAX] {
        let mut bytes = [0; 1 + 4 * MASKS * COPIES_MAX];
        bytes[0] = self.copies;
        let masks = self.expressions.iter().flat_map(|one| one.0);
        for (place, mask) in bytes[1..].as_chunks_mut::<4>().0.iter_mut().zip(masks) {
            *place = mask.to_be_bytes();
        }
        bytes
    }

    /// Number of copies.
    pub fn copies(&self) -> u8 {
        self.copies
    }

    /// Whether any expression asks for labels.
    pub fn has_labels(&self) -> bool {
        self.expressions().iter().any(|one| !one.is_any())
    }
}

/// How strictly labels bind (master-behaviour §4.5), as its number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum LabelMode {
    /// Any server is better than waiting.
    Loose = 0,
    /// Any server when none with the labels has space.
    #[default]
    Standard = 1,
    /// Only servers with the labels.
    Strict = 2,
}

impl LabelMode {
    /// The mode of a number in an image or a line. 3.0.117 stores whatever number a client sent;
    /// those without a meaning count as the usual one.
    pub fn from_stored(number: u8) -> LabelMode {
        LabelMode::from_number(number).unwrap_or_default()
    }

    /// The mode of a number.
    pub fn from_number(number: u8) -> Option<LabelMode> {
        match number {
            0 => Some(LabelMode::Loose),
            1 => Some(LabelMode::Standard),
            2 => Some(LabelMode::Strict),
            _ => None,
        }
    }
}

/// What a class says, without its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassRules {
    /// Only admin sessions may give it to files.
    pub admin_only: bool,
    /// How strictly labels bind.
    pub mode: LabelMode,
    /// Days after the last change of a file at which its chunks are archived; 0 never.
    pub archive_delay_days: u16,
    /// First placement.
    pub create: LabelList,
    /// Everything later.
    pub keep: LabelList,
    /// Instead of `keep` once a chunk is archived.
    pub archive: LabelList,
}

/// One storage class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StorageClass {
    /// 1 to 255 bytes without NUL.
    pub name: Box<[u8]>,
    /// What it says.
    pub rules: ClassRules,
}

impl StorageClass {
    /// Copies that quotas and directory statistics count for a file of this class: the greater of
    /// the kept and the archived number.
    pub fn counted_copies(&self) -> u8 {
        self.rules.keep.copies().max(self.rules.archive.copies())
    }
}

/// How many inodes have a class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClassUses {
    /// Files, those in trash and sustained ones included.
    pub files: u32,
    /// Directories.
    pub directories: u32,
}

impl ClassUses {
    /// Whether anything has the class.
    pub fn any(self) -> bool {
        self.files != 0 || self.directories != 0
    }

    /// The count of one kind.
    pub fn of(&mut self, is_directory: bool) -> &mut u32 {
        match is_directory {
            true => &mut self.directories,
            false => &mut self.files,
        }
    }
}

/// All storage classes, by id. A clone shares everything with the original.
#[derive(Clone, Debug)]
pub struct StorageClasses {
    classes: Arc<[Option<Arc<StorageClass>>; 256]>,
    /// Who has each class; derived, not stored.
    uses: Arc<[ClassUses; 256]>,
}

impl Default for StorageClasses {
    /// Classes "1" to "9": that many copies on any servers.
    fn default() -> Self {
        let classes = std::array::from_fn(|id| {
            let list = LabelList::any(id.min(255) as u8)?;
            Some(Arc::new(StorageClass {
                name: id.to_string().into_bytes().into(),
                rules: ClassRules {
                    admin_only: false,
                    mode: LabelMode::Standard,
                    archive_delay_days: 0,
                    create: list,
                    keep: list,
                    archive: list,
                },
            }))
        });
        StorageClasses {
            classes: Arc::new(classes),
            uses: Arc::new([ClassUses::default(); 256]),
        }
    }
}

/// Whether a class is one of "1" to "9", which always exist.
pub fn is_predefined(id: ClassId) -> bool {
    (1..=PREDEFINED_MAX).contains(&id.0)
}

/// Whether bytes can be the name of a class.
pub fn is_valid_name(name: &[u8]) -> bool {
    (1..=NAME_BYTES_MAX).contains(&name.len()) && !name.contains(&0)
}

impl StorageClasses {
    /// Counts what differs from an older state, see [`crate::digest`].
    pub(crate) fn count_changes(&self, old: &StorageClasses, sum: &mut Sum) {
        for (id, (before, after)) in old.classes.iter().zip(self.classes.iter()).enumerate() {
            if before == after {
                continue;
            }
            for (side, class) in [(Side::Old, before), (Side::New, after)] {
                if let Some(class) = class {
                    let rules = &class.rules;
                    let lists = [rules.create, rules.keep, rules.archive];
                    let lists = lists.map(LabelList::to_bytes);
                    let parts = [
                        &[id as u8, u8::from(rules.admin_only), rules.mode as u8][..],
                        &rules.archive_delay_days.to_be_bytes(),
                        lists.as_flattened(),
                        &class.name,
                    ];
                    sum.count(side, Kind::Class, &parts);
                }
            }
        }
    }

    /// The class of an id.
    pub fn get(&self, id: ClassId) -> Option<&StorageClass> {
        self.classes.get(usize::from(id.0))?.as_deref()
    }

    /// The id of a name.
    pub fn find(&self, name: &[u8]) -> Option<ClassId> {
        self.iter()
            .find(|(_, class)| *class.name == *name)
            .map(|(id, _)| id)
    }

    /// All classes, ascending by id.
    pub fn iter(&self) -> impl Iterator<Item = (ClassId, &StorageClass)> {
        (0..=u8::MAX)
            .zip(self.classes.iter())
            .filter_map(|(id, class)| Some((ClassId(id), class.as_deref()?)))
    }

    /// Copies that quotas and statistics count for a file of the class; 0 for an unknown one.
    pub fn counted_copies(&self, id: ClassId) -> u8 {
        self.get(id).map_or(0, StorageClass::counted_copies)
    }

    /// Takes a class over as an image has it, in place of a predefined one if need be. `false` when
    /// the id is 0 or was taken over already (`repeated` says which ids were).
    pub fn load(&mut self, id: ClassId, class: StorageClass) -> bool {
        let valid = id != ClassId(0) && (is_predefined(id) || self.get(id).is_none());
        if valid {
            self.put(id, Some(class));
        }
        valid
    }

    /// Files and directories that have the class.
    pub fn uses(&self, id: ClassId) -> ClassUses {
        self.uses
            .get(usize::from(id.0))
            .copied()
            .unwrap_or_default()
    }

    /// A file or directory now has the class.
    pub fn add_use(&mut self, id: ClassId, is_directory: bool) {
        if let Some(uses) = Arc::make_mut(&mut self.uses).get_mut(usize::from(id.0)) {
            let count = uses.of(is_directory);
            *count = count.saturating_add(1);
        }
    }

    /// So many files and directories of an image have the class.
    pub fn add_uses(&mut self, id: ClassId, count: ClassUses) {
        if let Some(uses) = Arc::make_mut(&mut self.uses).get_mut(usize::from(id.0)) {
            uses.files = uses.files.saturating_add(count.files);
            uses.directories = uses.directories.saturating_add(count.directories);
        }
    }

    /// A file or directory no longer has the class.
    pub fn remove_use(&mut self, id: ClassId, is_directory: bool) {
        if let Some(uses) = Arc::make_mut(&mut self.uses).get_mut(usize::from(id.0)) {
            let count = uses.of(is_directory);
            *count = count.saturating_sub(1);
        }
    }

    fn put(&mut self, id: ClassId, class: Option<StorageClass>) {
        if let Some(slot) = Arc::make_mut(&mut self.classes).get_mut(usize::from(id.0)) {
            *slot = class.map(Arc::new);
        }
    }

    /// The lowest free id for a new class.
    fn free_id(&self) -> Option<ClassId> {
        (PREDEFINED_MAX + 1..=u8::MAX)
            .map(ClassId)
            .find(|&id| self.get(id).is_none())
    }

    /// Adds a class under the lowest free id.
    ///
    /// # Errors
    /// 6 bad name, 50 name in use, 51 no free id.
    pub fn create(&mut self, name: &[u8], rules: ClassRules) -> Result<ClassId, Status> {
        let id = self.free_id_for(name)?;
        self.put(
            id,
            Some(StorageClass {
                name: name.into(),
                rules,
            }),
        );
        Ok(id)
    }

    fn free_id_for(&self, name: &[u8]) -> Result<ClassId, Status> {
        if !is_valid_name(name) {
            return Err(Status::Einval);
        }
        if self.find(name).is_some() {
            return Err(Status::ClassExists);
        }
        self.free_id().ok_or(Status::ClassLimitReached)
    }

    /// Replaces the rules of a class.
    ///
    /// # Errors
    /// 52 unknown name.
    pub fn modify(&mut self, name: &[u8], rules: ClassRules) -> Result<ClassId, Status> {
        let id = self.find(name).ok_or(Status::NoSuchClass)?;
        self.put(
            id,
            Some(StorageClass {
                name: name.into(),
                rules,
            }),
        );
        Ok(id)
    }

    /// Removes a class.
    ///
    /// # Errors
    /// 6 bad name, 52 unknown name, 1 predefined, 53 some file or directory has it.
    pub fn delete(&mut self, name: &[u8]) -> Result<ClassId, Status> {
        if !is_valid_name(name) {
            return Err(Status::Einval);
        }
        let id = self.find(name).ok_or(Status::NoSuchClass)?;
        if is_predefined(id) {
            return Err(Status::Eperm);
        }
        if self.uses(id).any() {
            return Err(Status::ClassInUse);
        }
        self.put(id, None);
        Ok(id)
    }

    /// Copies a class under a new name; the ids of the original and of the copy.
    ///
    /// # Errors
    /// 6 bad name, 52 unknown original, 50 new name in use, 51 no free id.
    pub fn duplicate(&mut self, old: &[u8], new: &[u8]) -> Result<(ClassId, ClassId), Status> {
        if !is_valid_name(old) || !is_valid_name(new) {
            return Err(Status::Einval);
        }
        let source = self.find(old).ok_or(Status::NoSuchClass)?;
        let rules = self.get(source).ok_or(Status::NoSuchClass)?.rules.clone();
        let copy = self.create(new, rules)?;
        Ok((source, copy))
    }

    /// Gives a class another name.
    ///
    /// # Errors
    /// 6 bad name, 52 unknown, 1 predefined, 50 new name in use.
    pub fn rename(&mut self, old: &[u8], new: &[u8]) -> Result<ClassId, Status> {
        if !is_valid_name(old) || !is_valid_name(new) {
            return Err(Status::Einval);
        }
        let id = self.find(old).ok_or(Status::NoSuchClass)?;
        if is_predefined(id) {
            return Err(Status::Eperm);
        }
        if self.find(new).is_some() {
            return Err(Status::ClassExists);
        }
        let rules = self.get(id).ok_or(Status::NoSuchClass)?.rules.clone();
        self.put(
            id,
            Some(StorageClass {
                name: new.into(),
                rules,
            }),
        );
        Ok(id)
    }
}

#[cfg(test)]
mod tests;
