//! `mfsmetadump` beside the one of 3.0.117: the same bytes, the same status.

#![expect(clippy::unwrap_used, reason = "helpers of a test fail by panicking")]

#[path = "../../metadata/tests/golden/archive.rs"]
#[allow(dead_code, reason = "the other tests of golden data need the rest")]
mod archive;

use archive::Archive;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const OURS: &str = env!("CARGO_BIN_EXE_mfsmetadump");
const REAL: &str = "/usr/sbin/mfsmetadump";

/// A file that vanishes with the value.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str, content: &[u8]) -> Scratch {
        let path = std::env::temp_dir().join(format!("metadump-{name}-{}", std::process::id()));
        std::fs::write(&path, content).unwrap();
        Scratch(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn dump(program: &str, options: &[&str], file: &Path) -> Output {
    let mut command = Command::new(program);
    command.args(options).arg(file).output().unwrap()
}

fn is_installed() -> bool {
    let is_there = Path::new(REAL).exists();
    if !is_there {
        eprintln!("skipped: mfsmetadump of MooseFS 3.0.117 is not installed");
    }
    is_there
}

#[track_caller]
fn assert_same(what: &str, options: &[&str], file: &Path) {
    let (ours, theirs) = (dump(OURS, options, file), dump(REAL, options, file));
    let (ours_text, their_text) = (&ours.stdout, &theirs.stdout);
    let difference = ours_text
        .split(|byte| *byte == b'\n')
        .zip(their_text.split(|byte| *byte == b'\n'))
        .find(|(one, other)| one != other);
    if let Some((one, other)) = difference {
        let (one, other) = (one.escape_ascii(), other.escape_ascii());
        panic!("{what} {options:?}:\n- {other}\n+ {one}");
    }
    assert_eq!(ours_text.len(), their_text.len(), "{what} {options:?}");
    assert_eq!(ours.status.code(), theirs.status.code(), "{what}");
    let (ours, theirs) = (ours.stderr, theirs.stderr);
    assert_eq!(
        ours.escape_ascii().to_string().trim_end_matches("\\n"),
        theirs.escape_ascii().to_string().trim_end_matches("\\n"),
        "{what} {options:?}"
    );
}

#[test]
fn every_golden_file_has_the_text_of_the_real_program() {
    if !is_installed() {
        return;
    }
    let mut files = 0;
    for version in ["3.0.117", "1.6.27", "4.59.2"] {
        let archive = Archive::open(version);
        for (path, data) in archive.images() {
            let file = Scratch::new(&format!("golden-{version}"), data);
            assert_same(&format!("{version}/{path}"), &[], &file.0);
            files += 1;
        }
    }
    assert!(files > 90, "{files}");
}

#[test]
fn sections_and_dots_are_chosen_as_by_the_real_program() {
    if !is_installed() {
        return;
    }
    let archive = Archive::open("3.0.117");
    let data = archive.phase("10-locks-end").file("before.mfs");
    let file = Scratch::new("sections", data);
    for section in [
        "HEAD", "SESS", "LABS", "SCLA", "NODE", "EDGE", "FREE", "QUOT", "XATR", "PACL", "OPEN",
        "FLCK", "PLCK", "CSDB", "CHNK", "FOOB", "node",
    ] {
        assert_same("section", &["-s", section], &file.0);
        assert_same("section", &["-d", "-s", section], &file.0);
    }
    assert_same("dots", &["-d"], &file.0);
    let archive = Archive::open("1.6.27");
    let old = Scratch::new("sections-1.6", archive.phase("06-trash").file("after.mfs"));
    assert_same("old", &["-d"], &old.0);
}

#[test]
fn what_cannot_be_read_ends_as_with_the_real_program() {
    if !is_installed() {
        return;
    }
    let archive = Archive::open("3.0.117");
    let valid = archive.phase("02-types").file("after.mfs").to_vec();
    let node = valid
        .windows(8)
        .position(|name| name == b"NODE 1.4")
        .unwrap()
        + 16
        + 8;
    let mut kind = valid.clone();
    kind[node] = 77;
    let mut length = valid.clone();
    length[node - 9] ^= 1;
    let with_section = |header: &[u8], body: &[u8]| {
        let mut data = valid[..24].to_vec();
        data.extend_from_slice(header);
        data.extend_from_slice(&(body.len() as u64).to_be_bytes());
        data.extend_from_slice(body);
        data.extend_from_slice(b"[MFS EOF MARKER]");
        data
    };
    let bytes: Vec<u8> = (0..=255).chain(0..7).collect();
    for (what, data) in [
        ("new", b"MFSM NEW".to_vec()),
        ("empty", Vec::new()),
        ("other", b"a text of some length, no metadata".to_vec()),
        ("short", b"MFSM".to_vec()),
        ("header only", valid[..24].to_vec()),
        ("no ending", valid[..valid.len() - 16].to_vec()),
        ("kind", kind),
        ("length", length),
        ("unknown", with_section(b"FOOB 1.0", &bytes)),
        ("newer", with_section(b"EDGE 1.2", &bytes)),
        ("behind", [&valid[..], b"more"].concat()),
    ] {
        let file = Scratch::new("bad", &data);
        assert_same(what, &[], &file.0);
        assert_same(what, &["-d"], &file.0);
    }
    assert_same("missing", &[], Path::new("/no/such/file"));
    // No cut makes the program fail in another way than by its status.
    for cut in (0..valid.len()).step_by(97) {
        let file = Scratch::new("cut", &valid[..cut]);
        let output = dump(OURS, &[], &file.0);
        assert_eq!(output.status.code(), Some(1), "{cut}");
    }
}
