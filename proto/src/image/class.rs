//! SCLA: storage classes (metadata-and-changelog §1.4.2).

use super::{Damage, Decoded, Pieces};
use crate::{Reader, wire::Put};

/// Masks of one label position that are written, and the most that are read.
pub const LABEL_GROUPS: u8 = 4;

/// Masks of each position.
pub type Labels = Vec<[u32; LABEL_GROUPS as usize]>;

/// Longest description of a label.
const DESCRIPTION_BYTES_MAX: u8 = 128;

/// What stands before the classes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClassHeader {
    /// Masks of each label position. More than [`LABEL_GROUPS`] cannot be kept.
    pub groups: u8,
}

impl ClassHeader {
    /// Reads the header.
    ///
    /// # Errors
    /// The data ends, or says what it may not.
    pub fn decode(reader: &mut Reader<'_>, version: u8) -> Result<ClassHeader, Damage> {
        ClassHeader::decode_described(reader, version, |_, _| {})
    }

    /// The same; each label with its description, which versions before 0x16 have, is handed out.
    ///
    /// # Errors
    /// The data ends, or says what it may not.
    pub fn decode_described(
        reader: &mut Reader<'_>,
        version: u8,
        mut describe: impl FnMut(char, &[u8]),
    ) -> Result<ClassHeader, Damage> {
        if version <= 0x15 {
            for label in 'A'..='Z' {
                let length = reader.u8()?;
                if length > DESCRIPTION_BYTES_MAX {
                    return Err(Damage::Invalid("description of a label too long"));
                }
                describe(label, reader.bytes(usize::from(length))?);
            }
        }
        let groups = if version >= 0x11 { reader.u8()? } else { 1 };
        if groups == 0 {
            return Err(Damage::Invalid("zero or-groups"));
        }
        Ok(ClassHeader { groups })
    }

    /// Writes the header.
    pub fn encode(out: &mut Pieces) {
        out.piece(|out| out.put_u8(LABEL_GROUPS));
    }
}

/// One storage class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassRecord<'a> {
    /// Its number; values above 255 are read but mean nothing.
    pub class: u16,
    /// Its name; `None` in versions without.
    pub name: Option<&'a [u8]>,
    /// Only administrators may set it.
    pub admin_only: bool,
    /// 0 loose, 1 default, 2 strict.
    pub mode: u8,
    /// Days until archiving, 0 never.
    pub archive_delay_days: u16,
    /// Label positions for new chunks.
    pub create: Labels,
    /// Label positions for chunks that are kept.
    pub keep: Labels,
    /// Label positions for archived chunks.
    pub archive: Labels,
}

impl<'a> ClassRecord<'a> {
    /// Reads a record; `None` is the end of the section. Masks above [`LABEL_GROUPS`] are dropped.
    ///
    /// # Errors
    /// The data ends.
    pub fn decode(
        reader: &mut Reader<'a>,
        version: u8,
        header: ClassHeader,
    ) -> Decoded<ClassRecord<'a>> {
        let class = reader.u16()?;
        let (mut name_bytes, mut admin_only) = (None, false);
        if version >= 0x16 {
            name_bytes = Some(reader.u8()?);
            admin_only = reader.u8()? != 0;
        }
        let mode = if version >= 0x14 { reader.u8()? } else { 1 };
        let archive_delay_days = if version >= 0x15 { reader.u16()? } else { 0 };
        let create = reader.u8()?;
        let keep = if version >= 0x14 {
            Some(reader.u8()?)
        } else {
            None
        };
        let archive = if version >= 0x15 {
            Some(reader.u8()?)
        } else {
            None
        };
        if version == 0x12 {
            reader.bytes(8)?;
        }
        if class == 0 {
            return Ok(None);
        }
        if version == 0x12 {
            // Numbers of chunks, not used.
            reader.bytes(8 * usize::from(create))?;
        }
        let name = match name_bytes {
            Some(bytes) => Some(reader.bytes(usize::from(bytes))?),
            None => None,
        };
        let create = labels(reader, create, header)?;
        let keep = match keep {
            Some(count) => labels(reader, count, header)?,
            None => create.clone(),
        };
        let archive = match archive {
            Some(count) => labels(reader, count, header)?,
            None => keep.clone(),
        };
        Ok(Some(ClassRecord {
            class,
            name,
            admin_only,
            mode,
            archive_delay_days,
            create,
            keep,
            archive,
        }))
    }

    /// Writes the record.
    pub fn encode(&self, out: &mut Pieces) {
        out.piece(|out| {
            out.put_u16(self.class);
            let name = self.name.unwrap_or_default();
            out.put_u8(u8::try_from(name.len()).unwrap_or(u8::MAX));
            out.put(self.admin_only);
            out.put_u8(self.mode);
            out.put_u16(self.archive_delay_days);
            for labels in [&self.create, &self.keep, &self.archive] {
                // At most 9.
                out.put_u8(labels.len() as u8);
            }
            out.put_bytes(&name[..name.len().min(usize::from(u8::MAX))]);
            for masks in [&self.create, &self.keep, &self.archive]
                .into_iter()
                .flatten()
            {
                for mask in masks {
                    out.put_u32(*mask);
                }
            }
        });
    }

    /// Writes the end of the section.
    pub fn encode_end(out: &mut Pieces) {
        out.piece(|out| out.put_bytes(&[0; 10]));
    }
}

fn labels(reader: &mut Reader<'_>, count: u8, header: ClassHeader) -> Result<Labels, Damage> {
    let mut labels = Labels::with_capacity(usize::from(count));
    for _ in 0..count {
        let mut masks = [0; LABEL_GROUPS as usize];
        for group in 0..usize::from(header.groups) {
            let mask = reader.u32()?;
            if let Some(slot) = masks.get_mut(group) {
                *slot = mask;
            }
        }
        labels.push(masks);
    }
    Ok(labels)
}
