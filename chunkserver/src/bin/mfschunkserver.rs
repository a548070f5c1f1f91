//! mfschunkserver: keeps chunks and serves them.

use daemon::cli::Program;
use std::process::ExitCode;

const PROGRAM: Program = Program {
    name: "mfschunkserver",
    version: "version: 3.0.117-1 ; build: 1341",
    default_config: "/etc/mfs/mfschunkserver.cfg",
    old_default_config: "/etc/mfschunkserver.cfg",
    open_files: chunkserver::limits::DESCRIPTORS,
    restores: false,
    options: &[],
};

fn main() -> ExitCode {
    daemon::start::run(
        &PROGRAM,
        daemon::keys::chunkserver::table(),
        chunkserver::service::serve,
    )
}
