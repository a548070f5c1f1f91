//! A metadata file against the `metadata.crc` beside it (metadata-and-changelog §1.9). MooseFS writes
//! that file and never reads it; it is the only protection that the content of an image has.

use proto::Reader;
use proto::image::{
    AclRecord, ChunkEntry, ClassHeader, ClassRecord, Damage, Decoded, EOF_MARKER, EdgeRecord,
    Fingerprint, FlockRecord, ImageHeader, NodeBody, NodeHeader, NodeRecord, OpenRecord,
    PosixLockRecord, QuotaRecord, Section, SectionHeader, SectionName, ServerRecord, SessionHeader,
    SessionRecord, XattrRecord, decode_count, decode_edge_header,
};

/// Bytes of one record of `metadata.crc`.
const RECORD_BYTES: usize = 8;
/// Bytes of chunk ids that form one piece.
const CHUNK_IDS_PIECE: usize = 8 * 65536;
/// Bytes of FREE records that form one piece.
const FREE_PIECE: usize = 8 * 1024;
/// Bytes of ACL entries that form one piece.
const ACL_PIECE: usize = 6 * 100;

/// What the comparison found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Checked {
    /// The checksums are of another file, or the file is of a form that has none.
    NotApplicable,
    /// Every checksum is right.
    Same,
    /// Version or identity differ and everything else is the same: a damaged header, or a file that
    /// was saved again without a change.
    Header,
    /// These sections have another content than when they were written.
    Damaged(Vec<SectionName>),
}

/// Compares. Takes the time of reading the file once; needs no memory.
pub fn check_against(data: &[u8], checksums: &[u8]) -> Checked {
    let (records, rest) = checksums.as_chunks::<RECORD_BYTES>();
    let mut expected = records.iter().map(|[n0, n1, n2, n3, value @ ..]| {
        let name = SectionName([*n0, *n1, *n2, *n3]);
        (name, Fingerprint(u32::from_be_bytes(*value)))
    });
    let Some((SectionName(head_name), head)) = expected.next() else {
        return Checked::NotApplicable;
    };
    let (Some(header), true) = (
        data.first_chunk::<{ ImageHeader::BYTES }>(),
        rest.is_empty(),
    ) else {
        return Checked::NotApplicable;
    };
    // Its own end says whether the file of checksums is whole.
    let mut whole = Fingerprint::default();
    whole.add(&EOF_MARKER);
    let is_whole = expected.clone().next_back() == Some((SectionName(*b"TAIL"), whole));
    if head_name != *b"HEAD" || !is_whole {
        return Checked::NotApplicable;
    }
    let (signature, numbers) = header.split_at(8);
    let mut found = Fingerprint::default();
    found.add(signature);
    found.add(numbers);
    let is_same_head = found == head;
    let mut reader = Reader::new(data);
    // The header is there.
    let _ = reader.bytes(ImageHeader::BYTES);
    let mut damaged = Vec::new();
    for (name, value) in expected {
        if name.0 == *b"TAIL" {
            let mut found = Fingerprint::default();
            found.add(reader.rest());
            if found != value {
                damaged.push(name);
            }
            break;
        }
        match section(&mut reader, name) {
            Ok(Some(found)) if found == value => {}
            Ok(None) => return Checked::NotApplicable,
            Ok(Some(_)) => damaged.push(name),
            // Nothing behind it can be told apart any more.
            Err(_) => {
                damaged.push(name);
                return judge(is_same_head, damaged);
            }
        }
    }
    judge(is_same_head, damaged)
}

fn judge(is_same_head: bool, damaged: Vec<SectionName>) -> Checked {
    match (is_same_head, damaged.is_empty()) {
        (true, true) => Checked::Same,
        (true, false) => Checked::Damaged(damaged),
        (false, true) => Checked::Header,
        (false, false) => Checked::NotApplicable,
    }
}

/// The checksum of the next section, which should have this name; `None` when 3.0.117 has not written
/// it.
fn section(reader: &mut Reader<'_>, name: SectionName) -> Result<Option<Fingerprint>, Damage> {
    let Some(section) = Section::from_name(name) else {
        return Ok(None);
    };
    let start = *reader;
    let header = SectionHeader::decode(reader)?;
    let Some(mut header) = header.filter(|header| header.name == name) else {
        return Err(Damage::Invalid("another section"));
    };
    if header.version != section.version() {
        return Err(Damage::Invalid("another version"));
    }
    let length = header.length.take();
    let body = usize::try_from(length.unwrap_or(u64::MAX)).map_err(|_| Damage::Truncated)?;
    *reader = start;
    reader.bytes(SectionHeader::BYTES)?;
    let mut pieces = PieceReader {
        reader: Reader::new(reader.bytes(body)?),
        fingerprint: Fingerprint::default(),
    };
    pieces.fingerprint.add(&header.encode());
    pieces.fingerprint.add(&(body as u64).to_be_bytes());
    pieces.body(section)?;
    if !pieces.reader.is_empty() {
        return Err(Damage::Invalid("more than one section"));
    }
    Ok(Some(pieces.fingerprint))
}

/// The pieces of a section, as they were written.
struct PieceReader<'a> {
    reader: Reader<'a>,
    fingerprint: Fingerprint,
}

impl<'a> PieceReader<'a> {
    /// Reads something that forms one piece.
    #[inline]
    fn piece<T>(
        &mut self,
        decode: impl FnOnce(&mut Reader<'a>) -> Result<T, Damage>,
    ) -> Result<T, Damage> {
        let mut whole = self.reader;
        let value = decode(&mut self.reader)?;
        let bytes = whole.remaining() - self.reader.remaining();
        self.fingerprint.add(whole.bytes(bytes)?);
        Ok(value)
    }

    /// Reads a record that is written in several pieces: `cut` says where they begin.
    #[inline]
    fn pieces<T>(
        &mut self,
        decode: impl FnOnce(&mut Reader<'a>) -> Decoded<T>,
        cut: impl FnOnce(&T, &mut Cutter<'a, '_>) -> Result<(), Damage>,
    ) -> Result<bool, Damage> {
        let mut whole = self.reader;
        let value = decode(&mut self.reader)?;
        let bytes = whole.remaining() - self.reader.remaining();
        let mut cutter = Cutter {
            rest: Reader::new(whole.bytes(bytes)?),
            fingerprint: &mut self.fingerprint,
        };
        if let Some(value) = &value {
            cut(value, &mut cutter)?;
        }
        let rest = cutter.rest.rest();
        if !rest.is_empty() {
            self.fingerprint.add(rest);
        }
        Ok(value.is_some())
    }

    /// Records of one piece each, up to the end that is one, too.
    fn listed<T>(&mut self, decode: impl Fn(&mut Reader<'a>) -> Decoded<T>) -> Result<(), Damage> {
        while self.piece(&decode)?.is_some() {}
        Ok(())
    }

    fn counted<T>(
        &mut self,
        decode: impl Fn(&mut Reader<'a>) -> Result<T, Damage>,
    ) -> Result<(), Damage> {
        for _ in 0..self.piece(decode_count)? {
            self.piece(&decode)?;
        }
        Ok(())
    }

    fn body(&mut self, section: Section) -> Result<(), Damage> {
        let version = section.version();
        match section {
            Section::Sessions => {
                let header = self.piece(|reader| SessionHeader::decode(reader, version))?;
                while self.pieces(
                    |reader| SessionRecord::decode(reader, version, header),
                    |record, cutter| cutter.all_but(record.info.len()),
                )? {}
                Ok(())
            }
            Section::Classes => {
                let header = self.piece(|reader| ClassHeader::decode(reader, version))?;
                self.listed(|reader| ClassRecord::decode(reader, version, header))
            }
            Section::Nodes => {
                let container = proto::image::CONTAINER_2_0;
                self.piece(|reader| NodeHeader::decode(reader, container, version))?;
                while self.pieces(
                    |reader| NodeRecord::decode(reader, version),
                    |record, cutter| match record.body {
                        NodeBody::Symlink(target) => cutter.all_but(target.len()),
                        NodeBody::Data { chunks, .. } => {
                            cutter.all_but(8 * chunks.len())?;
                            cutter.blocks_of(CHUNK_IDS_PIECE)
                        }
                        NodeBody::Plain | NodeBody::Device(_) => Ok(()),
                    },
                )? {}
                Ok(())
            }
            Section::Edges => {
                self.piece(|reader| decode_edge_header(reader, version))?;
                self.listed(|reader| EdgeRecord::decode(reader, version))
            }
            Section::Free => {
                self.piece(decode_count)?;
                for block in self.reader.rest().chunks(FREE_PIECE) {
                    self.fingerprint.add(block);
                }
                Ok(())
            }
            Section::Quotas => self.counted(|reader| QuotaRecord::decode(reader, version)),
            Section::Xattrs => {
                while self.pieces(XattrRecord::decode, |record, cutter| {
                    cutter.all_but(record.name.len() + record.value.len())?;
                    cutter.all_but(record.value.len())
                })? {}
                Ok(())
            }
            Section::Acls => {
                while self.pieces(
                    |reader| AclRecord::decode(reader, version),
                    |record, cutter| {
                        cutter.all_but(6 * record.entries().len())?;
                        cutter.blocks_of(ACL_PIECE)
                    },
                )? {}
                Ok(())
            }
            Section::Open => self.listed(OpenRecord::decode),
            Section::Flocks => self.listed(FlockRecord::decode),
            Section::PosixLocks => self.listed(PosixLockRecord::decode),
            Section::Servers => self.counted(|reader| ServerRecord::decode(reader, version)),
            Section::Chunks => {
                self.piece(|reader| Ok(reader.u64()?))?;
                self.listed(|reader| ChunkEntry::decode(reader, version))
            }
        }
    }
}

/// A record being cut into its pieces.
struct Cutter<'a, 'f> {
    rest: Reader<'a>,
    fingerprint: &'f mut Fingerprint,
}

impl Cutter<'_, '_> {
    /// Everything but the last bytes is one piece.
    fn all_but(&mut self, bytes: usize) -> Result<(), Damage> {
        let length = self.rest.remaining().checked_sub(bytes);
        let piece = self.rest.bytes(length.ok_or(Damage::Truncated)?)?;
        self.fingerprint.add(piece);
        Ok(())
    }

    /// What is left is cut into blocks.
    fn blocks_of(&mut self, bytes: usize) -> Result<(), Damage> {
        for block in self.rest.rest().chunks(bytes) {
            self.fingerprint.add(block);
        }
        Ok(())
    }
}
