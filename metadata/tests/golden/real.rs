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

/// Gives a file, and a session file beside it, to `mfsmaster restore` of 3.0.117: what it stores.
/// `None` where that program cannot run. It may not complain.
fn stored_by_the_real_master(what: &str, file: &[u8], sessions: Option<&[u8]>) -> Option<Vec<u8>> {
    let scratch = Scratch::new(&format!("metadata-restore-{}", what.replace('/', "-")));
    let path = |name: &str| scratch.0.join(name);
    let settings = format!(
        "DATA_PATH = {}\nWORKING_USER = root\nWORKING_GROUP = root\nEXPORTS_FILENAME = /dev/null\n",
        scratch.0.display()
    );
    std::fs::write(path("mfsmaster.cfg"), settings).unwrap();
    std::fs::write(path("metadata.mfs.back"), file).unwrap();
    if let Some(sessions) = sessions {
        std::fs::write(path("sessions.mfs"), sessions).unwrap();
    }
    let configuration = path("mfsmaster.cfg");
    let restore = [Path::new("-c"), &configuration, Path::new("restore")];
    let output = run("mfsmaster", &restore)?;
    let said = String::from_utf8_lossy(&output.stderr) + String::from_utf8_lossy(&output.stdout);
    if said.contains("Permission denied") || said.contains("can't set") {
        eprintln!("skipped: mfsmaster needs to be root");
        return None;
    }
    assert!(output.status.success(), "{what}: {said}");
    for complaint in ["error", "!!!", "orphan", "unknown", "ignor", "too long"] {
        // A path of 1.6 that is too long is cut, here as there.
        let is_expected = complaint == "error" && said.contains("name too long");
        let complains = said.contains(complaint) && !(sessions.is_some() && is_expected);
        assert!(!complains || complaint == "too long", "{what}: {said}");
    }
    Some(std::fs::read(path("metadata.mfs")).unwrap())
}

/// Lines of the dump of a file, without what depends on the clock: times of disconnection, and locks
/// of chunks that are over.
fn dump_without_clock(scratch: &Scratch, file: &[u8]) -> Option<Vec<String>> {
    let path = scratch.0.join("dumped.mfs");
    std::fs::write(&path, file).unwrap();
    let lines = dump(&path)?.into_iter().map(|line| {
        let text = line.escape_ascii().to_string();
        let field = if text.starts_with("SESSION|") {
            "|d:"
        } else if text.starts_with("CHUNK|") {
            "|t:"
        } else {
            return text;
        };
        let Some((before, after)) = text.split_once(field) else {
            return text;
        };
        let rest = after.split_once('|').map_or("", |(_, rest)| rest);
        format!("{before}|{rest}")
    });
    Some(lines.collect())
}

/// Both files have the same text. Lines of many names are long: the first difference will do.
#[track_caller]
fn assert_same_dump(what: &str, ours: &[u8], theirs: &[u8]) {
    let scratch = Scratch::new(&format!("metadata-same-dump-{}", what.replace('/', "-")));
    let dumps = (
        dump_without_clock(&scratch, ours),
        dump_without_clock(&scratch, theirs),
    );
    let (Some(mut ours), Some(mut theirs)) = dumps else {
        return;
    };
    ours.sort();
    theirs.sort();
    let difference = ours.iter().zip(&theirs).find(|(one, other)| one != other);
    assert_eq!(difference, None, "{what}");
    assert_eq!(ours.len(), theirs.len(), "{what}");
}

/// All cases take minutes on a busy machine: the normal run has every seventh.
fn in_turn<T>(cases: Vec<T>) -> Vec<T> {
    let step = if std::env::var_os("LAB_LONG").is_some() {
        1
    } else {
        7
    };
    cases.into_iter().step_by(step).collect()
}

/// Runs a check on many cases with two hands.
fn with_two_hands<T: Sync>(cases: &[T], check: impl Fn(&T) + Sync) {
    let check = &check;
    std::thread::scope(|scope| {
        for hand in 0..2 {
            let cases = cases.iter().skip(hand).step_by(2);
            scope.spawn(move || cases.for_each(check));
        }
    });
}

#[test]
fn the_real_master_loads_every_golden_file_that_we_saved_and_has_the_same_text() {
    let archives = ["3.0.117", "1.6.27", "4.59.2"].map(|name| (name, Archive::open(name)));
    let mut cases = Vec::new();
    for (version, archive) in &archives {
        for phase in archive.phases() {
            cases.push((*version, phase));
        }
    }
    let cases = in_turn(cases);
    with_two_hands(&cases, |(version, phase)| {
        let what = format!("{version}/{}", phase.name);
        let options = LoadOptions {
            now: LATER,
            ignore: *version == "4.59.2",
            sessions: phase.get("sessions.after.mfs"),
            ..LoadOptions::default()
        };
        let loaded = loaded(&what, phase.file("after.mfs"), &options);
        let file = saved(&loaded.namespace, LATER);
        let Some(theirs) = stored_by_the_real_master(&what, &file, None) else {
            return;
        };
        assert_same_dump(&what, &file, &theirs);
        let (ours, theirs) = (Image::read(&file), Image::read(&theirs));
        assert_same(&what, &ours, &theirs, Compare::Replayable);
    });
}

/// What 3.0.117 makes of a file of 1.6.27 is what we make of it.
#[test]
fn the_real_master_makes_of_files_of_1_6_what_we_make_of_them() {
    let archive = Archive::open("1.6.27");
    let cases: Vec<_> = archive
        .phases()
        .into_iter()
        .filter(|phase| phase.file("after.mfs").starts_with(b"MFSM 1.5"))
        .filter(|phase| phase.get("sessions.after.mfs").is_some())
        .collect();
    assert!(cases.len() > 7);
    let cases = in_turn(cases);
    with_two_hands(&cases, |phase| {
        let options = LoadOptions {
            now: LATER,
            sessions: phase.get("sessions.after.mfs"),
            ..LoadOptions::default()
        };
        let file = phase.file("after.mfs");
        let loaded = loaded(phase.name, file, &options);
        let mut ours = saved(&loaded.namespace, LATER);
        let Some(theirs) = stored_by_the_real_master(phase.name, file, options.sessions) else {
            return;
        };
        // The real master counts each open file that it finds in an inode as a change, without a line.
        let opened = loaded.namespace.open_files().count() as u64;
        let version = loaded.namespace.version().0 + opened;
        assert_eq!(version.to_be_bytes(), theirs[8..16], "{}", phase.name);
        ours[8..16].copy_from_slice(&theirs[8..16]);
        assert_same_dump(phase.name, &ours, &theirs);
    });
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
