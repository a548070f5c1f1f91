//! Sections of 4.x that differ from 3.0.117: storage classes and patterns
//! (metadata-and-changelog §1.10). Read to say what a downgrade would lose.

use super::{Damage, Decoded, Labels};
use crate::Reader;

/// Bytes of a label expression that are read.
const EXPRESSION_BYTES_MAX: u16 = 1024;

/// What stands before the classes of 4.x.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewerClassHeader {
    /// Bytes of each label expression.
    pub expression_bytes: u16,
}

impl NewerClassHeader {
    /// Reads the header.
    ///
    /// # Errors
    /// The data ends, or expressions are impossibly long.
    pub fn decode(reader: &mut Reader<'_>) -> Result<NewerClassHeader, Damage> {
        let expression_bytes = reader.u16()?;
        reader.u8()?;
        if expression_bytes > EXPRESSION_BYTES_MAX {
            return Err(Damage::Invalid("label expressions too long"));
        }
        Ok(NewerClassHeader { expression_bytes })
    }
}

/// A storage class of 4.x, as far as it has a meaning here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewerClassRecord<'a> {
    /// Its number.
    pub class: u16,
    /// Its name.
    pub name: &'a [u8],
    /// Only administrators may set it.
    pub admin_only: bool,
    /// 0 loose, 1 default, 2 strict.
    pub mode: u8,
    /// Hours until archiving.
    pub archive_delay_hours: u16,
    /// Label positions for new chunks.
    pub create: Labels,
    /// Label positions for chunks that are kept.
    pub keep: Labels,
    /// Label positions for archived chunks.
    pub archive: Labels,
    /// What of the class has no equivalent.
    pub lost: Vec<&'static str>,
}

/// One of the four label sets of a class.
#[derive(Clone, Copy, Debug, Default)]
struct LabelSet {
    count: u8,
    erasure_code: u8,
    unique: u32,
}

impl LabelSet {
    fn decode(reader: &mut Reader<'_>, version: u8, has_code: bool) -> Result<LabelSet, Damage> {
        let count = reader.u8()?;
        let erasure_code = if has_code { reader.u8()? } else { 0 };
        let unique = reader.u32()?;
        if version >= 0x1B {
            reader.u8()?;
        }
        Ok(LabelSet {
            count,
            erasure_code,
            unique,
        })
    }
}

impl<'a> NewerClassRecord<'a> {
    /// Reads a record of version 0x17 to 0x1C; `None` is the end of the section.
    ///
    /// # Errors
    /// The data ends.
    pub fn decode(
        reader: &mut Reader<'a>,
        version: u8,
        header: NewerClassHeader,
    ) -> Decoded<NewerClassRecord<'a>> {
        let class = reader.u16()?;
        if class == 0 {
            return Ok(None);
        }
        let mut lost = Vec::new();
        let mut lose = |is_lost: bool, what| {
            if is_lost {
                lost.push(what);
            }
        };
        let name_bytes = usize::from(reader.u8()?);
        let mut description_bytes = 0;
        if version >= 0x1C {
            description_bytes = usize::from(reader.u8()?);
            lose(description_bytes > 0, "description");
            lose(reader.u32()? != 0, "priority");
            lose(reader.u8()? != 0, "export group");
        }
        let (admin_only, mode) = (reader.u8()? != 0, reader.u8()?);
        if version >= 0x18 {
            lose(reader.u8()? > 1, "archive mode");
        }
        let archive_delay_hours = reader.u16()?;
        if version >= 0x1A {
            lose(reader.u64()? != 0, "minimum size for archiving");
        }
        lose(reader.u16()? != 0, "minimum trash time");
        let create = LabelSet::decode(reader, version, false)?;
        let keep = LabelSet::decode(reader, version, false)?;
        let archive = LabelSet::decode(reader, version, true)?;
        let trash = LabelSet::decode(reader, version, true)?;
        lose(trash.count > 0 || trash.erasure_code > 0, "trash labels");
        lose(archive.erasure_code > 0, "erasure coding");
        lose(
            [create, keep, archive].iter().any(|set| set.unique != 0),
            "labels that must differ",
        );
        let name = reader.bytes(name_bytes)?;
        reader.bytes(description_bytes)?;
        let mut expressions = |count: u8| -> Result<Labels, Damage> {
            let mut labels = Labels::with_capacity(usize::from(count));
            for _ in 0..count {
                let bytes = reader.bytes(usize::from(header.expression_bytes))?;
                let masks = masks(bytes);
                lose(masks.is_none(), "a label expression");
                labels.push(masks.unwrap_or_default());
            }
            Ok(labels)
        };
        let create_labels = expressions(create.count)?;
        let keep_labels = expressions(keep.count)?;
        let mut archive_labels = expressions(archive.count)?;
        expressions(trash.count)?;
        if archive.erasure_code > 0 || archive_labels.is_empty() {
            archive_labels.clone_from(&keep_labels);
        }
        Ok(Some(NewerClassRecord {
            class,
            name,
            admin_only,
            mode,
            archive_delay_hours,
            create: if create_labels.is_empty() {
                keep_labels.clone()
            } else {
                create_labels
            },
            keep: keep_labels,
            archive: archive_labels,
            lost,
        }))
    }
}

/// A reverse Polish label expression as an OR of up to four AND masks; `None` when it needs NOT or
/// more masks.
fn masks(expression: &[u8]) -> Option<[u32; 4]> {
    let mut stack: Vec<Vec<u32>> = Vec::new();
    for &token in expression {
        match token {
            0 => break,
            0xFF => stack.push(vec![0]),
            0xC0..=0xD9 => stack.push(vec![1 << (token - 0xC0)]),
            0x80..=0xBF => {
                let operands =
                    stack.split_off(stack.len().checked_sub(usize::from(token - 0x80) + 2)?);
                let mut product = vec![0];
                for operand in operands {
                    if product.len() * operand.len() > 64 {
                        return None;
                    }
                    product = product
                        .iter()
                        .flat_map(|left| operand.iter().map(move |right| left | right))
                        .collect();
                }
                stack.push(product);
            }
            0x40..=0x7F => {
                let operands =
                    stack.split_off(stack.len().checked_sub(usize::from(token - 0x40) + 2)?);
                stack.push(operands.concat());
            }
            _ => return None,
        }
    }
    let sum = match stack.len() {
        0 => return Some([0; 4]),
        1 => stack.pop()?,
        _ => return None,
    };
    // Any server in one alternative: any server.
    if sum.contains(&0) {
        return Some([0; 4]);
    }
    let mut masks = [0; 4];
    masks.get_mut(..sum.len())?.copy_from_slice(&sum);
    Some(masks)
}

/// A pattern of 4.x, which gives attributes to new files by their names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pattern<'a> {
    /// The pattern.
    pub glob: &'a [u8],
}

impl<'a> Pattern<'a> {
    /// Reads a record of version 0x10 or 0x11; `None` is the end of the section.
    ///
    /// # Errors
    /// The data ends.
    pub fn decode(reader: &mut Reader<'a>, version: u8) -> Decoded<Pattern<'a>> {
        let glob_bytes = usize::from(reader.u8()?);
        let (euid, egid) = (reader.u32()?, reader.u32()?);
        if glob_bytes == 0 && (euid, egid) == (u32::MAX, u32::MAX) {
            return Ok(None);
        }
        reader.bytes(if version >= 0x11 { 7 } else { 6 })?;
        Ok(Some(Pattern {
            glob: reader.bytes(glob_bytes)?,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::masks;

    #[test]
    fn expressions_become_alternatives_of_masks() {
        let (a, b, c) = (1, 2, 4);
        for (expression, expected) in [
            (&[0, 0][..], Some([0; 4])),
            (&[0xFF, 0], Some([0; 4])),
            (&[0xC0, 0], Some([a, 0, 0, 0])),
            // AB+C
            (&[0xC0, 0xC1, 0x80, 0xC2, 0x40], Some([a | b, c, 0, 0])),
            // (A+B)C
            (&[0xC0, 0xC1, 0x40, 0xC2, 0x80], Some([a | c, b | c, 0, 0])),
            // A+B+C+D
            (&[0xC0, 0xC1, 0xC2, 0xC3, 0x42], Some([a, b, c, 8])),
            // five alternatives
            (&[0xC0, 0xC1, 0xC2, 0xC3, 0xC4, 0x43], None),
            // [!B*C]
            (&[0xC1, 0x01, 0xC2, 0x80], None),
            // A+*
            (&[0xC0, 0xFF, 0x40], Some([0; 4])),
            // too few operands
            (&[0xC0, 0x80], None),
        ] {
            assert_eq!(masks(expression), expected, "{expression:x?}");
        }
    }
}
