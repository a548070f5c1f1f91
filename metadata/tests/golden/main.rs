//! Against what real masters wrote (metadata-and-changelog §6).

mod archive;
mod image;

use archive::Archive;
use image::{Compare, Image, assert_same};

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
                let phases = archive.phases();
                let phase = phases.iter().find(|each| each.name == phase).unwrap();
                assert_eq!(phase.file("after.crc"), crc, "{path}");
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
