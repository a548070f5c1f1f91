//! Real directories.

use super::*;
use crate::datadir::disk::Directory;
use proto::MetaVersion;
use std::fs;

struct Temporary(Directory);

impl Temporary {
    fn new(name: &str) -> Temporary {
        let path = std::env::temp_dir().join(format!("datadir-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).expect("a temporary directory");
        Temporary(Directory(path))
    }

    fn put(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.0.0.join(name), content).expect("a file");
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0.0);
    }
}

fn image(version: u64, id: u64) -> Vec<u8> {
    let mut bytes = ImageHeader::encode(MetaVersion(version), MetaId(id)).to_vec();
    bytes.extend_from_slice(&EOF_MARKER);
    bytes
}

#[test]
fn metadata_files_are_known_by_both_ends() {
    let old = [
        b"MFSM 1.5\0\0\0\xaa\0\0\0\0\0\0\x01\x94\0\0\0\x02".as_slice(),
        &[0; 16],
    ]
    .concat();
    let rows: &[(&str, Vec<u8>, ImageContent)] = &[
        (
            "metadata.mfs",
            image(7, 9),
            ImageContent::Valid {
                version: MetaVersion(7),
                id: MetaId(9),
            },
        ),
        ("metadata.mfs.back", b"MFSM NEW".to_vec(), ImageContent::New),
        (
            "metadata.mfs.back.1",
            image(7, 9)[..39].to_vec(),
            ImageContent::WrongEnding,
        ),
        (
            "metadata.mfs.back.2",
            b"garbage garbage".to_vec(),
            ImageContent::WrongHeader,
        ),
        ("metadata.mfs.back.3", Vec::new(), ImageContent::Empty),
        (
            "metadata.mfs.back.4",
            b"MFSM 2.0".to_vec(),
            ImageContent::WrongEnding,
        ),
        (
            "metadata_ml.mfs",
            old,
            ImageContent::Valid {
                version: MetaVersion(404),
                id: MetaId(0),
            },
        ),
    ];
    let directory = Temporary::new("images");
    for (name, content, _) in rows {
        directory.put(name, content);
    }
    for name in [
        "metadata.mfs.back.tmp",
        "metadata.crc",
        "metadata.mfs.empty",
        "metadata",
        "stats.mfs",
    ] {
        directory.put(name, image(7, 9));
    }
    let listing = scan(&directory.0, &[]).unwrap();
    let got: Vec<_> = listing
        .images
        .into_iter()
        .map(|file| (file.name, file.content))
        .collect();
    let expected: Vec<_> = rows
        .iter()
        .map(|(name, _, content)| ((*name).to_owned(), content.clone()))
        .collect();
    assert_eq!(got, expected);
}

#[test]
fn changelogs_are_known_by_their_first_and_last_whole_lines() {
    let long = format!("5: 1|A()\n6: 1|{}\n", "x".repeat(200_000));
    /// First and last change, bytes of a torn line.
    type Expected = (Option<(u64, u64)>, u64);
    let rows: &[(&str, &str, Expected)] = &[
        (
            "changelog.0.mfs",
            "7: 1|A()\n8: 2|B(x)\n",
            (Some((7, 8)), 0),
        ),
        ("changelog.1.mfs", "7: 1|A()\n8: 2|B(", (Some((7, 7)), 7)),
        ("changelog.2.mfs", "7: 1|A", (None, 6)),
        ("changelog.3.mfs", "", (None, 0)),
        ("changelog.4.mfs", &long, (Some((5, 6)), 0)),
        (
            "changelog_ml.0.mfs",
            "7: 1|A()\n\0\0\0\n",
            (Some((7, 7)), 4),
        ),
        ("changelog_ml_back.12.mfs", "7: 1|A()\n", (Some((7, 7)), 0)),
    ];
    let directory = Temporary::new("changelogs");
    for (name, content, _) in rows {
        directory.put(name, content);
    }
    for name in [
        "changelog.mfs",
        "changelog.x.mfs",
        "changelog.0.mfs.old",
        "changelog.0",
    ] {
        directory.put(name, "1: 1|A()\n");
    }
    let listing = scan(&directory.0, &[]).unwrap();
    let got: Vec<_> = listing
        .changelogs
        .iter()
        .map(|file| {
            (
                file.name.as_str(),
                file.changes,
                file.torn_bytes,
                file.complete_bytes,
            )
        })
        .collect();
    let expected: Vec<_> = rows
        .iter()
        .map(|(name, content, (changes, torn))| {
            (*name, *changes, *torn, content.len() as u64 - torn)
        })
        .collect();
    assert_eq!(got, expected);
}
