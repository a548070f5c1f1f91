//! start, stop, reload, … of a daemon as a whole. The expected texts and exit codes were recorded from
//! mfsmaster 3.0.117 (numbers of processes and paths replaced).

// Helpers of tests may panic, too; clippy exempts only the test functions themselves.
#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// A data directory with a configuration; what still runs there is killed at the end.
struct Place {
    dir: PathBuf,
}

impl Place {
    fn new(name: &str) -> Place {
        let dir = std::env::temp_dir().join(format!("tiny-{name}-{}", std::process::id()));
        std::fs::create_dir_all(dir.join("data")).unwrap();
        let place = Place { dir };
        place.configure("");
        place
    }

    fn data(&self) -> PathBuf {
        self.dir.join("data")
    }

    fn configure(&self, more: &str) {
        // Root for the user, so that the test needs no other account; NICE_LEVEL 0 so that it needs no rights.
        let text = format!(
            "DATA_PATH = {}\nWORKING_USER = root\nWORKING_GROUP = \nNICE_LEVEL = 0\nDISABLE_OOM_KILLER = 0\n{more}",
            self.data().display()
        );
        std::fs::write(self.dir.join("m.cfg"), text).unwrap();
    }

    /// Runs a command line to its end: exit code, standard output, standard error.
    fn run(&self, args: &str) -> (i32, String, String) {
        let output = Command::new(tiny())
            .arg("-c")
            .arg(self.dir.join("m.cfg"))
            .args(args.split_whitespace())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (
            output.status.code().unwrap(),
            text(output.stdout),
            self.plain(&text(output.stderr)),
        )
    }

    /// Standard error of a command that prints nothing else, with its exit code.
    fn case(&self, args: &str, code: i32, error: &str) {
        assert_eq!(
            self.run(args),
            (code, String::new(), error.to_owned()),
            "{args}"
        );
    }

    fn pid(&self) -> String {
        let text = std::fs::read_to_string(self.data().join(".mfsmaster.lock")).unwrap_or_default();
        text.trim().to_owned()
    }

    /// Numbers of processes and paths replaced, lines that depend on the machine left out.
    fn plain(&self, text: &str) -> String {
        let mut text = text.replace(&self.data().display().to_string(), "DATA");
        let numbers: Vec<String> = text
            .split(|c: char| !c.is_ascii_digit())
            .filter(|digits| digits.len() > 2)
            .map(str::to_owned)
            .collect();
        for number in numbers {
            text = text
                .replace(&format!("pid:{number}"), "pid:PID")
                .replace(&format!("pid: {number}"), "pid: PID");
        }
        text.lines()
            .filter(|line| !line.starts_with("open files limit"))
            .map(|line| format!("{line}\n"))
            .collect()
    }

    fn wait_for_note(&self, note: &str) {
        let begin = Instant::now();
        let file = self.data().join("notes.txt");
        while !std::fs::read_to_string(&file)
            .unwrap_or_default()
            .lines()
            .any(|line| line == note)
        {
            assert!(
                begin.elapsed() < Duration::from_secs(10),
                "no note {note:?}"
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.run("kill");
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

fn tiny() -> PathBuf {
    let deps = std::env::current_exe().unwrap();
    deps.ancestors().nth(2).unwrap().join("examples/tiny")
}

const STARTED: &str = "working directory: DATA\nlockfile created and locked\n\
     initializing mfsmaster modules ...\nmfsmaster daemon initialized properly\n";

#[test]
fn without_a_process_the_commands_say_so() {
    let place = Place::new("none");
    place.case("test", 1, "mfsmaster is not running\n");
    place.case("status", 1, "mfsmaster is not running\n");
    place.case("stop", 0, "can't find process to terminate\n");
    place.case("kill", 0, "can't find process to terminate\n");
    place.case("reload", 1, "can't find process to send reload signal\n");
    place.case("info", 1, "can't find process to send info signal\n");
    place.case(
        "try-restart",
        1,
        "working directory: DATA\ncan't find process to restart\n",
    );
    assert!(!place.data().join("notes.txt").exists(), "nothing has run");
}

#[test]
fn a_life_from_start_to_stop() {
    let place = Place::new("life");
    place.case("start", 0, STARTED);
    let first = place.pid();
    place.case("test", 0, "mfsmaster pid: PID\n");
    place.case(
        "start",
        1,
        "working directory: DATA\ncan't start: lockfile is already locked by another process\n",
    );
    place.case("info", 0, "info signal has been sent\n");
    place.wait_for_note("info");

    let restarted = "working directory: DATA\nsending SIGTERM to lock owner (pid:PID)\n\
         waiting for termination terminated\ninitializing mfsmaster modules ...\n\
         mfsmaster daemon initialized properly\n";
    place.case("restart", 0, restarted);
    place.case("try-restart", 0, restarted);
    assert_ne!(place.pid(), first);

    place.case(
        "stop",
        0,
        "sending SIGTERM to lock owner (pid:PID)\nwaiting for termination terminated\n",
    );
    place.case("test", 1, "mfsmaster is not running\n");
    let notes = std::fs::read_to_string(place.data().join("notes.txt")).unwrap();
    assert_eq!(notes, "info\nstopped\nstopped\nstopped\n");
    assert!(
        place.data().join(".mfsmaster.lock").exists(),
        "the lock file stays"
    );
}

#[test]
fn a_reload_takes_what_may_change_and_keeps_the_rest() {
    let place = Place::new("reload");
    place.case("start", 0, STARTED);
    place.configure("BACK_LOGS = 7\nLOCK_MEMORY = 1\n");
    place.case("reload", 0, "reload signal has been sent\n");
    place.wait_for_note("reload BACK_LOGS=7 LOCK_MEMORY=false");
}

#[test]
fn a_process_that_hangs_is_given_up_and_can_be_killed() {
    let place = Place::new("hang");
    place.case("start", 0, STARTED);
    let stopped = Command::new("kill")
        .args(["-STOP", &place.pid()])
        .status()
        .unwrap();
    assert!(stopped.success());
    place.case(
        "-t 0 stop",
        1,
        "sending SIGTERM to lock owner (pid:PID)\nwaiting for termination :giving up\n",
    );
    place.case(
        "kill",
        0,
        "sending SIGKILL to lock owner (pid:PID)\nwaiting for termination terminated\n",
    );
    place.case("test", 1, "mfsmaster is not running\n");
}

#[test]
fn a_start_that_fails_says_why_and_exits_1() {
    let place = Place::new("fail");
    place.case(
        "-a start",
        1,
        "working directory: DATA\nlockfile created and locked\ninitializing mfsmaster modules ...\n\
         init: metadata manager failed !!!\nerror occurred during initialization - exiting\n",
    );
    place.configure("DATA_PATH = /nosuchdir\n");
    let again =
        "/m.cfg: DATA_PATH is defined in line 1 and again in line 6; '/nosuchdir' is used\n";
    let (code, _, error) = place.run("start");
    assert_eq!(code, 1);
    let (warning, rest) = error.split_at(error.find(again).unwrap() + again.len());
    assert_eq!(warning, format!("{}{again}", place.dir.display()));
    assert_eq!(
        rest,
        "working directory: /nosuchdir\ncan't set working directory to /nosuchdir\n"
    );
    place.case("stop", 1, "can't set working directory to /nosuchdir\n");
}

#[test]
fn configuration_files_that_are_missing() {
    let run = |args: &[&str]| {
        let output = Command::new(tiny())
            .args(args)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        (
            output.status.code().unwrap(),
            String::from_utf8(output.stderr).unwrap(),
        )
    };
    assert_eq!(
        run(&["-c", "/nosuch.cfg", "test"]),
        (1, "main config file (/nosuch.cfg) not found\n".to_owned())
    );
    let default = Path::new("/nonexistent/mfs/mfsmaster.cfg");
    let (_, error) = run(&["test"]);
    let expected = format!(
        "main config file ({0}) not found\ncan't load config file: {0} - using defaults\n",
        default.display()
    );
    assert!(error.starts_with(&expected), "{error}");
}

#[test]
fn in_the_foreground_the_start_is_plain_and_the_rest_has_the_log_form() {
    let place = Place::new("front");
    let mut child = Command::new(tiny())
        .arg("-fc")
        .arg(place.dir.join("m.cfg"))
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let begin = Instant::now();
    while !place.run("info").2.contains("has been sent") {
        assert!(
            begin.elapsed() < Duration::from_secs(10),
            "it does not start"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(place.pid(), child.id().to_string());
    // A signal before the handlers are there is ignored: ask until one arrives.
    while !place.data().join("notes.txt").exists() {
        assert!(
            begin.elapsed() < Duration::from_secs(10),
            "it does not answer"
        );
        place.run("info");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(
        Command::new("kill")
            .args(["-INT", &place.pid()])
            .status()
            .unwrap()
            .success()
    );
    assert!(child.wait().unwrap().success());
    let mut error = String::new();
    std::io::Read::read_to_string(&mut child.stderr.take().unwrap(), &mut error).unwrap();
    let error = place
        .plain(&error)
        .replace(&format!("[{}]", child.id()), "[PID]");
    let (start, rest) = error.split_at(error.find("mfsmaster[PID]: info").unwrap());
    assert!(start.ends_with(STARTED), "{start}");
    assert!(
        rest.ends_with(
            "mfsmaster[PID]: terminate signal received\nmfsmaster[PID]: stopped\n\
             mfsmaster[PID]: process exited successfully (status:0)\n"
        ),
        "{rest}"
    );
}
