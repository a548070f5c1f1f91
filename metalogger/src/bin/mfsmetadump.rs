//! mfsmetadump: a metadata file as text.

fn main() -> std::process::ExitCode {
    metalogger::metadump::run()
}
