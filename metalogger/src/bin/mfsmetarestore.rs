//! mfsmetarestore: an image and changelogs become a newer image.

use std::process::ExitCode;

fn main() -> ExitCode {
    metalogger::restore::run()
}
