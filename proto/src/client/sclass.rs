//! Definitions of storage classes, 350 - 361 (wire-client-master §16).

use super::message::{List, ListMessage, Message, message};
use crate::version::Version;
use crate::wire::Versioned;
use crate::wire::{Field, Malformed, Put, Reader};

/// Copies that a list of a class may have.
pub const COPIES_MAX: usize = 9;

/// Where one copy may go: OR of up to four ANDs of labels, bit 0 = A.
///
/// A mask 0 is unused; all four 0: any server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CopyLabels(pub [u32; 4]);

impl<'a> Field<'a> for CopyLabels {
    fn get(reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        Ok(CopyLabels([
            reader.u32()?,
            reader.u32()?,
            reader.u32()?,
            reader.u32()?,
        ]))
    }

    fn put(self, out: &mut Vec<u8>) {
        for mask in self.0 {
            out.put_u32(mask);
        }
    }
}

/// What a storage class says; each list is one entry a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Definition<'a> {
    /// Only admin sessions may use it.
    pub admin_only: u8,
    /// 0 loose, 1 standard, 2 strict.
    pub mode: u8,
    /// Days until a file is archived.
    pub archive_delay_days: u16,
    /// Copies when a chunk is made.
    pub create: List<'a, CopyLabels>,
    /// Copies to be kept.
    pub keep: List<'a, CopyLabels>,
    /// Copies of archived chunks.
    pub archive: List<'a, CopyLabels>,
}

impl<'a> Definition<'a> {
    /// Nothing at all; what a request that only asks sends along.
    pub const EMPTY: Definition<'static> = Definition {
        admin_only: 0,
        mode: 0,
        archive_delay_days: 0,
        create: List::Values(&[]),
        keep: List::Values(&[]),
        archive: List::Values(&[]),
    };
}

impl<'a> Versioned<'a> for Definition<'a> {
    fn get(reader: &mut Reader<'a>, client: Version) -> Result<Self, Malformed> {
        let (admin_only, mode, archive_delay_days) = (reader.u8()?, reader.u8()?, reader.u16()?);
        let [create, keep, archive] = reader.array()?.map(u64::from);
        Ok(Definition {
            admin_only,
            mode,
            archive_delay_days,
            create: List::get(reader, create, client)?,
            keep: List::get(reader, keep, client)?,
            archive: List::get(reader, archive, client)?,
        })
    }

    fn put(self, client: Version, out: &mut Vec<u8>) {
        let lists = [&self.create, &self.keep, &self.archive];
        out.put_u8(self.admin_only);
        out.put_u8(self.mode);
        out.put_u16(self.archive_delay_days);
        for list in lists {
            debug_assert!(
                list.count() <= usize::from(u8::MAX),
                "a class beyond its limit"
            );
            out.put_u8(list.count() as u8);
        }
        for list in lists {
            list.put(client, out);
        }
    }
}

/// Bits of [`SclassChange::change`].
pub mod change {
    /// admin_only.
    pub const ADMIN_ONLY: u16 = 0x0001;
    /// mode.
    pub const MODE: u16 = 0x0002;
    /// create.
    pub const CREATE: u16 = 0x0004;
    /// keep.
    pub const KEEP: u16 = 0x0008;
    /// archive.
    pub const ARCHIVE: u16 = 0x0010;
    /// archive_delay_days.
    pub const DELAY: u16 = 0x0020;
    /// Predefined classes too.
    pub const FORCE: u16 = 0x8000;
}

/// Format byte that 3.0 knows. A definition in another format is not read.
const FORMAT: u8 = 0;

/// Definition behind a format byte and what stands between; `None` for an unknown format.
fn get_definition<'a>(
    reader: &mut Reader<'a>,
    format: u8,
    client: Version,
) -> Result<Option<Definition<'a>>, Malformed> {
    if format == FORMAT {
        return Definition::get(reader, client).map(Some);
    }
    reader.rest();
    Ok(None)
}

/// SCLASS_CREATE 350. The reply is a status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SclassCreate<'a> {
    /// Number that connects request and reply.
    pub msgid: u32,
    /// Name of the new class.
    pub name: &'a [u8],
    /// What it says; `None`: a format of newer clients, refused with status 6.
    pub definition: Option<Definition<'a>>,
}

impl<'a> Message<'a> for SclassCreate<'a> {
    fn decode(payload: &'a [u8], client: Version) -> Result<Self, Malformed> {
        let mut reader = Reader::new(payload);
        let (msgid, name, format) = (reader.u32()?, reader.name()?, reader.u8()?);
        let definition = get_definition(&mut reader, format, client)?;
        reader.finish()?;
        Ok(SclassCreate {
            msgid,
            name,
            definition,
        })
    }

    fn encode(&self, client: Version, out: &mut Vec<u8>) {
        out.put_u32(self.msgid);
        out.put_name(self.name);
        match self.definition {
            Some(definition) => {
                out.put_u8(FORMAT);
                definition.put(client, out);
            }
            None => out.put_u8(FORMAT + 1),
        }
    }
}

/// SCLASS_CHANGE 352. The reply is a status or a [`SclassChangeReply`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SclassChange<'a> {
    /// Number that connects request and reply.
    pub msgid: u32,
    /// Name of the class.
    pub name: &'a [u8],
    /// Bits of [`change`]: what of the definition counts; 0: only asks.
    pub change: u16,
    /// New values; `None`: a format of newer clients, refused with status 6.
    pub definition: Option<Definition<'a>>,
}

impl<'a> Message<'a> for SclassChange<'a> {
    fn decode(payload: &'a [u8], client: Version) -> Result<Self, Malformed> {
        let mut reader = Reader::new(payload);
        let (msgid, name, format) = (reader.u32()?, reader.name()?, reader.u8()?);
        let change = reader.u16()?;
        let definition = get_definition(&mut reader, format, client)?;
        reader.finish()?;
        Ok(SclassChange {
            msgid,
            name,
            change,
            definition,
        })
    }

    fn encode(&self, client: Version, out: &mut Vec<u8>) {
        out.put_u32(self.msgid);
        out.put_name(self.name);
        out.put_u8(if self.definition.is_some() {
            FORMAT
        } else {
            FORMAT + 1
        });
        out.put_u16(self.change);
        if let Some(definition) = self.definition {
            definition.put(client, out);
        }
    }
}

message! {
    /// SCLASS_CHANGE 353 on success: the values now.
    SclassChangeReply<'a> {
        /// Format byte, 0.
        format: u8,
        /// What the class says.
        definition: Definition<'a>,
    }
    /// SCLASS_DELETE 354. The reply is a status.
    SclassDelete<'a> {
        /// Name of the class.
        name: &'a [u8],
    }
    /// SCLASS_DUPLICATE 356 and SCLASS_RENAME 358. The reply is a status.
    SclassCopy<'a> {
        /// Present name.
        name: &'a [u8],
        /// New name.
        new_name: &'a [u8],
    }
    /// SCLASS_LIST 360. The reply is a [`SclassNames`] or a [`SclassDefinitions`].
    SclassList {
        /// Even: names only; odd: with definitions.
        format: u8,
    }
}

/// A class with its name, in a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NamedDefinition<'a> {
    /// Name of the class.
    pub name: &'a [u8],
    /// What it says.
    pub definition: Definition<'a>,
}

impl<'a> Versioned<'a> for NamedDefinition<'a> {
    fn get(reader: &mut Reader<'a>, client: Version) -> Result<Self, Malformed> {
        let name = reader.name()?;
        Ok(NamedDefinition {
            name,
            definition: Definition::get(reader, client)?,
        })
    }

    fn put(self, client: Version, out: &mut Vec<u8>) {
        out.put_name(self.name);
        self.definition.put(client, out);
    }
}

/// SCLASS_LIST 361, names only.
pub type SclassNames<'a> = ListMessage<'a, &'a [u8]>;

/// SCLASS_LIST 361 with definitions.
pub type SclassDefinitions<'a> = ListMessage<'a, NamedDefinition<'a>>;
