//! `mfsmaster ha …`: the operator's commands to a running node.

use daemon::config::Config;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// What there is.
pub const USAGE: &str = "usage: mfsmaster ha [-c CONFIG] COMMAND\n\
    status [--json]    state of the cluster; 0 = complete, 1 = degraded, 2 = no leader\n\
    role               leader or follower\n\
    promote NODE       (on the leader) give the leadership to a node\n\
    handover [NODE]    (on the leader) give the leadership to a node, or to the best one\n\
    demote             (on the leader) the same as handover\n\
    image              write an image now\n";

/// Runs the command if the words after the program's name begin with `ha`.
pub fn run(words: &[String], default_config: &str) -> Option<ExitCode> {
    let [first, rest @ ..] = words else {
        return None;
    };
    if first != "ha" {
        return None;
    }
    let (config, rest): (PathBuf, &[String]) = match rest {
        [option, path, rest @ ..] if option == "-c" => (PathBuf::from(path), rest),
        _ => (PathBuf::from(default_config), rest),
    };
    if rest.is_empty() || rest[0] == "--help" || rest[0] == "-h" {
        print!("{USAGE}");
        return Some(ExitCode::from(u8::from(rest.is_empty())));
    }
    let config = match Config::load(daemon::keys::master::table(), &config) {
        Ok(config) => config,
        Err(error) => {
            eprintln!("{error}");
            return Some(ExitCode::from(2));
        }
    };
    match super::control::ask(Path::new(config.text("DATA_PATH")), rest) {
        Ok((code, text)) => {
            print!("{text}");
            Some(ExitCode::from(code))
        }
        Err(error) => {
            eprintln!("{error}");
            Some(ExitCode::from(2))
        }
    }
}
