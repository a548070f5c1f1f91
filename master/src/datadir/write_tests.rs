//! Real directories.

use super::*;
use crate::datadir::disk::Directory;
use crate::datadir::look::scan;
use crate::datadir::{BACK, METADATA, Mode, plan};
use proto::image::{EOF_MARKER, ImageHeader};
use proto::{MetaId, MetaVersion};
use std::fs::{self, File};
use std::io::Write as _;

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

    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(&self.0.0)
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
fn a_saved_state_is_the_newest_backup_and_an_error_changes_nothing() {
    let directory = Temporary::new("save");
    directory.put(METADATA, image(1, 9));
    directory.put(BACK, image(2, 9));
    let write = |mut file: SteadyFile<'_, File>| file.write_all(&image(3, 9));
    save(&directory.0, 1, write).unwrap();
    assert_eq!(
        directory.names(),
        ["metadata.mfs.back", "metadata.mfs.back.1"]
    );
    assert_eq!(fs::read(directory.0.0.join(BACK)).unwrap(), image(3, 9));

    let fail = |mut file: SteadyFile<'_, File>| {
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
    assert_eq!(fs::read(directory.0.0.join(BACK)).unwrap(), image(3, 9));

    execute(&directory.0, &rotation::at_stop()).unwrap();
    assert_eq!(directory.names(), ["metadata.mfs", "metadata.mfs.back.1"]);
}

#[test]
fn a_crashed_directory_is_ready_to_be_continued() {
    let directory = Temporary::new("crash");
    directory.put(BACK, image(7, 9));
    directory.put("changelog.0.mfs", "7: 1|A()\n8: 2|B(");
    let recovery = plan(&scan(&directory.0, &[]).unwrap(), Mode::default()).unwrap();
    assert_eq!(
        (recovery.image.as_str(), recovery.expected),
        (BACK, MetaVersion(8))
    );
    execute(&directory.0, &recovery.steps).unwrap();
    assert_eq!(
        fs::read_to_string(directory.0.0.join("changelog.0.mfs")).unwrap(),
        "7: 1|A()\n"
    );
    // A second look finds nothing to do.
    let again = plan(&scan(&directory.0, &[]).unwrap(), Mode::default()).unwrap();
    assert_eq!((again.expected, again.steps), (MetaVersion(8), vec![]));
}
