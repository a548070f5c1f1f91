//! `mfshdd.cfg`: one disk a line, with marks and a limit (chunkserver §4.7).

use std::path::PathBuf;

/// Longest line that is read.
const LINE_MAX: usize = 998;

/// What a line says about a disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiskLine {
    /// Absolute path with a final `/`.
    pub path: PathBuf,
    /// Marks before the path.
    pub marks: Marks,
    /// Limit behind the path.
    pub limit: Limit,
}

/// Marks of a disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    /// `*`: its copies do not count, and nothing new comes.
    pub removal: bool,
    /// `<`: its chunks move to the other disks.
    pub empty: bool,
    /// `>`: chunks of the other disks move here.
    pub fill: bool,
    /// `~`: changes of the file system's size are no damage.
    pub any_size: bool,
}

/// How much of a disk may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// All but so many bytes; `None`: `HDD_LEAVE_SPACE_DEFAULT`.
    Leave(Option<u64>),
    /// So many bytes.
    Use(u64),
}

/// A list of disks and what is wrong with it.
#[derive(Debug, Default)]
pub struct DiskList {
    /// Disks in the order of the file.
    pub disks: Vec<DiskLine>,
    /// Sentences for the log.
    pub warnings: Vec<String>,
}

/// Reads the text of a list. Paths that are not absolute start at `directory`.
pub fn parse(text: &str, directory: &std::path::Path) -> DiskList {
    let mut list = DiskList::default();
    for (number, line) in text.lines().enumerate() {
        if line.starts_with('#') || line.trim().is_empty() {
            continue;
        }
        if line.len() > LINE_MAX {
            list.warnings.push(format!(
                "line {} is longer than {LINE_MAX} characters and is left out",
                number + 1
            ));
            continue;
        }
        match parse_line(line.trim(), directory, &mut list.warnings) {
            Some(disk) => list.disks.push(disk),
            None => list
                .warnings
                .push(format!("line {} names no path: {line}", number + 1)),
        }
    }
    list
}

fn parse_line(
    line: &str,
    directory: &std::path::Path,
    warnings: &mut Vec<String>,
) -> Option<DiskLine> {
    let mut marks = Marks::default();
    let path = line.trim_start_matches(|mark: char| {
        match mark {
            '*' => marks.removal = true,
            '<' => marks.empty = true,
            '>' => marks.fill = true,
            '~' => marks.any_size = true,
            '!' | ' ' | '\t' => {}
            _ => return false,
        }
        true
    });
    let (mut path, mut limit) = (path, Limit::Leave(None));
    if let Some((front, last)) = path.rsplit_once([' ', '\t'])
        && looks_like_limit(last)
    {
        path = front.trim_end();
        limit = match parse_limit(last) {
            Some(limit) => limit,
            None => {
                warnings.push(format!("size parse error, data: {last}"));
                Limit::Leave(None)
            }
        };
    }
    if path.is_empty() {
        return None;
    }
    let mut path = directory.join(path).into_os_string();
    if !path.as_encoded_bytes().ends_with(b"/") {
        path.push("/");
    }
    Some(DiskLine {
        path: path.into(),
        marks,
        limit,
    })
}

fn looks_like_limit(word: &str) -> bool {
    let digits = word.strip_prefix('-').unwrap_or(word);
    digits.starts_with(|first: char| first.is_ascii_digit() || first == '.')
}

fn parse_limit(word: &str) -> Option<Limit> {
    match word.strip_prefix('-') {
        Some(size) => parse_size(size).map(|size| Limit::Leave(Some(size))),
        None => parse_size(word).map(|size| match size {
            0 => Limit::Leave(None),
            size => Limit::Use(size),
        }),
    }
}

/// Bytes of `[0-9]*(.[0-9]*)?([kMGTPE]|[KMGTPE]i)?B?`.
pub fn parse_size(text: &str) -> Option<u64> {
    let end = text
        .find(|character: char| !character.is_ascii_digit() && character != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    if !number.contains(|digit: char| digit.is_ascii_digit()) {
        return None;
    }
    let number: f64 = match number.strip_suffix('.') {
        Some(whole) => whole.parse().ok()?,
        None => number.parse().ok()?,
    };
    let unit = unit.strip_suffix('B').unwrap_or(unit);
    let factor = match unit {
        "" => 1.0,
        _ => {
            let (letter, base) = match unit.strip_suffix('i') {
                Some(letter) => (letter, 1024.0_f64),
                None => (unit, 1000.0),
            };
            let power = match letter {
                "k" | "K" => 1,
                "M" => 2,
                "G" => 3,
                "T" => 4,
                "P" => 5,
                "E" => 6,
                _ => return None,
            };
            base.powi(power)
        }
    };
    Some((number * factor) as u64)
}

#[cfg(test)]
mod tests {
    use super::{DiskLine, Limit, Marks, parse, parse_size};
    use std::path::Path;

    #[test]
    fn sizes() {
        for (text, expected) in [
            ("10", Some(10)),
            ("1.5k", Some(1500)),
            ("1Ki", Some(1024)),
            ("256MiB", Some(256 << 20)),
            ("2GB", Some(2_000_000_000)),
            (".5Gi", Some(1 << 29)),
            ("12xx", None),
            ("", None),
            (".", None),
            ("1..2", None),
            ("-1", None),
        ] {
            assert_eq!(parse_size(text), expected, "{text}");
        }
    }

    #[test]
    fn lines() {
        let list = parse(
            "# comment\n\n/mnt/a\n*/mnt/b/ 10GiB\n~>/mnt/c d -1Mi\n<*/e 12xx\nrelative\n*\n/f 0\n",
            Path::new("/here"),
        );
        let mark = |removal, empty, fill, any_size| Marks {
            removal,
            empty,
            fill,
            any_size,
        };
        let line = |path: &str, marks, limit| DiskLine {
            path: path.into(),
            marks,
            limit,
        };
        assert_eq!(
            list.disks,
            [
                line("/mnt/a/", Marks::default(), Limit::Leave(None)),
                line(
                    "/mnt/b/",
                    mark(true, false, false, false),
                    Limit::Use(10 << 30)
                ),
                line(
                    "/mnt/c d/",
                    mark(false, false, true, true),
                    Limit::Leave(Some(1 << 20))
                ),
                line("/e/", mark(true, true, false, false), Limit::Leave(None)),
                line("/here/relative/", Marks::default(), Limit::Leave(None)),
                line("/f/", Marks::default(), Limit::Leave(None)),
            ]
        );
        assert_eq!(
            list.warnings,
            ["size parse error, data: 12xx", "line 8 names no path: *"]
        );
    }
}
