//! mfsmetalogger: follows a master and keeps what restores it.

use daemon::cli::Program;
use std::process::ExitCode;

const PROGRAM: Program = Program {
    name: "mfsmetalogger",
    version: "version: 3.0.117-1 ; build: 1341",
    default_config: "/etc/mfs/mfsmetalogger.cfg",
    old_default_config: "/etc/mfsmetalogger.cfg",
    open_files: 4096,
    restores: false,
    options: &[],
};

fn main() -> ExitCode {
    daemon::start::run(
        &PROGRAM,
        daemon::keys::metalogger::table(),
        metalogger::service::serve,
    )
}
