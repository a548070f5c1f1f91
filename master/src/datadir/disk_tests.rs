//! Real directories.

use super::super::{BACK, METADATA, Mode, plan};
use super::*;
use proto::MetaVersion;

struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Directory {
        let path = std::env::temp_dir().join(format!("datadir-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).expect("a temporary directory");
        Directory(path)
    }

    fn put(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.0.join(name), content).expect("a file");
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(&self.0)
            .expect("the directory")
            .map(|entry| {
                entry
                    .expect("an entry")
                    .file_name()
                    .into_string()
                    .expect("a name")
            })
            .collect();
        names.sort();
        names
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
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
    let directory = Directory::new("images");
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
            (Some((7, 7)), 0),
        ),
        ("changelog_ml_back.12.mfs", "7: 1|A()\n", (Some((7, 7)), 0)),
    ];
    let directory = Directory::new("changelogs");
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

#[test]
fn a_saved_state_is_the_newest_backup_and_an_error_changes_nothing() {
    let directory = Directory::new("save");
    directory.put(METADATA, image(1, 9));
    directory.put(BACK, image(2, 9));
    let write = |file: &mut File| file.write_all(&image(3, 9));
    save(&directory.0, 1, write).unwrap();
    assert_eq!(
        directory.names(),
        ["metadata.mfs.back", "metadata.mfs.back.1"]
    );
    assert_eq!(fs::read(directory.0.join(BACK)).unwrap(), image(3, 9));

    let fail = |file: &mut File| {
        file.write_all(b"half")?;
        Err::<(), _>(io::Error::other("no space"))
    };
    assert_eq!(
        save(&directory.0, 1, fail).unwrap_err().to_string(),
        "no space"
    );
    assert_eq!(
        directory.names(),
        ["metadata.mfs.back", "metadata.mfs.back.1"]
    );
    assert_eq!(fs::read(directory.0.join(BACK)).unwrap(), image(3, 9));

    execute(&directory.0, &rotation::at_stop()).unwrap();
    assert_eq!(directory.names(), ["metadata.mfs", "metadata.mfs.back.1"]);
}

#[test]
fn a_crashed_directory_is_ready_to_be_continued() {
    let directory = Directory::new("crash");
    directory.put(BACK, image(7, 9));
    directory.put("changelog.0.mfs", "7: 1|A()\n8: 2|B(");
    let recovery = plan(&scan(&directory.0, &[]).unwrap(), Mode::default()).unwrap();
    assert_eq!(
        (recovery.image.as_str(), recovery.expected),
        (BACK, MetaVersion(8))
    );
    execute(&directory.0, &recovery.steps).unwrap();
    assert_eq!(
        fs::read_to_string(directory.0.join("changelog.0.mfs")).unwrap(),
        "7: 1|A()\n"
    );
    // A second look finds nothing to do.
    let again = plan(&scan(&directory.0, &[]).unwrap(), Mode::default()).unwrap();
    assert_eq!((again.expected, again.steps), (MetaVersion(8), vec![]));
}
