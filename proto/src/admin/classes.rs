//! Storage classes as the master lists them (wire-admin §4.16).

use super::request::optional_byte;
use crate::frame::put_frame;
use crate::ids::ClassId;
use crate::list::List;
use crate::message::records;
use crate::version::Version;
use crate::wire::{Field, Malformed, Put, Reader};

/// Asks for the storage classes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GetStorageClasses {
    /// Form of the answer; only to masters ≥ 4.2, where 0 is the one of 3.0.
    pub form: Option<u8>,
}

optional_byte! { GetStorageClasses = 542 { form } }

/// Fields of a [`ClassEntry`], by the master's version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClassForm {
    /// Without name and `admin_only` (3.0.9).
    Numbered,
    /// With them (3.0.75).
    Named,
}

impl ClassForm {
    /// Form of a master's answer.
    pub fn of_master(master: Version) -> ClassForm {
        if master.has_named_classes() {
            ClassForm::Named
        } else {
            ClassForm::Numbered
        }
    }
}

records! {
    /// Chunks of a class with one relation to the goal.
    ClassChunks[16] {
        /// Chunks in the state "keep".
        keep: u64,
        /// Chunks in the state "archive".
        archive: u64,
    }

    /// What one copy asks of its server.
    LabelExpression[18] {
        /// Up to four masks, of which one must be contained in the server's labels; a first mask
        /// of 0 matches every server, later ones of 0 are unused.
        masks: [u32; 4],
        /// Connected servers that match.
        servers: u16,
    }
}

/// The labels of one state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LabelSet<'a> {
    /// 3 yes, 2 when overloaded servers recover, 1 when space appears, 0 no.
    pub can_be_fulfilled: u8,
    /// One for each copy.
    pub labels: List<'a, LabelExpression>,
}

/// A storage class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClassEntry<'a> {
    /// Number; 1–9 are the goals.
    pub id: ClassId,
    /// Name.
    pub name: &'a [u8],
    /// Files of the class.
    pub files: u32,
    /// Directories of the class.
    pub directories: u32,
    /// Chunks below their goal.
    pub under_goal: ClassChunks,
    /// Chunks with as many copies as they should have.
    pub exact_goal: ClassChunks,
    /// Chunks beyond their goal.
    pub over_goal: ClassChunks,
    /// Only for sessions with the admin flag.
    pub admin_only: bool,
    /// 0 loose, 1 standard, 2 strict.
    pub mode: u8,
    /// Days until files are archived; 0 without archive labels.
    pub archive_delay_days: u16,
    /// Labels for new chunks.
    pub create: LabelSet<'a>,
    /// Labels afterwards.
    pub keep: LabelSet<'a>,
    /// Labels of archived files.
    pub archive: LabelSet<'a>,
}

/// Answer to [`GetStorageClasses`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassList<'a> {
    /// Number of connected servers.
    pub servers: u16,
    /// Classes.
    pub classes: Vec<ClassEntry<'a>>,
}

impl<'a> ClassList<'a> {
    /// Message type.
    pub const KIND: u32 = 543;

    /// Reads the payload of a packet of this type.
    pub fn decode(payload: &'a [u8], form: ClassForm) -> Result<ClassList<'a>, Malformed> {
        let mut reader = Reader::new(payload);
        let servers = reader.u16()?;
        let mut classes = Vec::new();
        while !reader.is_empty() {
            classes.push(ClassEntry::get(&mut reader, form)?);
        }
        Ok(ClassList { servers, classes })
    }

    /// Appends the packet, header included.
    pub fn encode(&self, form: ClassForm, out: &mut Vec<u8>) {
        put_frame(out, Self::KIND, |out| {
            out.put_u16(self.servers);
            for class in &self.classes {
                class.put(out, form);
            }
        });
    }
}

impl<'a> ClassEntry<'a> {
    fn get(reader: &mut Reader<'a>, form: ClassForm) -> Result<ClassEntry<'a>, Malformed> {
        let id = reader.get()?;
        let name = match form {
            ClassForm::Named => reader.name()?,
            ClassForm::Numbered => &[],
        };
        let (files, directories) = (reader.u32()?, reader.u32()?);
        let (under_goal, exact_goal, over_goal) = (reader.get()?, reader.get()?, reader.get()?);
        let admin_only = match form {
            ClassForm::Named => reader.get()?,
            ClassForm::Numbered => false,
        };
        let (mode, archive_delay_days) = (reader.u8()?, reader.u16()?);
        let heads: [(u8, u8); 3] = [
            (reader.u8()?, reader.u8()?),
            (reader.u8()?, reader.u8()?),
            (reader.u8()?, reader.u8()?),
        ];
        let mut set = |(can_be_fulfilled, count): (u8, u8)| -> Result<_, Malformed> {
            Ok(LabelSet {
                can_be_fulfilled,
                labels: List::get_counted(reader, usize::from(count))?,
            })
        };
        Ok(ClassEntry {
            id,
            name,
            files,
            directories,
            under_goal,
            exact_goal,
            over_goal,
            admin_only,
            mode,
            archive_delay_days,
            create: set(heads[0])?,
            keep: set(heads[1])?,
            archive: set(heads[2])?,
        })
    }

    /// A set has at most 255 labels; the master has at most 9.
    fn put(&self, out: &mut Vec<u8>, form: ClassForm) {
        out.put(self.id);
        if form == ClassForm::Named {
            out.put_name(self.name);
        }
        out.put_u32(self.files);
        out.put_u32(self.directories);
        out.put(self.under_goal);
        out.put(self.exact_goal);
        out.put(self.over_goal);
        if form == ClassForm::Named {
            out.put(self.admin_only);
        }
        out.put_u8(self.mode);
        out.put_u16(self.archive_delay_days);
        let sets = [self.create, self.keep, self.archive];
        for set in sets {
            debug_assert!(set.labels.len() <= usize::from(u8::MAX));
            out.put_u8(set.can_be_fulfilled);
            out.put_u8(set.labels.len() as u8);
        }
        for set in sets {
            set.labels.put(out);
        }
    }
}
