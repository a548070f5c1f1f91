//! mfsmetarestore on what real masters of several versions left; the real master's restore and the
//! real mfsmetadump are the referees.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../../metadata/tests/golden/archive.rs"]
#[expect(dead_code, reason = "the other tests of the archive use more of it")]
mod archive;

use anyhow::{Context, Result, ensure};
use archive::{Archive, Phase};
use lab::{Output, Program, run};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A directory that is removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("restore-{name}-{}", std::process::id()));
        drop(fs::remove_dir_all(&path));
        fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    fn put(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, bytes).unwrap();
        path
    }

    /// The image and the changelogs of a phase, as a killed master leaves them.
    fn put_phase(&self, phase: Phase<'_>) {
        self.put("metadata.mfs.back", phase.file("before.mfs"));
        if let Some(sessions) = phase.get("sessions.before.mfs") {
            self.put("sessions.mfs", sessions);
        }
        for number in 0..10 {
            let name = format!("changelog.{number}.mfs");
            if let Some(bytes) = phase.get(&name) {
                self.put(&name, bytes);
            }
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

fn mfsmetarestore(words: &str, folder: &Folder) -> Result<Output> {
    run(Command::new(lab::program(&Program::Ours, "mfsmetarestore"))
        .args(words.split_whitespace())
        .current_dir(&folder.0))
}

fn real_restore(folder: &Folder) -> Result<Output> {
    let cfg = folder.put(
        "restore.cfg",
        format!(
            "WORKING_USER = root\nWORKING_GROUP = root\nDATA_PATH = {0}\nEXPORTS_FILENAME = {0}/exports\n",
            folder.0.display()
        )
        .as_bytes(),
    );
    folder.put("exports", b"* / rw\n");
    run(Command::new("/usr/sbin/mfsmaster")
        .arg("-c")
        .arg(cfg)
        .args(["-a", "restore"]))
}

/// The records that the real mfsmetadump shows, in an order of their own, without what no changelog
/// carries: counters and times of sessions, locks of chunks.
fn records(image: &Path) -> Result<Vec<String>> {
    let text = run(Command::new("/usr/sbin/mfsmetadump").arg(image))?.success()?;
    let mut records: Vec<String> = text
        .lines()
        .filter(|line| !line.starts_with('#') || line.starts_with("# version"))
        .map(|line| {
            let is_noise = |field: &&str| match line.split('|').next() {
                Some("SESSION") => ["d:", "c:", "l:"]
                    .iter()
                    .any(|start| field.starts_with(start)),
                Some("CHUNK") => field.starts_with("t:"),
                _ => false,
            };
            let fields: Vec<&str> = line.split('|').filter(|field| !is_noise(field)).collect();
            fields.join("|")
        })
        .collect();
    records.sort();
    Ok(records)
}

fn assert_same_records(what: &str, ours: &[String], theirs: &[String]) -> Result<()> {
    let only = |these: &[String], those: &[String], sign: &str| -> Vec<String> {
        these
            .iter()
            .filter(|line| those.binary_search(line).is_err())
            .take(5)
            .map(|line| format!("{sign} {}", line.chars().take(300).collect::<String>()))
            .collect()
    };
    let mut differences = only(ours, theirs, "+");
    differences.extend(only(theirs, ours, "-"));
    ensure!(
        differences.is_empty() && ours.len() == theirs.len(),
        "{what}: + ours, - theirs\n{}",
        differences.join("\n")
    );
    Ok(())
}

#[test]
fn what_the_real_master_restores_is_restored_alike() -> Result<()> {
    if !lab::ready() {
        return Ok(());
    }
    let archive = Archive::open("3.0.117");
    let mut compared = 0;
    for phase in archive.phases() {
        let name = phase.name;
        let (ours, theirs) = (Folder::new("ours"), Folder::new("theirs"));
        ours.put_phase(phase);
        theirs.put_phase(phase);
        let result = mfsmetarestore("-a -d .", &ours)?;
        ensure!(result.code == 0, "{name}: {}", result.stderr);
        let real = real_restore(&theirs)?;
        // Lines at which the real restore stops are replayed here.
        ensure!(
            (real.code == 0) != name.contains("noreplay"),
            "{name}: {}",
            real.stderr
        );
        if real.code != 0 || name == "01-init" {
            continue;
        }
        let ours = records(&ours.0.join("metadata.mfs"))?;
        assert_same_records(name, &ours, &records(&theirs.0.join("metadata.mfs"))?)?;
        compared += 1;
    }
    ensure!(compared > 15, "only {compared} phases");
    Ok(())
}

#[test]
fn what_the_tool_of_1_6_restored_is_restored_alike() -> Result<()> {
    if !lab::ready() {
        return Ok(());
    }
    let archive = Archive::open("1.6.27");
    let mut compared = 0;
    for phase in archive.phases() {
        let name = phase.name;
        if matches!(name, "01-init" | "10-upgrade-to-3.0.117") {
            continue;
        }
        let folder = Folder::new("1.6");
        folder.put_phase(phase);
        let restored = phase.get("restored.mfs").unwrap_or(phase.file("after.mfs"));
        folder.put("theirs.mfs", restored);
        mfsmetarestore("-m metadata.mfs.back -o ours.3 -x changelog.1.mfs", &folder)?
            .success()
            .context(name.to_owned())?;
        mfsmetarestore("-m theirs.mfs -o theirs.3", &folder)?.success()?;
        let tree = |name: &str| -> Result<Vec<String>> {
            let mut records = records(&folder.0.join(name))?;
            let kinds = ["NODE|", "EDGE|", "CHUNK|", "FREE|", "# version"];
            records.retain(|line| kinds.iter().any(|kind| line.starts_with(kind)));
            Ok(records)
        };
        assert_same_records(name, &tree("ours.3")?, &tree("theirs.3")?)?;
        compared += 1;
    }
    ensure!(compared == 8, "only {compared} phases");
    Ok(())
}

/// The lines of a phase dealt to the files of three metaloggers: each has holes, torn ends and lines
/// that others have, too.
fn deal(lines: &[&[u8]]) -> [Vec<u8>; 3] {
    let mut files = [Vec::new(), Vec::new(), Vec::new()];
    for (index, line) in lines.iter().enumerate() {
        for (number, file) in files.iter_mut().enumerate() {
            if index / 7 % 3 == number || index / 11 % 3 == number {
                file.extend_from_slice(line);
                file.push(b'\n');
            }
        }
    }
    files[0].extend_from_slice(b"99999: 179");
    files
}

#[test]
fn files_of_several_metaloggers_make_one_history() -> Result<()> {
    if !lab::ready() {
        return Ok(());
    }
    let archive = Archive::open("3.0.117");
    let phase = archive.phase("09-locks");
    let folder = Folder::new("merge");
    folder.put_phase(phase);
    let lines = phase.lines();
    let [one, two, three] = deal(&lines);
    for (name, bytes) in [("a.mfs", &one), ("b.mfs", &two), ("c.mfs", &three)] {
        folder.put(name, bytes);
    }
    let whole =
        mfsmetarestore("--digest -m metadata.mfs.back changelog.0.mfs", &folder)?.success()?;
    ensure!(whole.contains(" version 1142"), "{whole}");
    let merged = mfsmetarestore("--digest -m metadata.mfs.back c.mfs a.mfs b.mfs", &folder)?;
    ensure!(merged.stdout == whole, "{merged:?}");
    ensure!(
        merged.stderr.contains("a.mfs: torn line"),
        "{}",
        merged.stderr
    );

    // Without the second one the first hole is named, and nothing is stored; -b stores up to it.
    let hole = mfsmetarestore("-m metadata.mfs.back -o out.mfs a.mfs c.mfs", &folder)?;
    ensure!(
        hole.code == 1 && hole.stderr.contains("hole in change files"),
        "{hole:?}"
    );
    ensure!(!folder.0.join("out.mfs").exists());
    let best = mfsmetarestore("-b -m metadata.mfs.back -o out.mfs a.mfs c.mfs", &folder)?;
    ensure!(
        best.code == 0 && folder.0.join("out.mfs").exists(),
        "{best:?}"
    );

    // Without -o the image is shown as mfsmetadump shows it.
    let shown = mfsmetarestore("-m metadata.mfs.back", &folder)?.success()?;
    let real = run(Command::new("/usr/sbin/mfsmetadump").arg(folder.0.join("metadata.mfs.back")))?;
    ensure!(shown == real.success()?, "{shown}");

    // One that tells another history is named.
    let changed = String::from_utf8(two.clone())?.replace("UNLOCK(", "UNLOCK(1");
    let changed = match changed.as_bytes() == two {
        true => String::from_utf8(two)?.replacen("17954", "17953", 1),
        false => changed,
    };
    folder.put("b.mfs", changed.as_bytes());
    let other = mfsmetarestore("-m metadata.mfs.back -o x.mfs a.mfs b.mfs c.mfs", &folder)?;
    ensure!(
        other.code == 1 && other.stderr.contains("different changes"),
        "{other:?}"
    );
    ensure!(!folder.0.join("x.mfs").exists());
    Ok(())
}

#[test]
fn a_data_directory_is_restored_or_left_alone() -> Result<()> {
    if !lab::ready() {
        return Ok(());
    }
    let archive = Archive::open("3.0.117");
    let phase = archive.phase("03-data");
    type Prepare = fn(&Folder);
    let cases: [(&str, Prepare, i32, &str); 5] = [
        (
            "no image",
            |folder| fs::remove_file(folder.0.join("metadata.mfs.back")).unwrap(),
            1,
            "can't find backed up metadata file !!!",
        ),
        (
            "no changelog",
            |folder| fs::remove_file(folder.0.join("changelog.0.mfs")).unwrap(),
            1,
            "changelog files not found",
        ),
        (
            "of a metalogger",
            |folder| {
                for (from, to) in [
                    ("metadata.mfs.back", "metadata_ml.mfs.back"),
                    ("changelog.0.mfs", "changelog_ml.0.mfs"),
                ] {
                    fs::rename(folder.0.join(from), folder.0.join(to)).unwrap();
                }
            },
            0,
            "file 'metadata.mfs.back' not found - will try 'metadata_ml.mfs.back' instead",
        ),
        (
            "as it is",
            |_| {},
            0,
            "store metadata into file: ./metadata.mfs",
        ),
        (
            "torn image",
            |folder| {
                let path = folder.0.join("metadata.mfs.back");
                let bytes = fs::read(&path).unwrap();
                fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
            },
            1,
            "metadata.mfs.back has wrong ending",
        ),
    ];
    for (name, prepare, code, message) in cases {
        let folder = Folder::new("auto");
        folder.put_phase(phase);
        prepare(&folder);
        let result = mfsmetarestore("-a -d .", &folder)?;
        ensure!(result.code == code, "{name}: {result:?}");
        ensure!(result.stderr.contains(message), "{name}: {}", result.stderr);
        ensure!(
            folder.0.join("metadata.mfs").exists() == (code == 0),
            "{name}"
        );
    }
    Ok(())
}
