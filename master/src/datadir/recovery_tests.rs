//! Directories as tables, and what a start makes of each.

use super::*;
use expect_test::{Expect, expect};

const OURS: MetaId = MetaId(0x6B03);

fn valid(name: &str, version: u64, id: u64) -> ImageFile {
    let content = ImageContent::Valid {
        version: MetaVersion(version),
        id: MetaId(id),
    };
    ImageFile {
        name: name.to_owned(),
        content,
    }
}

fn image(name: &str, version: u64) -> ImageFile {
    valid(name, version, OURS.0)
}

fn bad(name: &str, content: ImageContent) -> ImageFile {
    ImageFile {
        name: name.to_owned(),
        content,
    }
}

fn log(number: u32, first: u64, last: u64) -> ChangelogFile {
    ChangelogFile {
        name: format!("changelog.{number}.mfs"),
        changes: Some((first, last)),
        complete_bytes: 1000,
        torn_bytes: 0,
        is_broken: false,
    }
}

fn torn(mut file: ChangelogFile, bytes: u64) -> ChangelogFile {
    file.torn_bytes = bytes;
    file
}

fn check(images: &[ImageFile], changelogs: &[ChangelogFile], mode: &str, expected: Expect) {
    let listing = Listing {
        images: images.to_vec(),
        changelogs: changelogs.to_vec(),
    };
    let mode = Mode {
        ignore_errors: mode.contains('i'),
        verbose: mode.contains('x'),
    };
    let text = match plan(&listing, mode) {
        Ok(recovery) => {
            let mut text = format!(
                "load {} at {}, expect {}{}\n",
                recovery.image,
                recovery.version,
                recovery.expected,
                if recovery.is_new { ", new" } else { "" }
            );
            for name in &recovery.replay {
                text.push_str(&format!("replay {name}\n"));
            }
            for step in &recovery.steps {
                text.push_str(&match step {
                    Step::Rename { from, to } => format!("{from} > {to}\n"),
                    Step::Remove(name) => format!("- {name}\n"),
                    Step::Cut { name, bytes } => format!("{name} = {bytes}\n"),
                });
            }
            for message in &recovery.messages {
                text.push_str(&format!("| {message}\n"));
            }
            text
        }
        Err(refusal) => refusal
            .messages
            .iter()
            .map(|message| format!("! {message}\n"))
            .collect(),
    };
    expected.assert_eq(&text);
}

#[test]
fn after_a_clean_stop() {
    check(
        &[
            image("metadata.mfs", 1000),
            image("metadata.mfs.back.1", 900),
        ],
        &[log(0, 950, 999), log(1, 800, 949)],
        "",
        expect![[r#"
            load metadata.mfs at 1000, expect 1000
            metadata.mfs > metadata.mfs.back
        "#]],
    );
    // The same, with what is said by -x.
    check(
        &[image("metadata.mfs", 1000)],
        &[log(0, 950, 999)],
        "x",
        expect![[r#"
            load metadata.mfs at 1000, expect 1000
            metadata.mfs > metadata.mfs.back
            | chosen most recent metadata file: metadata.mfs (version: 1000 ; id: 0000000000006B03)
            | skipping changelog file: changelog.0.mfs (changes: 950 - 999)
        "#]],
    );
}

#[test]
fn after_a_crash_the_backup_and_the_changelogs_make_the_state() {
    check(
        &[
            image("metadata.mfs.back", 900),
            image("metadata.mfs.back.1", 800),
        ],
        &[log(0, 950, 1009), log(1, 850, 949), log(2, 800, 849)],
        "",
        expect![[r#"
            load metadata.mfs.back at 900, expect 1010
            replay changelog.1.mfs
            replay changelog.0.mfs
            | chosen most recent metadata file: metadata.mfs.back (version: 900 ; id: 0000000000006B03)
            | recovering changes 900 - 1009 from 2 changelog file(s)
        "#]],
    );
    // No line since the image was written.
    check(
        &[image("metadata.mfs.back", 900)],
        &[],
        "",
        expect![[r#"
        load metadata.mfs.back at 900, expect 900
        | chosen most recent metadata file: metadata.mfs.back (version: 900 ; id: 0000000000006B03)
    "#]],
    );
}

#[test]
fn a_torn_line_costs_itself_only() {
    check(
        &[image("metadata.mfs.back", 900)],
        &[torn(log(0, 890, 996), 17)],
        "",
        expect![[r#"
            load metadata.mfs.back at 900, expect 997
            replay changelog.0.mfs
            changelog.0.mfs = 1000
            | chosen most recent metadata file: metadata.mfs.back (version: 900 ; id: 0000000000006B03)
            | changelog.0.mfs: torn line behind change 996 (17 bytes) is ignored
            | recovering changes 900 - 996 from 1 changelog file(s)
        "#]],
    );
    let only_torn = ChangelogFile {
        changes: None,
        complete_bytes: 0,
        ..torn(log(0, 0, 0), 5)
    };
    check(
        &[image("metadata.mfs.back", 900)],
        &[only_torn],
        "",
        expect![[r#"
            load metadata.mfs.back at 900, expect 900
            replay changelog.0.mfs
            changelog.0.mfs = 0
            | chosen most recent metadata file: metadata.mfs.back (version: 900 ; id: 0000000000006B03)
            | changelog.0.mfs: no complete line, only a torn one (5 bytes), is ignored
        "#]],
    );
}

#[test]
fn a_newer_backup_of_the_same_file_system_is_used_and_nothing_is_lost() {
    check(
        &[image("metadata.mfs", 900), image("metadata.mfs.back", 1000)],
        &[log(0, 950, 1004)],
        "",
        expect![[r#"
            load metadata.mfs.back at 1000, expect 1005
            replay changelog.0.mfs
            metadata.mfs > metadata.mfs.900
            | chosen most recent metadata file: metadata.mfs.back (version: 1000 ; id: 0000000000006B03)
            | recovering changes 1000 - 1004 from 1 changelog file(s)
            | metadata.mfs is not the newest state - renamed to metadata.mfs.900
        "#]],
    );
    check(
        &[
            bad("metadata.mfs", ImageContent::WrongEnding),
            image("metadata.mfs.back", 1000),
        ],
        &[],
        "",
        expect![[r#"
            load metadata.mfs.back at 1000, expect 1000
            metadata.mfs > metadata.mfs.bad
            | metadata.mfs has wrong ending
            | chosen most recent metadata file: metadata.mfs.back (version: 1000 ; id: 0000000000006B03)
            | metadata.mfs is not the newest state - renamed to metadata.mfs.bad
        "#]],
    );
    check(
        &[
            bad("metadata.mfs", ImageContent::Empty),
            image("metadata.mfs.back", 1000),
        ],
        &[],
        "",
        expect![[r#"
            load metadata.mfs.back at 1000, expect 1000
            - metadata.mfs
            | metadata.mfs is empty
            | chosen most recent metadata file: metadata.mfs.back (version: 1000 ; id: 0000000000006B03)
        "#]],
    );
}

#[test]
fn another_file_system() {
    // Newer: nobody can know which one is meant.
    let newer = [
        image("metadata.mfs", 900),
        valid("metadata.mfs.back", 1000, 0x7777),
    ];
    check(
        &newer,
        &[],
        "",
        expect![[r#"
        !  - found valid metadata file: metadata.mfs (version: 900 ; id: 0000000000006B03)
        !  - found valid metadata file: metadata.mfs.back (version: 1000 ; id: 0000000000007777)
        ! metadata files of different file systems are here - move the wrong ones away, or use option '-i' to take the newest
    "#]],
    );
    check(
        &newer,
        &[],
        "i",
        expect![[r#"
        load metadata.mfs.back at 1000, expect 1000
        metadata.mfs > metadata.mfs.900
        |  - found valid metadata file: metadata.mfs (version: 900 ; id: 0000000000006B03)
        |  - found valid metadata file: metadata.mfs.back (version: 1000 ; id: 0000000000007777)
        | chosen most recent metadata file: metadata.mfs.back (version: 1000 ; id: 0000000000007777)
        | metadata.mfs is not the newest state - renamed to metadata.mfs.900
    "#]],
    );
    // Older: the operator has put metadata.mfs there.
    check(
        &[
            image("metadata.mfs", 900),
            valid("metadata.mfs.back", 800, 0x7777),
        ],
        &[],
        "",
        expect![[r#"
            load metadata.mfs at 900, expect 900
            metadata.mfs.back > metadata.mfs.back.0000000000007777.800
            metadata.mfs > metadata.mfs.back
            | metadata.mfs.back belongs to another file system - renamed to metadata.mfs.back.0000000000007777.800
        "#]],
    );
}

#[test]
fn a_new_file_system() {
    let new = |name: &str| bad(name, ImageContent::New);
    check(
        &[new("metadata.mfs")],
        &[],
        "",
        expect![[r#"
        load metadata.mfs at 1, expect 1, new
        metadata.mfs > metadata.mfs.back
    "#]],
    );
    check(
        &[new("metadata.mfs")],
        &[log(0, 5, 9)],
        "",
        expect![[r#"
        load metadata.mfs at 1, expect 1, new
        changelog.0.mfs > changelog.0.mfs.old
        metadata.mfs > metadata.mfs.back
        | changelog.0.mfs belongs to another file system than the new one - renamed to changelog.0.mfs.old
    "#]],
    );
    // Its first master crashed.
    check(
        &[new("metadata.mfs.back")],
        &[log(0, 1, 9)],
        "",
        expect![[r#"
            load metadata.mfs.back at 1, expect 10, new
            replay changelog.0.mfs
            | chosen most recent metadata file: metadata.mfs.back (version: 1 ; id: 0000000000000000)
            | recovering changes 1 - 9 from 1 changelog file(s)
        "#]],
    );
    // Beside an old one it is a mistake.
    check(
        &[new("metadata.mfs"), image("metadata.mfs.back", 800)],
        &[],
        "",
        expect![[r#"
            !  - found valid metadata file: metadata.mfs (version: 1 ; id: 0000000000000000)
            !  - found valid metadata file: metadata.mfs.back (version: 800 ; id: 0000000000006B03)
            ! metadata files of different file systems are here - move the wrong ones away, or use option '-i' to take the newest
        "#]],
    );
}

#[test]
fn missing_changes_stop_the_start() {
    let images = [image("metadata.mfs.back", 900)];
    let logs = [log(0, 920, 930), log(1, 890, 915)];
    check(
        &images,
        &logs,
        "",
        expect![[r#"
        ! chosen most recent metadata file: metadata.mfs.back (version: 900 ; id: 0000000000006B03)
        ! hole in change files (entries from changelog.1.mfs:916 to changelog.0.mfs:919 are missing) - add more files
        ! error applying changelogs - fix changelogs manually or use '-i' flag
    "#]],
    );
    check(
        &images,
        &logs,
        "i",
        expect![[r#"
        load metadata.mfs.back at 900, expect 916
        replay changelog.1.mfs
        | chosen most recent metadata file: metadata.mfs.back (version: 900 ; id: 0000000000006B03)
        | hole in change files (entries from changelog.1.mfs:916 to changelog.0.mfs:919 are missing) - add more files
        | error applying changelogs - ignoring (using best possible metadata version)
        | recovering changes 900 - 915 from 1 changelog file(s)
    "#]],
    );
    check(
        &images,
        &[log(0, 920, 930)],
        "",
        expect![[r#"
        ! chosen most recent metadata file: metadata.mfs.back (version: 900 ; id: 0000000000006B03)
        ! hole in change files (entries from metadata.mfs.back:900 to changelog.0.mfs:919 are missing) - add more files
        ! error applying changelogs - fix changelogs manually or use '-i' flag
    "#]],
    );
}

#[test]
fn nothing_usable() {
    check(
        &[],
        &[log(0, 1, 9)],
        "",
        expect![[r#"
        ! can't find valid metadata file
    "#]],
    );
    check(
        &[
            bad("metadata.mfs", ImageContent::WrongHeader),
            bad(
                "metadata.mfs.back",
                ImageContent::Unreadable("EACCES (Permission denied)".to_owned()),
            ),
        ],
        &[],
        "i",
        expect![[r#"
            ! metadata.mfs has wrong header
            ! error reading metadata.mfs.back: EACCES (Permission denied)
            ! can't find valid metadata file
        "#]],
    );
}

#[test]
fn files_of_a_metalogger_count() {
    let mut copied = log(0, 940, 990);
    copied.name = "changelog_ml.0.mfs".to_owned();
    check(
        &[image("metadata_ml.mfs.back", 940)],
        &[copied],
        "",
        expect![[r#"
            load metadata_ml.mfs.back at 940, expect 991
            replay changelog_ml.0.mfs
            | chosen most recent metadata file: metadata_ml.mfs.back (version: 940 ; id: 0000000000006B03)
            | recovering changes 940 - 990 from 1 changelog file(s)
        "#]],
    );
}

#[test]
fn what_was_put_aside_or_is_older_does_not_contradict() {
    check(
        &[
            image("metadata.mfs.back", 900),
            valid("metadata.mfs.back.1", 5000, 0x7777),
            valid("metadata.mfs.back.0000000000007777.6000", 6000, 0x7777),
            image("/tmp/metadata.mfs.emergency", 950),
        ],
        &[log(0, 890, 960)],
        "",
        expect![[r#"
            load /tmp/metadata.mfs.emergency at 950, expect 961
            replay changelog.0.mfs
            | chosen most recent metadata file: /tmp/metadata.mfs.emergency (version: 950 ; id: 0000000000006B03)
            | recovering changes 950 - 960 from 1 changelog file(s)
        "#]],
    );
    check(
        &[
            bad("metadata.mfs.back", ImageContent::New),
            image("metadata.mfs.back.1", 800),
        ],
        &[log(0, 1, 3)],
        "",
        expect![[r#"
            load metadata.mfs.back at 1, expect 4, new
            replay changelog.0.mfs
            | chosen most recent metadata file: metadata.mfs.back (version: 1 ; id: 0000000000000000)
            | recovering changes 1 - 3 from 1 changelog file(s)
        "#]],
    );
    // Only copies, of two file systems.
    check(
        &[
            image("metadata.mfs.back.1", 800),
            valid("metadata_ml.mfs", 700, 0x7777),
        ],
        &[],
        "",
        expect![[r#"
            !  - found valid metadata file: metadata.mfs.back.1 (version: 800 ; id: 0000000000006B03)
            !  - found valid metadata file: metadata_ml.mfs (version: 700 ; id: 0000000000007777)
            ! metadata files of different file systems are here - move the wrong ones away, or use option '-i' to take the newest
        "#]],
    );
}
