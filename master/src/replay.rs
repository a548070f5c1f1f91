//! Changelogs applied to a loaded image (metadata-and-changelog §2.7): the merged history of all
//! files, and what is said about it.

use crate::datadir::disk::Disk;
use metadata::Namespace;
use metadata::merge::{self, Damage, Merge, Source};

/// How changelogs are applied.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// `-i`: the first problem ends the replay instead of failing it.
    pub ignore_errors: bool,
    /// `-xx`: every line is logged.
    pub lists_lines: bool,
}

/// What a replay did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// Number of changes.
    pub changes: u64,
    /// Changelogs that have to be put aside: a crash has torn the changes before theirs.
    pub abandoned: Vec<String>,
}

/// Applies every line that the state lacks. `image` is the name of the file that the
/// state is from.
///
/// # Errors
/// A line that is missing, damaged, contradicted by another file or impossible, with the file and
/// the number. With `-i` these end the replay instead, with the state reached so far.
pub fn apply(
    namespace: &mut Namespace,
    disk: &impl Disk,
    image: &str,
    files: &[String],
    options: Options,
) -> Result<Applied, String> {
    let mut logs = Vec::new();
    for name in files {
        let bytes = disk
            .bytes(name)
            .map_err(|error| format!("can't read {}: {error}", disk.shown(name)))?;
        logs.push((name, bytes));
    }
    let sources = logs.iter().map(|(name, bytes)| Source {
        name,
        bytes: bytes.as_ref(),
    });
    let mut merge = Merge::new(image, sources);
    let first = namespace.version();
    let result = merge::replay(namespace, &mut merge, |_, change| {
        if options.lists_lines {
            tracing::info!("{}", String::from_utf8_lossy(change.line));
        }
    });
    for (name, damage) in merge.damages() {
        if let Damage::Broken { .. } = damage {
            tracing::warn!("{}", damage.describe(name));
        }
    }
    let applied = Applied {
        changes: namespace.version().0 - first.0,
        abandoned: merge
            .abandoned()
            .iter()
            .map(|&name| name.to_owned())
            .collect(),
    };
    match result {
        Ok(_) => Ok(applied),
        Err(problem) if options.ignore_errors => {
            tracing::warn!(
                "{problem}\nerror applying changelogs - ignoring (using best possible metadata version)"
            );
            Ok(applied)
        }
        Err(problem) => Err(format!(
            "{problem}\nerror applying changelogs - fix changelogs manually or use '-i' flag"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::{Options, apply};
    use crate::datadir::disk::Directory;
    use metadata::Namespace;
    use std::path::PathBuf;

    /// Files in a directory of their own.
    fn directory(name: &str, files: &[(&str, &str)]) -> (PathBuf, Vec<String>) {
        let path = std::env::temp_dir().join(format!("replay-{name}-{}", std::process::id()));
        drop(std::fs::remove_dir_all(&path));
        std::fs::create_dir_all(&path).unwrap();
        for (file, text) in files {
            std::fs::write(path.join(file), text).unwrap();
        }
        let names = files.iter().map(|(file, _)| (*file).to_owned()).collect();
        (path, names)
    }

    fn outcome(
        name: &str,
        files: &[(&str, &str)],
        ignore_errors: bool,
    ) -> Result<(u64, u64), String> {
        let (path, names) = directory(name, files);
        let mut namespace = Namespace::new(1, 5).unwrap();
        let options = Options {
            ignore_errors,
            ..Options::default()
        };
        let applied = apply(
            &mut namespace,
            &Directory(path.clone()),
            "image",
            &names,
            options,
        );
        std::fs::remove_dir_all(path).unwrap();
        Ok((applied?.changes, namespace.version().0))
    }

    const FIRST: &str = "1: 5|SETMETAID(7)\n2: 6|CREATE(1,a,2,493,18,0,0,0):2\n";
    const SECOND: &str = "3: 6|CREATE(2,b,1,420,18,0,0,0):3\n";

    #[test]
    fn files_are_merged_by_number_and_overlaps_agree() {
        for (name, files) in [
            ("order", vec![("a", FIRST), ("b", SECOND)]),
            ("reverse", vec![("b", SECOND), ("a", FIRST)]),
            ("overlap", vec![("a", FIRST), ("b", FIRST), ("c", SECOND)]),
        ] {
            assert_eq!(outcome(name, &files, false), Ok((3, 4)), "{name}");
        }
    }

    #[test]
    fn a_torn_line_is_none() {
        let files = [("a", FIRST), ("b", "3: 6|CREATE(2,b,1,4")];
        assert_eq!(outcome("torn", &files, false), Ok((2, 3)));
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        let contradiction = "2: 6|CREATE(1,z,2,493,18,0,0,0):2\n";
        let wrong_result = "3: 6|CREATE(2,b,1,420,18,0,0,0):9\n";
        type Case<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a str);
        let cases: [Case<'_>; 4] = [
            ("hole", &[("a", FIRST), ("b", "9: 6|ACCESS(1)\n")], "hole"),
            ("damaged", &[("a", FIRST), ("b", "3: 6|CREATE(2\n")], "b:3:"),
            (
                "contradiction",
                &[("a", FIRST), ("b", contradiction)],
                "different changes 2",
            ),
            ("mismatch", &[("a", FIRST), ("b", wrong_result)], "b:3:"),
        ];
        for (name, files, expected) in cases {
            let error = outcome(name, files, false).unwrap_err();
            assert!(error.contains(expected), "{name}: {error}");
            let (applied, _) = outcome(name, files, true).unwrap();
            assert!(applied <= 2, "{name}");
        }
    }
}
