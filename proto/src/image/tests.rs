//! Bytes of real files, as the specification prints them.

use super::*;
use crate::{ChunkId, ClassId, Inode, MetaId, MetaVersion, NodeKind, Reader, SessionId};

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text
        .bytes()
        .filter(|byte| !byte.is_ascii_whitespace())
        .map(|byte| (byte as char).to_digit(16).unwrap() as u8)
        .collect();
    digits
        .as_chunks::<2>()
        .0
        .iter()
        .map(|[h, l]| h << 4 | l)
        .collect()
}

fn encoded(encode: impl FnOnce(&mut Pieces)) -> Vec<u8> {
    let mut out = Pieces::default();
    encode(&mut out);
    out.bytes().to_vec()
}

#[test]
fn headers_of_containers() {
    let current = hex("4d46534d20322e30 0000000000000476 6b03b2e1b6b57704");
    let header = ImageHeader::Current {
        container: 0x20,
        version: MetaVersion(1142),
        metaid: MetaId(0x6B03_B2E1_B6B5_7704),
    };
    assert_eq!(
        ImageHeader::decode(&mut Reader::new(&current)),
        Ok(Some(header))
    );
    assert_eq!(
        ImageHeader::encode(MetaVersion(1142), MetaId(0x6B03_B2E1_B6B5_7704))[..],
        current
    );
    let old = hex("4d46534d20312e35 000000aa 0000000000000194 00000002");
    let header = ImageHeader::Old {
        container: 0x15,
        max_inode: 170,
        version: MetaVersion(404),
        next_session: SessionId(2),
    };
    assert_eq!(
        ImageHeader::decode(&mut Reader::new(&old)),
        Ok(Some(header))
    );
    for (bytes, expected) in [
        (&b"MFSM NEW"[..], Ok(Some(ImageHeader::New))),
        (b"MFSM x.0................", Ok(None)),
        (b"MFSS 1.5", Ok(None)),
        (b"MFSM 2.0", Err(Damage::Truncated)),
        (b"MFSM", Err(Damage::Truncated)),
    ] {
        assert_eq!(ImageHeader::decode(&mut Reader::new(bytes)), expected);
    }
}

#[test]
fn headers_of_sections() {
    let bytes = hex("5345535320312e35 0000000000000332");
    let header = SectionHeader {
        name: Section::Sessions.name(),
        version: 0x15,
        length: Some(818),
    };
    assert_eq!(
        SectionHeader::decode(&mut Reader::new(&bytes)),
        Ok(Some(header))
    );
    assert_eq!(header.encode()[..], bytes);
    assert_eq!(header.to_string(), "SESS 1.5");
    // 4.x goes on behind nine.
    let newer = SectionHeader::decode(&mut Reader::new(
        b"SCLA 1.<\xff\xff\xff\xff\xff\xff\xff\xff",
    ));
    assert_eq!(newer.unwrap().unwrap().version, 0x1C);
    assert_eq!(newer.unwrap().unwrap().length, None);
    assert_eq!(
        SectionHeader::decode(&mut Reader::new(&EOF_MARKER)),
        Ok(None)
    );
    assert!(SectionHeader::decode(&mut Reader::new(b"SCLA-1.0........")).is_err());
    for section in Section::ALL {
        assert_eq!(Section::from_name(section.name()), Some(*section));
    }
    assert_eq!(
        Section::from_name(SectionName(*b"LABS")),
        Some(Section::Classes)
    );
    assert_eq!(Section::from_name(SectionName(*b"PATT")), None);
}

#[test]
fn an_inode_as_the_specification_prints_it() {
    let bytes = hex(
        "01 000000e5 0c 00 00 01a4 00000000 00000000 6b03b317 6b03b317 6b03b317 0018
         00000000000007d1 00000001 0000000000000043 00",
    );
    let mut reader = Reader::new(&bytes);
    let record = NodeRecord::decode(&mut reader, 0x14).unwrap().unwrap();
    assert_eq!(record.attributes.kind, NodeKind::File);
    assert_eq!(record.attributes.inode, Inode(229));
    assert_eq!(record.attributes.class, ClassId(12));
    assert_eq!(record.attributes.mode, 0o644);
    assert_eq!(record.attributes.trash_hours, 24);
    let NodeBody::Data { length, chunks, .. } = record.body else {
        panic!("{:?}", record.body);
    };
    assert_eq!((length, chunks.first()), (2001, Some(ChunkId(0x43))));
    assert_eq!(NodeRecord::decode(&mut reader, 0x14), Ok(None));
    let again = encoded(|out| {
        record.encode(out);
        encode_node_end(out);
    });
    assert_eq!(again, bytes);
    for cut in 0..bytes.len() - 1 {
        let result = NodeRecord::decode(&mut Reader::new(&bytes[..cut]), 0x14);
        assert_eq!(result, Err(Damage::Truncated), "{cut}");
    }
}

#[test]
fn an_inode_of_1_6() {
    let bytes = hex("64 00000001 01 41ff 00000000 00000000 6b03af08 6b03af16 6b03af17 00015181");
    let record = NodeRecord::decode(&mut Reader::new(&bytes), 0x10)
        .unwrap()
        .unwrap();
    let attributes = record.attributes;
    assert_eq!(attributes.kind, NodeKind::Directory);
    assert_eq!((attributes.eattr, attributes.mode), (4, 0o777));
    assert_eq!(attributes.ctime, 0x6B03_AF17);
    // 86401 seconds, rounded up.
    assert_eq!(attributes.trash_hours, 25);
    let unknown = NodeRecord::decode(&mut Reader::new(b"x"), 0x10);
    assert_eq!(unknown, Err(Damage::NodeKind(b'x')));
}

#[test]
fn names_as_the_specification_prints_them() {
    let bytes = hex("00000001 0000016c 7ffffffffffffe42 0002 6c6b
         00000000 00000030 7fffffffffffffc9 0008 7479 7065 732f 7232");
    let mut reader = Reader::new(&bytes);
    let mut out = Pieces::default();
    let mut names = Vec::new();
    while let Ok(Some(edge)) = EdgeRecord::decode(&mut reader, 0x11) {
        edge.encode(&mut out);
        names.push((edge.parent, edge.child, edge.name));
    }
    assert_eq!(out.bytes(), bytes);
    assert_eq!(
        names,
        [
            (Inode(1), Inode(364), &b"lk"[..]),
            (Inode(0), Inode(48), b"types/r2")
        ]
    );
}

#[test]
fn a_server_as_the_specification_prints_it() {
    let bytes = hex("ac15154f 24ce 0003 00 00000000");
    let record = ServerRecord::decode(&mut Reader::new(&bytes), 0x13).unwrap();
    assert_eq!(
        (record.ip, record.port, record.csid),
        (0xAC15_154F, 9422, 3)
    );
    assert_eq!(encoded(|out| record.encode(out)), bytes);
}

#[test]
fn the_end_of_chunks_has_no_version() {
    for (bytes, expected) in [
        ([0; 17], Ok(None)),
        (
            [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0],
            Err(Damage::Invalid("chunk 0 with a version or a lock")),
        ),
    ] {
        assert_eq!(ChunkEntry::decode(&mut Reader::new(&bytes), 0x11), expected);
    }
}

#[test]
fn the_fingerprint_is_the_xor_of_the_pieces() {
    let mut out = Pieces::default();
    out.piece(|out| out.extend_from_slice(&EOF_MARKER));
    assert_eq!(out.take_fingerprint(), Fingerprint(0xC58E_BFF5));
    out.piece(|out| out.push(1));
    out.piece(|out| out.push(1));
    assert_eq!(out.take_fingerprint(), Fingerprint(0));
}

#[test]
fn sessions_of_1_6_lie_in_their_own_file() {
    let mut bytes = hex("4d46535320 010604 0010
         00000006 00000002 ac151549 00000000 00 01 09 00000000 ffffffff
         00000001 00000002 00000003 00000004");
    bytes.extend_from_slice(&[0; 128]);
    bytes.extend_from_slice(b"/m");
    let mut file = SessionsFile::open(&bytes).unwrap().unwrap();
    let session = file.next_session().unwrap().unwrap();
    assert_eq!((session.session, session.info), (SessionId(6), &b"/m"[..]));
    assert_eq!((session.max_goal, session.map_all_gid), (9, 4));
    assert_eq!(file.next_session(), Ok(None));
    assert!(SessionsFile::open(b"MFSS 2.0").unwrap().is_none());
}
