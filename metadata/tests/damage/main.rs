//! Every cut and every changed bit of a small file: an error, or everything that it holds, and never
//! a loss about which nothing is said.

#![expect(clippy::unwrap_used, reason = "helpers of a test fail by panicking")]

#[path = "../golden/image.rs"]
#[expect(dead_code, reason = "golden data need the rest")]
mod image;
mod small;

use image::{Compare, Image, differences};
use metadata::image::{Checked, LoadOptions, Repair, check_against, load, save};
use metadata::verify::Inconsistency;
use proto::image::EOF_MARKER;
use std::io::Cursor;
use std::panic::catch_unwind;

const IGNORING: LoadOptions<'static> = LoadOptions {
    now: 0,
    ignore: true,
    seed: 0,
    quota_grace_seconds: 0,
    sessions: None,
};
const STRICT: LoadOptions<'static> = LoadOptions {
    ignore: false,
    ..IGNORING
};

/// What a file leads to.
enum Outcome {
    Refused,
    /// Loaded: the file that is saved then, and what was said.
    Loaded(Vec<u8>, Vec<Repair>),
}

/// Loads, checks the state, saves. Whatever is wrong with the file, nothing panics.
fn outcome(file: &[u8], options: &LoadOptions<'_>, what: &str) -> Outcome {
    let result = catch_unwind(|| {
        let loaded = match load(file, options) {
            Ok(loaded) => loaded,
            Err(error) => {
                assert!(!error.to_string().is_empty());
                return Outcome::Refused;
            }
        };
        let mut wrong = loaded.namespace.verify();
        // The master numbers the entries anew before it serves.
        wrong.retain(|each| {
            !(loaded.must_renumerate && matches!(each, Inconsistency::EdgeOrder(_)))
        });
        assert_eq!(wrong, [], "{what}");
        let mut saved = Cursor::new(Vec::new());
        save(&loaded.namespace.freeze(), 0, &mut saved).unwrap();
        Outcome::Loaded(saved.into_inner(), loaded.repairs)
    });
    result.unwrap_or_else(|_| panic!("{what}: panic"))
}

/// The records of a saved file are those of another one, the predefined classes aside that a file may
/// leave out.
fn is_same(saved: &[u8], other: &[u8]) -> bool {
    let read = catch_unwind(|| {
        let (mut one, other) = (Image::read(saved), Image::read(other));
        let has = |id: u16| other.classes.iter().any(|class| class.class == id);
        one.classes
            .retain(|class| class.class > 9 || has(class.class));
        differences(&one, &other, Compare::All, |_| false).is_empty()
    });
    read.unwrap_or(false)
}

/// A changed file is refused, or it is loaded as it is now or as it was, or it is said what was not
/// taken.
fn is_nothing_lost(original: &[u8], changed: &[u8], what: &str) -> bool {
    match outcome(changed, &STRICT, what) {
        Outcome::Loaded(saved, repairs) => {
            !repairs.is_empty() || is_same(&saved, changed) || is_same(&saved, original)
        }
        // What is repaired is a state without contradictions, too.
        Outcome::Refused => {
            outcome(changed, &IGNORING, what);
            true
        }
    }
}

/// Quiet while panics are expected.
fn quietly(test: impl FnOnce()) {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|info| {
        if !info.to_string().contains("golden/image.rs") {
            eprintln!("{info}");
        }
    }));
    test();
    std::panic::set_hook(hook);
}

#[test]
fn the_small_file_has_every_section_and_no_error() {
    let (file, checksums) = small::image().write();
    let Outcome::Loaded(saved, repairs) = outcome(&file, &STRICT, "unchanged") else {
        panic!("refused");
    };
    assert_eq!(repairs, []);
    assert!(is_same(&saved, &file));
    assert_eq!(check_against(&file, &checksums), Checked::Same);
    assert!(file.len() < 2500, "{}", file.len());
}

#[test]
fn every_cut_is_refused() {
    quietly(|| {
        let (file, checksums) = small::image().write();
        for length in 0..file.len() {
            let what = format!("cut at {length}");
            let cut = &file[..length];
            // The eight bytes of a new file system are not among them.
            assert!(
                matches!(outcome(cut, &STRICT, &what), Outcome::Refused),
                "{what}"
            );
            assert!(
                matches!(outcome(cut, &IGNORING, &what), Outcome::Refused),
                "{what}"
            );
            // As if the end had been put behind what is there.
            let closed = [cut, &EOF_MARKER].concat();
            let what = format!("{what} and closed");
            assert!(is_nothing_lost(&file, &closed, &what), "{what}: a loss");
            if closed != file {
                assert_ne!(check_against(&closed, &checksums), Checked::Same, "{what}");
            }
        }
    });
}

#[test]
fn every_changed_bit_is_found_or_does_no_harm() {
    quietly(|| {
        let (file, checksums) = small::image().write();
        // All values of every byte take minutes.
        let all = std::env::var_os("LAB_LONG").is_some();
        let mut lost = Vec::new();
        for at in 0..file.len() {
            let values: Vec<u8> = if all {
                (0..=u8::MAX).filter(|value| *value != file[at]).collect()
            } else {
                vec![file[at] ^ 1 << (at % 8)]
            };
            for value in values {
                let mut changed = file.clone();
                changed[at] = value;
                let what = format!("byte {at}: {:#04x} -> {value:#04x}", file[at]);
                if !is_nothing_lost(&file, &changed, &what) {
                    lost.push(what.clone());
                }
                let checked = check_against(&changed, &checksums);
                assert!(
                    matches!(checked, Checked::Damaged(_) | Checked::Header),
                    "{what}: {checked:?}"
                );
            }
        }
        assert!(lost.is_empty(), "losses without a word: {lost:#?}");
    });
}

/// The session file beside a file of 1.6.
#[test]
fn every_cut_and_changed_bit_of_a_session_file_is_found_or_does_no_harm() {
    quietly(|| {
        let (file, sessions) = (small::image_of_1_5(), small::sessions_of_1_6());
        let outcome_with = |sessions: &[u8], what: &str| {
            let options = LoadOptions {
                sessions: Some(sessions),
                ..STRICT
            };
            outcome(&file, &options, what)
        };
        assert!(matches!(
            outcome_with(&sessions, "unchanged"),
            Outcome::Loaded(..)
        ));
        for length in 0..sessions.len() {
            let what = format!("cut at {length}");
            let is_whole = small::SESSION_ENDS.contains(&length);
            let refused = matches!(outcome_with(&sessions[..length], &what), Outcome::Refused);
            assert!(refused != is_whole, "{what}");
        }
        for at in 0..sessions.len() {
            for bit in [at % 8, (at + 3) % 8] {
                let mut changed = sessions.clone();
                changed[at] ^= 1 << bit;
                outcome_with(&changed, &format!("byte {at}, bit {bit}"));
            }
        }
    });
}

#[test]
fn every_cut_and_changed_bit_of_a_file_of_1_5_is_found_or_does_no_harm() {
    quietly(|| {
        let file = small::image_of_1_5();
        let Outcome::Loaded(saved, _) = outcome(&file, &STRICT, "unchanged") else {
            panic!("refused");
        };
        assert_eq!(
            Image::read(&saved).nodes.len(),
            Image::read(&file).nodes.len()
        );
        for length in 0..file.len() {
            let what = format!("cut at {length}");
            assert!(
                matches!(outcome(&file[..length], &IGNORING, &what), Outcome::Refused),
                "{what}"
            );
        }
        for at in 0..file.len() {
            for bit in [at % 8, (at + 3) % 8] {
                let mut changed = file.clone();
                changed[at] ^= 1 << bit;
                let what = format!("byte {at}, bit {bit}");
                outcome(&changed, &STRICT, &what);
                outcome(&changed, &IGNORING, &what);
            }
        }
    });
}
