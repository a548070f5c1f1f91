//! What the two ends of a file say, without reading what is between: enough to choose among images
//! and changelogs (metadata-and-changelog §2.7). Files are handed in as readers.

use proto::image::{CONTAINER_1_6, CONTAINER_2_0, EOF_MARKER, ImageHeader};
use proto::{MetaId, MetaVersion, Reader};
use std::io::{self, Read, Seek, SeekFrom};

/// Longest line of a changelog that is looked for, in bytes.
const LINE_BYTES_MAX: u64 = 256 * 1024;

/// A metadata file, judged by its signature and its ending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImageEnds {
    /// Nothing in it.
    Empty,
    /// `MFSM NEW`: an empty file system is wanted.
    New,
    /// A whole file.
    Whole {
        /// Number of the next change.
        version: MetaVersion,
        /// Identity of the file system; 0 before it has one.
        id: MetaId,
        /// Written before 2.0: sessions are in a file beside it.
        is_old: bool,
    },
    /// It does not begin as a metadata file.
    WrongHeader,
    /// It begins well and does not end well.
    WrongEnding,
}

/// Looks at a metadata file.
///
/// # Errors
/// Those of the reader.
pub fn of_image(mut file: impl Read + Seek) -> io::Result<ImageEnds> {
    let size = file.seek(SeekFrom::End(0))?;
    file.rewind()?;
    if size == 0 {
        return Ok(ImageEnds::Empty);
    }
    let mut head = Vec::with_capacity(ImageHeader::BYTES);
    (&mut file)
        .take(ImageHeader::BYTES as u64)
        .read_to_end(&mut head)?;
    let (container, version, id) = match ImageHeader::decode(&mut Reader::new(&head)) {
        Ok(Some(ImageHeader::New)) => return Ok(ImageEnds::New),
        Ok(Some(ImageHeader::Old {
            container, version, ..
        })) => (container, version, MetaId(0)),
        Ok(Some(ImageHeader::Current {
            container,
            version,
            metaid,
        })) => (container, version, metaid),
        Ok(None) => return Ok(ImageEnds::WrongHeader),
        Err(_) => return Ok(ImageEnds::WrongEnding),
    };
    let expected = if container < CONTAINER_1_6 {
        [0; 16]
    } else {
        EOF_MARKER
    };
    let mut end = [0; 16];
    if size < (ImageHeader::BYTES + end.len()) as u64 {
        return Ok(ImageEnds::WrongEnding);
    }
    file.seek(SeekFrom::End(-16))?;
    file.read_exact(&mut end)?;
    if end != expected {
        return Ok(ImageEnds::WrongEnding);
    }
    Ok(ImageEnds::Whole {
        version,
        id,
        is_old: container < CONTAINER_2_0,
    })
}

/// A changelog, judged by its first and last lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChangelogEnds {
    /// Numbers of the first and of the last whole line; `None` when there is none.
    pub changes: Option<(MetaVersion, MetaVersion)>,
    /// Length up to the end of the last whole line, bytes.
    pub whole_bytes: u64,
    /// Bytes of a torn line behind it.
    pub torn_bytes: u64,
}

/// Looks at a changelog.
///
/// # Errors
/// Those of the reader.
pub fn of_changelog(mut file: impl Read + Seek) -> io::Result<ChangelogEnds> {
    let size = file.seek(SeekFrom::End(0))?;
    file.rewind()?;
    let mut start = Vec::new();
    (&mut file).take(64).read_to_end(&mut start)?;
    let tail_start = size.saturating_sub(2 * LINE_BYTES_MAX);
    file.seek(SeekFrom::Start(tail_start))?;
    let mut tail = Vec::new();
    file.take(2 * LINE_BYTES_MAX).read_to_end(&mut tail)?;
    let whole = tail
        .iter()
        .rposition(|&byte| byte == b'\n')
        .map_or(0, |at| at + 1);
    let torn_bytes = (tail.len() - whole) as u64;
    // The first piece may be the end of a line; one without a number is none (a power cut).
    let last = tail
        .get(..whole)
        .unwrap_or_default()
        .split_inclusive(|&byte| byte == b'\n')
        .enumerate()
        .filter(|(index, _)| *index > 0 || tail_start == 0)
        .filter_map(|(_, line)| line_number(line))
        .last();
    Ok(ChangelogEnds {
        changes: line_number(&start).zip(last),
        whole_bytes: size.saturating_sub(torn_bytes),
        torn_bytes,
    })
}

/// The number before the colon of a line.
pub fn line_number(line: &[u8]) -> Option<MetaVersion> {
    let digits = line.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if line.get(digits) != Some(&b':') {
        return None;
    }
    let number = std::str::from_utf8(line.get(..digits)?).ok()?.parse();
    number.ok().map(MetaVersion)
}

#[cfg(test)]
mod tests {
    use super::{ChangelogEnds, ImageEnds, of_changelog, of_image};
    use proto::image::{EOF_MARKER, ImageHeader};
    use proto::{MetaId, MetaVersion};
    use std::io::Cursor;

    #[test]
    fn images_by_their_ends() {
        let head = ImageHeader::encode(MetaVersion(7), MetaId(9));
        let whole = ImageEnds::Whole {
            version: MetaVersion(7),
            id: MetaId(9),
            is_old: false,
        };
        for (bytes, expected) in [
            (vec![], ImageEnds::Empty),
            (b"MFSM NEW".to_vec(), ImageEnds::New),
            (b"PK and more than eight".to_vec(), ImageEnds::WrongHeader),
            (b"MFSM 2.0".to_vec(), ImageEnds::WrongEnding),
            ([&head[..], &[0; 16]].concat(), ImageEnds::WrongEnding),
            ([&head[..], &EOF_MARKER].concat(), whole),
        ] {
            assert_eq!(of_image(Cursor::new(bytes)).unwrap(), expected);
        }
    }

    #[test]
    fn changelogs_by_their_ends() {
        let long = format!("1: x\n2: {}\n3: y\n4: torn", "z".repeat(600_000));
        for (text, changes, torn_bytes) in [
            ("", None, 0),
            ("5: x\n", Some((5, 5)), 0),
            ("5: x\n6: y\n7", Some((5, 6)), 1),
            ("5: x", None, 4),
            ("5: x\n6: y\n\0\0\n", Some((5, 6)), 0),
            (long.as_str(), Some((1, 3)), 7),
        ] {
            let ends = of_changelog(Cursor::new(text)).unwrap();
            let expected = ChangelogEnds {
                changes: changes.map(|(first, last)| (MetaVersion(first), MetaVersion(last))),
                whole_bytes: text.len() as u64 - torn_bytes,
                torn_bytes,
            };
            assert_eq!(ends, expected);
        }
    }
}
