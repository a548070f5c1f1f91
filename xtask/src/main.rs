//! The project's commands: `cargo xtask demo`, `cargo xtask test`.

mod packages;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

const USAGE: &str = "\
usage: cargo xtask COMMAND

  demo [--keep]   start a cluster on this machine, use it, compare; --keep leaves it running
  down            take down what demo --keep left
  test [--long]   every test; --long adds those that take longer than a minute each
  bench [ARGS]    our master and the real one in one interleaved run
";

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let command = arguments.next().unwrap_or_default();
    let rest: Vec<String> = arguments.collect();
    let done = match command.as_str() {
        "demo" => demo(&rest),
        "down" => down(),
        "test" => test(rest.iter().any(|argument| argument == "--long")),
        "bench" => bench(&rest),
        _ => {
            eprint!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("xtask: {why}");
            ExitCode::FAILURE
        }
    }
}

fn demo(arguments: &[String]) -> Result<(), String> {
    packages::install()?;
    build_programs()?;
    run(cargo()
        .args(["run", "--quiet", "--package", "lab", "--bin", "demo", "--"])
        .args(arguments))
}

fn down() -> Result<(), String> {
    run(cargo().args(["run", "--quiet", "--package", "lab", "--bin", "down"]))
}

fn test(long: bool) -> Result<(), String> {
    packages::install()?;
    build_programs()?;
    let mut command = cargo();
    command.args(["test", "--workspace", "--no-fail-fast"]);
    if long {
        command.env("LAB_LONG", "1");
    }
    run(&mut command)
}

fn bench(arguments: &[String]) -> Result<(), String> {
    packages::install()?;
    build_programs()?;
    run(cargo()
        .args(["run", "--quiet", "--release", "--package", "benches", "--"])
        .args(arguments))
}

/// The programs that the lab runs, optimised.
fn build_programs() -> Result<(), String> {
    run(cargo().args([
        "build",
        "--quiet",
        "--release",
        "--package",
        "client",
        "--package",
        "master",
        "--package",
        "metalogger",
        "--package",
        "chunkserver",
    ]))
}

fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(workspace());
    command
}

fn workspace() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_owned()
}

/// Runs a command that has to succeed.
fn run(command: &mut Command) -> Result<(), String> {
    let status = command
        .status()
        .map_err(|error| format!("can't run {command:?}: {error}"))?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("{command:?}: {status}"))
    }
}
