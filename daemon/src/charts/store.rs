//! The charts file on disk: read at the start, written every hour and at the end.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::Path;

use super::{Charts, Definition, LocalTime};

/// Charts from a file. A daemon starts whatever is wrong with it, with empty charts and a line in
/// the log.
pub fn load(definition: &'static Definition, path: &Path, now: LocalTime) -> Charts {
    match fs::read(path) {
        Ok(file) => match Charts::load(definition, &file, now) {
            Ok(charts) => {
                tracing::info!("stats file has been loaded");
                return charts;
            }
            Err(error) => {
                tracing::warn!("{}: {error} - initializing empty charts", path.display());
            }
        },
        Err(error) if error.kind() == ErrorKind::NotFound => {
            tracing::info!("no charts data file - initializing empty charts");
        }
        Err(error) => {
            tracing::warn!(
                "{}: can't read charts: {error} - initializing empty charts",
                path.display()
            );
        }
    }
    Charts::new(definition, now)
}

/// Writes the content of a charts file ([`Charts::to_file`], about 5 MB) beside `path` and puts it
/// in place, so that a crash leaves the old file or the new one.
pub fn save(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".tmp");
    let written = File::create(&beside).and_then(|mut file| file.write_all(content));
    written
        .and_then(|()| fs::rename(&beside, path))
        .inspect_err(|_| {
            // The error that is reported is the one above.
            let _ = fs::remove_file(&beside);
        })
}

#[cfg(test)]
mod tests {
    use super::{load, save};
    use crate::charts::{Charts, LocalTime, MASTER};

    #[test]
    fn a_file_is_replaced_and_a_bad_one_means_empty_charts() {
        let folder = std::env::temp_dir().join(format!("charts-store-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("stats.mfs");
        let now = LocalTime(1_795_536_000);
        let empty = Charts::new(&MASTER, now).to_file();
        assert!(load(&MASTER, &path, now).to_file() == empty, "no file");

        let mut charts = Charts::new(&MASTER, now);
        charts.record(now, &vec![7; MASTER.series.len()]);
        save(&path, b"stale").unwrap();
        assert!(load(&MASTER, &path, now).to_file() == empty, "bad file");
        save(&path, &charts.to_file()).unwrap();
        assert_eq!(load(&MASTER, &path, now).to_file(), charts.to_file());
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1);

        assert!(save(&folder.join("missing/stats.mfs"), b"").is_err());
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
