//! mfsmaster: the metadata server.

use daemon::cli::{ExtraOption, Program};
use std::process::ExitCode;

const PROGRAM: Program = Program {
    name: "mfsmaster",
    version: "version: 3.0.117-1 ; build: 1341",
    default_config: "/etc/mfs/mfsmaster.cfg",
    old_default_config: "/etc/mfsmaster.cfg",
    open_files: 16_384,
    restores: true,
    options: &[
        ExtraOption {
            letter: 'i',
            usage: "[-i]",
            help: &[
                "-i : ignore some metadata structure errors (attach orphans to root, ignore names without inode, etc.). DO NOT USE unless you are absoluttely sure that there are no other options to restore your metadata.",
            ],
        },
        ExtraOption {
            letter: 'a',
            usage: "[-a]",
            help: &["-a : automatically restore metadata from change logs"],
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

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args_os()
        .skip(1)
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    if let Some(code) = master::ha::command(&words, PROGRAM.default_config) {
        return code;
    }
    daemon::start::run(
        &PROGRAM,
        daemon::keys::master::table(),
        master::service::serve,
    )
}
