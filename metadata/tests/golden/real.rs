//! Our files read by the programs of 3.0.117, where they are installed. They touch nothing but a
//! directory of their own; `mfsmaster restore` opens no socket.

use super::archive::Archive;
use super::image::{Compare, Image, assert_same, differences};
use super::{BEFORE_ALL_LOCKS, LATER, LoadOptions, at_random, loaded, saved};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A directory that vanishes with the value.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Scratch {
        let path = std::env::temp_dir().join(format!("{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Scratch(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// `None` when the program is not installed.
fn run(program: &str, arguments: &[&Path]) -> Option<Output> {
    match Command::new(program).args(arguments).output() {
        Ok(output) => Some(output),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            eprintln!("skipped: {program} of MooseFS 3.0.117 is not installed");
            None
        }
        Err(error) => panic!("{program}: {error}"),
    }
}

/// The lines of a dump, without those whose order or sum depends on the order of records.
fn dump(file: &Path) -> Option<Vec<Vec<u8>>> {
    let output = run("mfsmetadump", &[file])?;
    assert!(output.status.success(), "{output:?}");
    assert!(output.stderr.is_empty(), "{output:?}");
    let mut lines: Vec<_> = output
        .stdout
        .split(|byte| *byte == b'\n')
        .map(<[u8]>::to_vec)
        .collect();
    lines.sort();
    Some(lines)
}

#[test]
fn mfsmetadump_shows_our_files_like_those_of_the_real_master() {
    let scratch = Scratch::new("metadata-dump");
    let archive = Archive::open("3.0.117");
    for phase in archive.phases() {
        let data = phase.file("before.mfs");
        if phase.name == "01-init" || Image::read(data).drop_unknown_sessions() > 0 {
            continue;
        }
        let loaded = loaded(phase.name, data, &LoadOptions::default());
        let (ours, theirs) = (scratch.0.join("ours.mfs"), scratch.0.join("theirs.mfs"));
        std::fs::write(&ours, saved(&loaded.namespace, BEFORE_ALL_LOCKS)).unwrap();
        std::fs::write(&theirs, data).unwrap();
        let (Some(ours), Some(theirs)) = (dump(&ours), dump(&theirs)) else {
            return;
        };
        let only: Vec<_> = ours.iter().filter(|line| !theirs.contains(line)).collect();
        assert!(
            only.is_empty(),
            "{}: {:?}",
            phase.name,
            String::from_utf8_lossy(only[0])
        );
        assert_eq!(ours.len(), theirs.len(), "{}", phase.name);
    }
}

#[test]
fn the_real_master_loads_our_files_and_stores_the_same() {
    let archive = Archive::open("3.0.117");
    for name in [
        "10-locks-end",
        "13-failures",
        "25-archive-immutable-noreplay",
    ] {
        let scratch = Scratch::new(&format!("metadata-restore-{name}"));
        let data = archive.phase(name).file("before.mfs");
        let loaded = loaded(name, data, &LoadOptions::default());
        let file = saved(&loaded.namespace, BEFORE_ALL_LOCKS);
        let configuration = scratch.0.join("mfsmaster.cfg");
        let text = format!(
            "DATA_PATH = {}\nWORKING_USER = root\nWORKING_GROUP = root\nEXPORTS_FILENAME = /dev/null\n",
            scratch.0.display()
        );
        std::fs::write(&configuration, text).unwrap();
        std::fs::write(scratch.0.join("metadata.mfs.back"), &file).unwrap();
        let restore = [Path::new("-c"), &configuration, Path::new("restore")];
        let Some(output) = run("mfsmaster", &restore) else {
            return;
        };
        let said =
            String::from_utf8_lossy(&output.stderr) + String::from_utf8_lossy(&output.stdout);
        if said.contains("Permission denied") || said.contains("can't set") {
            eprintln!("skipped: mfsmaster needs to be root");
            return;
        }
        assert!(output.status.success(), "{name}: {said}");
        assert!(
            !said.contains("error") && !said.contains("!!!"),
            "{name}: {said}"
        );
        let theirs = std::fs::read(scratch.0.join("metadata.mfs")).unwrap();
        assert_same(
            name,
            &Image::read(&file),
            &Image::read(&theirs),
            Compare::Replayable,
        );
    }
}

/// What this project writes into changelogs is what the real master can replay.
#[test]
#[ignore = "some seconds; needs mfsmaster 3.0.117 and root"]
fn mfsmaster_replays_lines_of_random_operations() {
    let scratch = Scratch::new("metadata-lines");
    let archive = Archive::open("3.0.117");
    let before = archive.phase("10-locks-end").file("after.mfs");
    let path = |name: &str| scratch.0.join(name);
    let settings = format!(
        "WORKING_USER = root\nWORKING_GROUP = root\nDATA_PATH = {0}\n\
         EXPORTS_FILENAME = {0}/exports.cfg\n",
        scratch.0.display()
    );
    std::fs::write(path("mfsmaster.cfg"), settings).unwrap();
    std::fs::write(path("exports.cfg"), "* / rw\n").unwrap();
    for seed in 1..21 {
        let world = at_random(before, seed, 3000);
        std::fs::write(path("metadata.mfs.back"), before).unwrap();
        std::fs::write(path("changelog.0.mfs"), world.out.lines.bytes()).unwrap();
        std::fs::write("/tmp/m3lab/k/changelog.0.mfs", world.out.lines.bytes()).unwrap();
        let configuration = path("mfsmaster.cfg");
        let arguments = [Path::new("-c"), &configuration, Path::new("restore")];
        let Some(output) = run("mfsmaster", &arguments) else {
            return;
        };
        let messages = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "seed {seed}: {messages}");
        let restored = std::fs::read(path("metadata.mfs")).unwrap();
        let ours = saved(&world.ns, LATER);
        let (ours, restored) = (Image::read(&ours), Image::read(&restored));
        let report = differences(&ours, &restored, Compare::Replayable, |_| false);
        assert!(
            report.is_empty(),
            "seed {seed}: + ours, - restored\n{report}"
        );
        std::fs::remove_file(path("metadata.mfs")).unwrap();
    }
}
