//! The command line as words with meaning (client-behaviour §1.1, §1.2).

use crate::{Failure, Outcome};

/// What the command line says, in its order.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Arguments {
    /// Words of all `-o`, and short options as their long forms.
    pub options: Vec<String>,
    /// Where to mount.
    pub mount_point: Option<String>,
    /// `-f`.
    pub foreground: bool,
    /// `-d`.
    pub debug: bool,
    /// `-s`.
    pub single_thread: bool,
    /// `-n`.
    pub no_standard_options: bool,
    /// `-p`.
    pub ask_password: bool,
    /// `-h`.
    pub help: bool,
    /// `-V`.
    pub version: bool,
}

/// Placeholder of systems that insist on a source.
const MAGIC: &str = "mfsmount_magic";

/// Short options with a value and what they stand for.
const VALUES: [(char, &str); 6] = [
    ('c', "mfscfgfile"),
    ('H', "mfsmaster"),
    ('P', "mfsport"),
    ('B', "mfsbind"),
    ('L', "mfsproxy"),
    ('S', "mfssubfolder"),
];

impl Arguments {
    /// Reads the words behind the program's name.
    pub fn parse(words: &[String]) -> Outcome<Arguments> {
        let mut arguments = Arguments::default();
        let mut words = words.iter().map(String::as_str).peekable();
        // Only the first word that is not an -o can be the source.
        let mut leading = Vec::new();
        while let Some(word) = words.next_if(|word| word.starts_with("-o")) {
            match word.strip_prefix("-o") {
                Some("") => leading.extend(words.next()),
                Some(value) => leading.push(value),
                None => {}
            }
        }
        for value in leading {
            arguments.add(value);
        }
        if let Some(source) = words.next_if(|word| is_source(word)) {
            arguments.add_source(source);
        }
        while let Some(word) = words.next() {
            match word {
                MAGIC => {}
                "--help" => arguments.help = true,
                "--version" => arguments.version = true,
                "--meta" => arguments.options.push("mfsmeta".to_owned()),
                "--password" => arguments.ask_password = true,
                "--nostdopts" => arguments.no_standard_options = true,
                "--" => {}
                word if word.len() > 1 && word.starts_with('-') => {
                    arguments.add_short(&word[1..], &mut words)?;
                }
                point if arguments.mount_point.is_none() => {
                    arguments.mount_point = Some(point.to_owned());
                }
                other => {
                    return Err(Failure::new(format!("fuse: invalid argument `{other}'")));
                }
            }
        }
        Ok(arguments)
    }

    fn add_short<'a>(
        &mut self,
        word: &'a str,
        words: &mut impl Iterator<Item = &'a str>,
    ) -> Outcome<()> {
        let mut rest = word.chars();
        while let Some(letter) = rest.next() {
            let with_value = VALUES.iter().find(|(short, _)| *short == letter);
            if letter == 'o' || with_value.is_some() {
                let value = match rest.as_str() {
                    "" => words.next().ok_or_else(|| {
                        Failure::new(format!("fuse: missing argument after `-{letter}'"))
                    })?,
                    value => value,
                };
                match with_value {
                    Some((_, name)) => self.options.push(format!("{name}={value}")),
                    None => self.add(value),
                }
                return Ok(());
            }
            match letter {
                'm' => self.options.push("mfsmeta".to_owned()),
                'p' => self.ask_password = true,
                'n' => self.no_standard_options = true,
                'f' => self.foreground = true,
                'd' => {
                    self.debug = true;
                    self.foreground = true;
                }
                's' => self.single_thread = true,
                'h' => self.help = true,
                'V' => self.version = true,
                other => {
                    return Err(Failure::new(format!("fuse: unknown option(s): `-{other}'")));
                }
            }
        }
        Ok(())
    }

    /// A comma list of options; `\,` is a comma inside one.
    pub fn add(&mut self, list: &str) {
        let mut word = String::new();
        let mut letters = list.chars();
        while let Some(letter) = letters.next() {
            match letter {
                ',' => self.options.push(std::mem::take(&mut word)),
                '\\' => word.extend(letters.next()),
                other => word.push(other),
            }
        }
        self.options.push(word);
        self.options.retain(|word| !word.is_empty());
    }

    /// `HOST:PATH` or `HOST:PORT:PATH`.
    fn add_source(&mut self, source: &str) {
        let (host, rest) = source.split_once(':').unwrap_or((source, ""));
        self.options.push(format!("mfsmaster={host}"));
        let path = match rest.split_once(':') {
            Some((port, path)) => {
                if !port.is_empty() {
                    self.options.push(format!("mfsport={port}"));
                }
                path
            }
            None => rest,
        };
        if !path.is_empty() {
            self.options.push(format!("mfssubfolder={path}"));
        }
    }
}

fn is_source(word: &str) -> bool {
    let Some((host, rest)) = word.split_once(':') else {
        return false;
    };
    let is_host = |letter: char| letter.is_ascii_alphanumeric() || letter == '-' || letter == '.';
    if host.is_empty() || host.starts_with('-') || !host.chars().all(is_host) {
        return false;
    }
    match rest.split_once(':') {
        Some((port, _)) => port.chars().all(|letter| letter.is_ascii_digit()),
        None => true,
    }
}

#[cfg(test)]
mod tests {
    use super::Arguments;

    fn parse(line: &str) -> Arguments {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        Arguments::parse(&words).unwrap()
    }

    #[test]
    fn forms_of_the_command_line() {
        for (line, options, point) in [
            ("-H master /mnt", &["mfsmaster=master"][..], "/mnt"),
            (
                "-Hmaster -P9421 /mnt",
                &["mfsmaster=master", "mfsport=9421"],
                "/mnt",
            ),
            ("host: /mnt", &["mfsmaster=host"], "/mnt"),
            (
                "host:sub/dir /mnt",
                &["mfsmaster=host", "mfssubfolder=sub/dir"],
                "/mnt",
            ),
            (
                "h-1.x:9500:/sub /mnt -o rw,noatime",
                &[
                    "mfsmaster=h-1.x",
                    "mfsport=9500",
                    "mfssubfolder=/sub",
                    "rw",
                    "noatime",
                ],
                "/mnt",
            ),
            (
                "host::/sub /mnt",
                &["mfsmaster=host", "mfssubfolder=/sub"],
                "/mnt",
            ),
            (
                "-o mfsmaster=x,rw host: /mnt",
                &["mfsmaster=x", "rw", "mfsmaster=host"],
                "/mnt",
            ),
            ("-omfsmaster=x /mnt", &["mfsmaster=x"], "/mnt"),
            ("mfsmount_magic /mnt -m", &["mfsmeta"], "/mnt"),
            (
                "/mnt -S /a -c cfg",
                &["mfssubfolder=/a", "mfscfgfile=cfg"],
                "/mnt",
            ),
            ("/mnt -o a\\,b,c", &["a,b", "c"], "/mnt"),
        ] {
            let arguments = parse(line);
            assert_eq!(arguments.options, options, "{line}");
            assert_eq!(arguments.mount_point.as_deref(), Some(point), "{line}");
        }
        let flags = parse("-fsnp /mnt");
        assert!(flags.foreground && flags.single_thread);
        assert!(flags.no_standard_options && flags.ask_password);
        assert!(parse("--help").help && parse("-V").version);
    }

    #[test]
    fn nonsense_is_refused() {
        for line in ["-z /mnt", "/mnt /other", "/mnt -H"] {
            let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
            assert!(Arguments::parse(&words).is_err(), "{line}");
        }
    }
}
