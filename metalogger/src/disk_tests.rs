//! The directory after each work.

use super::{Disk, changelog};
use crate::effect::{Action, Outcome};
use crate::follower::Remembered;
use metadata::ends::ImageEnds;
use proto::image::{EOF_MARKER, ImageHeader, Section, SectionHeader};
use proto::metalogger::DownloadFile;
use proto::{MetaId, MetaVersion};
use std::path::PathBuf;

/// A directory that is removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("metalogger-{name}-{}", std::process::id()));
        drop(std::fs::remove_dir_all(&path));
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    fn open(&self) -> (Disk, Remembered) {
        Disk::open(&self.0, 5, 2).unwrap()
    }

    fn put(&self, name: &str, text: impl AsRef<[u8]>) {
        std::fs::write(self.0.join(name), text).unwrap();
    }

    fn text(&self, name: &str) -> String {
        String::from_utf8_lossy(&std::fs::read(self.0.join(name)).unwrap()).into_owned()
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(&self.0)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

fn line(disk: &mut Disk, version: u64) {
    let text = b"5|IDLE()".to_vec();
    let version = MetaVersion(version);
    disk.execute(Action::Line { version, text }).unwrap();
}

fn image(version: u64) -> Vec<u8> {
    let section = SectionHeader {
        name: Section::Quotas.name(),
        version: 0x11,
        length: Some(4),
    };
    [
        &ImageHeader::encode(MetaVersion(version), MetaId(9))[..],
        &section.encode(),
        &[0; 4],
        &EOF_MARKER,
    ]
    .concat()
}

/// Downloads a file in two blocks.
fn download(disk: &mut Disk, file: DownloadFile, bytes: &[u8]) -> Outcome {
    let (one, two) = bytes.split_at(bytes.len() / 2);
    let blocks = [(0, one), (one.len(), two)].map(|(offset, bytes)| Action::Block {
        offset: offset as u64,
        bytes: bytes.to_vec(),
    });
    for action in [Action::Begin(file)].into_iter().chain(blocks) {
        assert_eq!(disk.execute(action).unwrap(), Some(Outcome::Ready));
    }
    disk.execute(Action::Finish(file)).unwrap().unwrap()
}

#[test]
fn lines_are_appended_and_rotation_moves_them_back() {
    let folder = Folder::new("lines");
    let (mut disk, remembered) = folder.open();
    assert_eq!(remembered, Remembered::default());
    for version in 8..16 {
        line(&mut disk, version);
        disk.execute(Action::Rotate).unwrap();
    }
    line(&mut disk, 16);
    disk.execute(Action::Flush).unwrap();
    let all: Vec<String> = (0..6).map(changelog).collect();
    assert_eq!(folder.names(), all);
    assert_eq!(folder.text("changelog_ml.0.mfs"), "16: 5|IDLE()\n");
    assert_eq!(folder.text("changelog_ml.5.mfs"), "11: 5|IDLE()\n");
    let (mut disk, remembered) = folder.open();
    assert_eq!(remembered.last, Some(MetaVersion(16)));
    line(&mut disk, 17);
    disk.execute(Action::Flush).unwrap();
    assert_eq!(
        folder.text("changelog_ml.0.mfs"),
        "16: 5|IDLE()\n17: 5|IDLE()\n"
    );
}

#[test]
fn a_torn_line_is_cut_before_anything_is_appended() {
    let folder = Folder::new("torn");
    folder.put("changelog_ml.1.mfs", "3: a\n4: b\n");
    folder.put("changelog_ml.0.mfs", "5: c\n6: d");
    assert_eq!(folder.open().1.last, Some(MetaVersion(5)));
    assert_eq!(folder.text("changelog_ml.0.mfs"), "5: c\n");
    folder.put("changelog_ml.0.mfs", "5: ");
    assert_eq!(folder.open().1.last, Some(MetaVersion(4)));
}

#[test]
fn only_whole_images_take_their_place() {
    let folder = Folder::new("images");
    let (mut disk, _) = folder.open();
    for version in 1..5 {
        let outcome = download(&mut disk, DownloadFile::Metadata, &image(version));
        let ends = ImageEnds::Whole {
            version: MetaVersion(version),
            id: MetaId(9),
            is_old: false,
        };
        assert_eq!(outcome, Outcome::Image(ends));
    }
    let kept = [
        "metadata_ml.mfs.back",
        "metadata_ml.mfs.back.1",
        "metadata_ml.mfs.back.2",
    ];
    assert_eq!(folder.names(), kept);
    for (bytes, expected) in [
        (image(9)[..40].to_vec(), "truncated"),
        (b"something else entirely".to_vec(), "bad metadata file"),
        (Vec::new(), "empty"),
        // The ends are good, the length of the section is not.
        ([&image(9)[..24], &image(9)].concat(), "no section at"),
        ([&image(9)[..40], &image(9)[24..]].concat(), "no section"),
    ] {
        let Outcome::BadImage(defect) = download(&mut disk, DownloadFile::Metadata, &bytes) else {
            panic!("{expected}: taken");
        };
        assert!(defect.contains(expected), "{defect}");
    }
    let new = download(&mut disk, DownloadFile::Metadata, b"MFSM NEW");
    assert_eq!(new, Outcome::Image(ImageEnds::New));
    assert_eq!(folder.names(), kept);
    assert_eq!(folder.open().1.id, MetaId(9));
}

#[test]
fn the_other_downloads_have_their_names() {
    let folder = Folder::new("others");
    let (mut disk, _) = folder.open();
    let changes = Some((MetaVersion(3), MetaVersion(4)));
    assert_eq!(
        download(&mut disk, DownloadFile::Changelog0, b"3: x\n4: y\n"),
        Outcome::Changelog(changes)
    );
    download(&mut disk, DownloadFile::Changelog1, b"1: x\n2: y\n");
    download(&mut disk, DownloadFile::Sessions, b"MFSS 1.5");
    disk.execute(Action::Begin(DownloadFile::Metadata)).unwrap();
    disk.execute(Action::Abandon).unwrap();
    let names = [
        "changelog_ml_back.0.mfs",
        "changelog_ml_back.1.mfs",
        "sessions_ml.mfs",
    ];
    assert_eq!(folder.names(), names);
    disk.execute(Action::PutAside).unwrap();
    assert_eq!(folder.names(), names.map(|name| format!("aside.{name}")));
}
