//! Against what real masters wrote (metadata-and-changelog §6).

#![expect(clippy::unwrap_used, reason = "helpers of a test fail by panicking")]

mod archive;
mod image;

use archive::Archive;
use image::{Compare, Image, assert_same};
use metadata::Namespace;
use metadata::image::{LoadOptions, Loaded, load, save, save_stream};
use std::io::Cursor;

#[test]
fn changelog_lines_come_back_byte_for_byte() {
    let mut lines = 0;
    let archives = [Archive::open("3.0.117"), Archive::open("1.6.27")];
    for (path, line) in archives[0]
        .lines()
        .chain(archives[1].lines().filter(|(path, _)| path.contains("10-")))
    {
        let parsed = proto::changelog::parse(line)
            .unwrap_or_else(|error| panic!("{path}: {error}: {}", line.escape_ascii()));
        let mut again = format!("{}: ", parsed.version.unwrap()).into_bytes();
        parsed.entry.write(parsed.timestamp, &mut again);
        assert_eq!(
            again.escape_ascii().to_string(),
            line.escape_ascii().to_string(),
            "{path}"
        );
        lines += 1;
    }
    assert!(lines > 1700, "{lines}");
}

#[test]
fn images_come_back_byte_for_byte_with_their_checksums() {
    for (version, images) in [("3.0.117", 66), ("1.6.27", 2)] {
        let archive = Archive::open(version);
        let mut count = 0;
        for (path, data) in archive.images() {
            if !data.starts_with(b"MFSM 2.0") {
                continue;
            }
            let (file, crc) = Image::read(data).write();
            assert!(file == data, "{path}");
            if let Some(phase) = path.strip_suffix("/after.mfs") {
                assert_eq!(archive.phase(phase).file("after.crc"), crc, "{path}");
            }
            count += 1;
        }
        assert!(count >= images, "{version}: {count}");
    }
}

#[test]
fn images_of_1_6_are_read_completely() {
    for (path, data) in Archive::open("1.6.27").images() {
        let image = Image::read(data);
        assert!(!image.nodes.is_empty(), "{path}");
        assert_same(path, &image, &image, Compare::All);
    }
}

#[track_caller]
fn loaded(path: &str, data: &[u8], options: &LoadOptions<'_>) -> Loaded {
    load(data, options).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn saved(namespace: &Namespace, now: u32) -> Vec<u8> {
    let mut file = Cursor::new(Vec::new());
    let saved = save(&namespace.freeze(), now, &mut file).unwrap();
    let file = file.into_inner();
    assert_eq!(saved.bytes, file.len() as u64);
    assert_eq!(saved.fingerprints, namespace.fingerprints(now));
    file
}

/// Locks of chunks that were stored hold when it is no later than this.
const BEFORE_ALL_LOCKS: u32 = 0;

#[test]
fn images_of_3_0_are_the_same_when_loaded_and_saved() {
    let archive = Archive::open("3.0.117");
    for (path, data) in archive.images() {
        let loaded = loaded(path, data, &LoadOptions::default());
        assert_eq!(loaded.repairs, [], "{path}");
        assert!(!loaded.must_renumerate && !loaded.is_old, "{path}");
        let file = saved(&loaded.namespace, BEFORE_ALL_LOCKS);
        let mut expected = Image::read(data);
        let dropped = expected.drop_unknown_sessions();
        assert_same(path, &Image::read(&file), &expected, Compare::All);
        assert_eq!(file.len() + 8 * dropped, data.len(), "{path}");
        if let Some(phase) = path.strip_suffix("/after.mfs") {
            let ours = loaded.namespace.fingerprints(BEFORE_ALL_LOCKS);
            let theirs = archive.phase(phase).file("after.crc");
            for (record, (name, value)) in theirs.chunks(8).zip(ours.iter()) {
                let is_same = record == [name.0, value.0.to_be_bytes()].concat();
                assert!(
                    is_same || dropped > 0 && name.0 == *b"OPEN",
                    "{path}: {name}"
                );
            }
            assert_eq!(ours.to_bytes().len(), theirs.len());
        }
        let mut stream = Vec::new();
        save_stream(&loaded.namespace.freeze(), BEFORE_ALL_LOCKS, &mut stream).unwrap();
        let again = load(&stream, &LoadOptions::default()).unwrap();
        let again = saved(&again.namespace, BEFORE_ALL_LOCKS);
        assert_same(
            path,
            &Image::read(&again),
            &Image::read(&file),
            Compare::All,
        );
    }
}
