//! mfsmetarestore: an image and the changelogs behind it become a new image
//! (metadata-and-changelog §4.6, tools-and-cli §14.3). The command line is that of 1.6.27; images
//! and changelogs of every version are taken.

mod command_line;
mod directory;
mod work;

pub use command_line::{Job, Place, Request, USAGE, parse};

use std::process::ExitCode;

/// The whole of the program's `main`.
pub fn run() -> ExitCode {
    let words: Vec<_> = std::env::args_os().skip(1).collect();
    match parse(&words) {
        Ok(Request::Version) => {
            println!("version: 3.0.117-1 ; build: 1341");
            ExitCode::SUCCESS
        }
        Ok(Request::Help) => {
            print!("{USAGE}");
            ExitCode::SUCCESS
        }
        Ok(Request::Work(job)) => match work::restore(&job) {
            Ok(()) => ExitCode::SUCCESS,
            Err(text) => {
                eprintln!("{text}");
                ExitCode::FAILURE
            }
        },
        Err(text) => {
            eprint!("{text}");
            ExitCode::FAILURE
        }
    }
}
