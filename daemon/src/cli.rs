//! The command line that all daemons share (tools-and-cli §12): words in, an [`Invocation`] or an
//! early answer out. Messages are those of MooseFS 3.0.117, byte by byte; that is why no general
//! argument parser is used.

use std::path::PathBuf;
use std::time::Duration;

/// How long `stop` and `restart` wait for the old process unless `-t` says otherwise.
pub const LOCK_TIMEOUT: Duration = Duration::from_secs(1800);

/// What a daemon is called and how it differs from its sisters.
#[derive(Clone, Copy, Debug)]
pub struct Program {
    /// Name in messages, in the lock file's name and in the log: `mfsmaster`.
    pub name: &'static str,
    /// What `-v` prints.
    pub version: &'static str,
    /// Configuration file that is read without `-c`.
    pub default_config: &'static str,
    /// Where the file was before: read, with a warning, when the default one is missing.
    pub old_default_config: &'static str,
    /// Open files that the daemon asks for.
    pub open_files: u64,
    /// Whether the command `restore` exists.
    pub restores: bool,
    /// Options of this daemon only.
    pub options: &'static [ExtraOption],
}

/// An option without argument that only one daemon has.
#[derive(Clone, Copy, Debug)]
pub struct ExtraOption {
    /// The letter.
    pub letter: char,
    /// Its place in the first line of the usage: `[-x [-x]]`.
    pub usage: &'static str,
    /// Its lines in the list below: `-x : produce more verbose output`.
    pub help: &'static [&'static str],
}

/// What the daemon is asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Begin to serve; fails when a process serves already.
    Start,
    /// End the running process in order, and wait for it.
    Stop,
    /// `Stop` if there is a process, then `Start`.
    Restart,
    /// `Restart`, but only if there is a process.
    TryRestart,
    /// Have the running process read its files again.
    Reload,
    /// Have the running process log its state.
    Info,
    /// Say whether a process runs, and its number.
    Test,
    /// End the running process at once.
    Kill,
    /// Load and save the data without serving.
    Restore,
}

impl Command {
    fn from_word(word: &str) -> Option<Command> {
        Some(match word.to_ascii_lowercase().as_str() {
            "start" => Command::Start,
            "stop" => Command::Stop,
            "restart" => Command::Restart,
            "try-restart" => Command::TryRestart,
            "reload" => Command::Reload,
            "info" => Command::Info,
            "test" | "status" => Command::Test,
            "kill" => Command::Kill,
            "restore" => Command::Restore,
            _ => return None,
        })
    }
}

/// A command line that makes sense.
#[derive(Clone, Debug, PartialEq)]
pub struct Invocation {
    /// What to do.
    pub command: Command,
    /// `-c`.
    pub config: Option<PathBuf>,
    /// `-f`: stay in the foreground.
    pub foreground: bool,
    /// `-u`: name every key that is not set.
    pub log_defaults: bool,
    /// Without `-n`: raise the limit of core dumps.
    pub raise_core_limit: bool,
    /// `-t`.
    pub lock_timeout: Duration,
    /// Lines that are due on standard output before anything else.
    pub notices: Vec<String>,
    letters: Vec<char>,
}

impl Invocation {
    /// How often one of the program's own options was given.
    pub fn count(&self, letter: char) -> usize {
        self.letters
            .iter()
            .filter(|&&given| given == letter)
            .count()
    }
}

/// The command line is answered with text only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// For standard output.
    pub output: String,
    /// For standard error.
    pub error: String,
    /// Exit code.
    pub code: u8,
}

/// The usage text; `called_as` is the program's path as the user wrote it.
pub fn usage(program: &Program, called_as: &str) -> String {
    let own: String = program
        .options
        .iter()
        .map(|option| format!(" {}", option.usage))
        .collect();
    let mut text = format!(
        "usage: {called_as} [-vfun] [-t locktimeout] [-c cfgfile]{own} \
         [start|stop|restart|reload|info|test|kill|restore]\n\n\
         -v : print version number and exit\n\
         -f : run in foreground\n\
         -u : log undefined config variables\n\
         -n : do not attempt to increase limit of core dump size\n\
         -t locktimeout : how long wait for lockfile\n\
         -c cfgfile : use given config file\n"
    );
    for line in program.options.iter().flat_map(|option| option.help) {
        text.push_str(line);
        text.push('\n');
    }
    text
}

/// Reads a command line; `args` begins with the program's path. Options may stand anywhere before
/// `--` and may be joined (`-fu`); the first thing that needs an answer decides.
pub fn parse(program: &Program, args: &[String]) -> Result<Invocation, Answer> {
    let called_as = args.first().map_or(program.name, String::as_str);
    let refuse = |error: String| Answer {
        output: usage(program, called_as),
        error,
        code: 1,
    };
    let mut invocation = Invocation {
        command: Command::Start,
        config: None,
        foreground: false,
        log_defaults: false,
        raise_core_limit: true,
        lock_timeout: LOCK_TIMEOUT,
        notices: Vec::new(),
        letters: Vec::new(),
    };
    let mut words: Vec<&str> = Vec::new();
    let mut rest = args.iter().skip(1);
    while let Some(arg) = rest.next() {
        if arg == "--" {
            words.extend(rest.by_ref().map(String::as_str));
            break;
        }
        let Some(letters) = arg.strip_prefix('-').filter(|letters| !letters.is_empty()) else {
            words.push(arg);
            continue;
        };
        let mut letters = letters.chars();
        while let Some(letter) = letters.next() {
            match letter {
                'v' => {
                    let output = format!("{}\n", program.version);
                    return Err(Answer {
                        output,
                        error: String::new(),
                        code: 0,
                    });
                }
                'h' | '?' => return Err(refuse(String::new())),
                'f' => invocation.foreground = true,
                'd' => {
                    // The Debian unit of the metalogger still uses it.
                    let notice = "option '-d' is deprecated - use '-f' instead";
                    invocation.notices.push(notice.to_owned());
                    invocation.foreground = true;
                }
                'u' => invocation.log_defaults = true,
                'n' => invocation.raise_core_limit = false,
                't' | 'c' => {
                    let joined = letters.as_str().to_owned();
                    letters = "".chars();
                    let argument = Some(joined).filter(|joined| !joined.is_empty());
                    let Some(argument) = argument.or_else(|| rest.next().cloned()) else {
                        return Err(refuse(format!(
                            "{called_as}: option requires an argument -- '{letter}'\n"
                        )));
                    };
                    if letter == 'c' {
                        invocation.config = Some(PathBuf::from(argument));
                    } else {
                        // As C reads it: no number is 0.
                        let seconds =
                            crate::config_value::integer(&argument).map_or(0, |l| l.number);
                        invocation.lock_timeout =
                            Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
                    }
                }
                own if program.options.iter().any(|option| option.letter == own) => {
                    invocation.letters.push(own);
                }
                unknown => {
                    return Err(refuse(format!(
                        "{called_as}: invalid option -- '{unknown}'\n"
                    )));
                }
            }
        }
    }
    match words.as_slice() {
        [] => {}
        [word] => match Command::from_word(word) {
            Some(Command::Restore) if !program.restores => return Err(refuse(String::new())),
            Some(command) => invocation.command = command,
            None => return Err(refuse(String::new())),
        },
        _ => return Err(refuse(String::new())),
    }
    Ok(invocation)
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    const PROGRAM: Program = Program {
        name: "mfsmaster",
        version: "version: 3.0.117-1 ; build: 1341",
        default_config: "/etc/mfs/mfsmaster.cfg",
        old_default_config: "/etc/mfsmaster.cfg",
        open_files: 16384,
        restores: true,
        options: &[
            ExtraOption {
                letter: 'i',
                usage: "[-i]",
                help: &["-i : ignore some errors"],
            },
            ExtraOption {
                letter: 'x',
                usage: "[-x [-x]]",
                help: &[
                    "-x : produce more verbose output",
                    "-xx : even more verbose output",
                ],
            },
        ],
    };

    fn run(line: &str) -> Result<Invocation, Answer> {
        let args: Vec<String> = line.split(' ').map(str::to_owned).collect();
        parse(&PROGRAM, &args)
    }

    #[test]
    fn usage_is_that_of_the_real_program() {
        expect![[r#"
            usage: /usr/sbin/mfsmaster [-vfun] [-t locktimeout] [-c cfgfile] [-i] [-x [-x]] [start|stop|restart|reload|info|test|kill|restore]

            -v : print version number and exit
            -f : run in foreground
            -u : log undefined config variables
            -n : do not attempt to increase limit of core dump size
            -t locktimeout : how long wait for lockfile
            -c cfgfile : use given config file
            -i : ignore some errors
            -x : produce more verbose output
            -xx : even more verbose output
        "#]]
        .assert_eq(&usage(&PROGRAM, "/usr/sbin/mfsmaster"));
    }

    /// Recorded from mfsmaster 3.0.117: standard error and exit code; usage goes to standard output.
    #[test]
    fn wrong_lines_are_answered_as_by_the_real_program() {
        let rows = [
            ("mfsmaster -h", ""),
            ("mfsmaster -?", ""),
            ("mfsmaster --help", "mfsmaster: invalid option -- '-'\n"),
            ("mfsmaster -z", "mfsmaster: invalid option -- 'z'\n"),
            (
                "mfsmaster -c",
                "mfsmaster: option requires an argument -- 'c'\n",
            ),
            (
                "mfsmaster start -t",
                "mfsmaster: option requires an argument -- 't'\n",
            ),
            ("mfsmaster bogus", ""),
            ("mfsmaster start stop", ""),
        ];
        for (line, error) in rows {
            let answer = run(line).unwrap_err();
            let expected = Answer {
                output: usage(&PROGRAM, "mfsmaster"),
                error: error.to_owned(),
                code: 1,
            };
            assert_eq!(answer, expected, "{line}");
        }
        assert_eq!(
            run("mfsmaster -v test").unwrap_err(),
            Answer {
                output: "version: 3.0.117-1 ; build: 1341\n".into(),
                error: "".into(),
                code: 0
            }
        );
    }

    /// Command, configuration, foreground, seconds of `-t`, number of `-x`.
    type Expected = (Command, Option<&'static str>, bool, u64, usize);

    #[test]
    fn options_may_be_joined_repeated_and_anywhere() {
        let rows: &[(&str, Expected)] = &[
            ("mfsmaster", (Command::Start, None, false, 1800, 0)),
            ("mfsmaster TEST", (Command::Test, None, false, 1800, 0)),
            ("mfsmaster status", (Command::Test, None, false, 1800, 0)),
            (
                "mfsmaster test -c a.cfg",
                (Command::Test, Some("a.cfg"), false, 1800, 0),
            ),
            (
                "mfsmaster -fuca.cfg -- stop",
                (Command::Stop, Some("a.cfg"), true, 1800, 0),
            ),
            (
                "mfsmaster -xx -x -t 5 kill",
                (Command::Kill, None, false, 5, 3),
            ),
            (
                "mfsmaster -t abc restart",
                (Command::Restart, None, false, 0, 0),
            ),
            ("mfsmaster -d start", (Command::Start, None, true, 1800, 0)),
            (
                "mfsmaster try-restart",
                (Command::TryRestart, None, false, 1800, 0),
            ),
            // The letters behind -t are its argument.
            ("mfsmaster -xxtest", (Command::Start, None, false, 0, 2)),
        ];
        for &(line, (command, config, foreground, timeout, verbose)) in rows {
            let got = run(line).unwrap();
            assert_eq!(got.command, command, "{line}");
            assert_eq!(got.config, config.map(PathBuf::from), "{line}");
            assert_eq!(got.foreground, foreground, "{line}");
            assert_eq!(got.lock_timeout, Duration::from_secs(timeout), "{line}");
            assert_eq!(got.count('x'), verbose, "{line}");
        }
        let notices = run("mfsmaster -d start").unwrap().notices;
        assert_eq!(notices, ["option '-d' is deprecated - use '-f' instead"]);
    }
}
