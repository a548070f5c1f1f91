//! The `KEY = value` syntax of the daemons' configuration files: text in, definitions and complaints
//! out (tools-and-cli §15). What a key means is not known here.

/// Longest line that is read; what follows is cut off, as MooseFS does.
pub const LINE_BYTES_MAX: usize = 998;

/// One `KEY = value` line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Definition {
    /// Number of the line, from 1.
    pub line: usize,
    /// The word before the `=`.
    pub key: String,
    /// The text after the `=`, as written, without the blanks around it.
    pub value: String,
}

/// A line that is neither empty, a comment nor a definition. It is skipped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadLine {
    /// Number of the line, from 1.
    pub line: usize,
    /// The line, printable characters only.
    pub text: String,
}

/// Reads a whole file. Both lists are in the order of the lines; a key may occur several times and
/// the last one counts.
pub fn parse(text: &[u8]) -> (Vec<Definition>, Vec<BadLine>) {
    let mut definitions = Vec::new();
    let mut bad = Vec::new();
    for (index, whole) in text.split(|&byte| byte == b'\n').enumerate() {
        let line = index + 1;
        let cut = &whole[..whole.len().min(LINE_BYTES_MAX)];
        let end = cut.iter().position(|&byte| byte == 0).unwrap_or(cut.len());
        match parse_line(&cut[..end]) {
            Line::Empty => {}
            Line::Definition(key, value) => definitions.push(Definition { line, key, value }),
            Line::Bad => bad.push(BadLine {
                line,
                text: printable(cut),
            }),
        }
    }
    (definitions, bad)
}

enum Line {
    Empty,
    Definition(String, String),
    Bad,
}

fn parse_line(line: &[u8]) -> Line {
    // Only a `#` in the first column starts a comment.
    if line.first() == Some(&b'#') {
        return Line::Empty;
    }
    let rest = skip_blanks(line);
    if rest.iter().all(|byte| *byte == b'\r') {
        return Line::Empty;
    }
    let key_len = rest
        .iter()
        .position(|&byte| !is_key(byte))
        .unwrap_or(rest.len());
    let (key, rest) = rest.split_at(key_len);
    let Some((b'=', rest)) = skip_blanks(rest).split_first() else {
        return Line::Bad;
    };
    if key.is_empty() {
        return Line::Bad;
    }
    let rest = skip_blanks(rest);
    let value_len = rest
        .iter()
        .position(|&byte| !is_value(byte))
        .unwrap_or(rest.len());
    let (value, rest) = rest.split_at(value_len);
    // A control character ends the value; behind it only a comment may stand.
    match skip_blanks(rest).first() {
        None | Some(b'#' | b'\r') => {}
        Some(_) => return Line::Bad,
    }
    Line::Definition(ascii(key), ascii(value.trim_ascii_end()))
}

fn skip_blanks(text: &[u8]) -> &[u8] {
    let len = text
        .iter()
        .position(|byte| !matches!(byte, b' ' | b'\t'))
        .unwrap_or(text.len());
    &text[len..]
}

fn is_key(byte: u8) -> bool {
    (0x21..0x7F).contains(&byte) && byte != b'='
}

fn is_value(byte: u8) -> bool {
    (0x20..0x80).contains(&byte)
}

/// The caller has let ASCII through only.
fn ascii(text: &[u8]) -> String {
    text.iter().map(|&byte| char::from(byte)).collect()
}

/// For messages: what a terminal can show, the rest replaced.
fn printable(text: &[u8]) -> String {
    String::from_utf8_lossy(text)
        .trim_end()
        .chars()
        .map(|c| if c.is_control() && c != '\t' { '?' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every row was given to mfsmaster 3.0.117 with SYSLOG_IDENT as the key, whose value shows in
    /// its log. `None`: the line defines nothing.
    #[test]
    fn a_line_defines_what_it_defines_for_the_real_program() {
        let long = format!("K = {}", "x".repeat(2000));
        let long_value = "x".repeat(LINE_BYTES_MAX - 4);
        let rows: &[(&str, Option<&str>)] = &[
            ("K=abc", Some("abc")),
            ("K = abc", Some("abc")),
            ("  K = abc", Some("abc")),
            ("\tK\t=\tabc", Some("abc")),
            ("K = abc  ", Some("abc")),
            ("K = abc\t", Some("abc")),
            ("K = abc\t# x", Some("abc")),
            ("K = abc\tx", None),
            ("K = a b c # d", Some("a b c # d")),
            ("K = \"abc\"", Some("\"abc\"")),
            ("K = 'a b'", Some("'a b'")),
            ("K = ", Some("")),
            ("K =", Some("")),
            ("K abc", None),
            ("K", None),
            ("K = abc\r", Some("abc")),
            ("K == a", Some("= a")),
            ("K = = a", Some("= a")),
            ("K x = a", None),
            ("# K = a", None),
            (" # K = a", None),
            ("; K = a", None),
            ("=x", None),
            ("K = \u{e9}", None),
            ("K\u{e9} = a", None),
            ("\u{feff}K = a", None),
            ("K = a\\", Some("a\\")),
            ("K = a#b", Some("a#b")),
            ("K = #b", Some("#b")),
            ("K = a\0b", Some("a")),
            ("K = a\x0bb", None),
            ("K = a\x7fb", Some("a\x7fb")),
            (&long, Some(&long_value)),
        ];
        for (line, expected) in rows {
            let (definitions, _) = parse(line.as_bytes());
            let value = definitions
                .iter()
                .find(|d| d.key == "K")
                .map(|d| d.value.as_str());
            assert_eq!(value, *expected, "line {line:?}");
        }
    }

    #[test]
    fn complaints_name_the_line_and_empty_lines_are_none() {
        let (definitions, bad) = parse(b"\n  \n\t\r\nA = 1\ngarbage line\n# c\n\nA = 2\nKEY\n");
        let lines: Vec<_> = definitions
            .iter()
            .map(|d| (d.line, d.value.as_str()))
            .collect();
        assert_eq!(lines, [(4, "1"), (8, "2")]);
        let bad: Vec<_> = bad.iter().map(|b| (b.line, b.text.as_str())).collect();
        assert_eq!(bad, [(5, "garbage line"), (9, "KEY")]);
    }
}
