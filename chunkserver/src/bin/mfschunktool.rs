//! mfschunktool: checks chunk files, repairs and converts them (tools-and-cli §11.4).

use chunkserver::tool::{Options, check};
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

const USAGE: &str = "\
usage: mfschunktool [-frnexv] [-s 5|8] chunk_file ...

  -f : fast: header and last block only
  -r : repair: header from the file name, checksums from the data
  -n : wrong name: rename after the header
  -e : also check checksums of blocks that do not exist (format 1.0)
  -x : print OK for good files
  -s : convert to headers of 5 or 8 KiB, after a check that found nothing
  -v : print version number and exit
  -h : print this and exit
";

fn main() -> ExitCode {
    let mut options = Options::default();
    let mut files: Vec<String> = Vec::new();
    let mut arguments = std::env::args_os()
        .skip(1)
        .map(|argument| argument.to_string_lossy().into_owned());
    while let Some(argument) = arguments.next() {
        let Some(letters) = argument
            .strip_prefix('-')
            .filter(|letters| !letters.is_empty() && files.is_empty())
        else {
            files.push(argument);
            continue;
        };
        for letter in letters.chars() {
            match letter {
                'f' => options.fast = true,
                'r' => options.repair = true,
                'n' => options.rename = true,
                'e' => options.check_missing = true,
                'x' => options.print_ok = true,
                's' => match arguments.next().as_deref() {
                    Some("5") => options.convert = Some(chunkserver::store::layout::Layout::Old),
                    Some("8") => options.convert = Some(chunkserver::store::layout::Layout::New),
                    _ => return usage(1),
                },
                'v' => {
                    print("version: 3.0.117-1 ; build: 1341\n");
                    return ExitCode::SUCCESS;
                }
                'h' => return usage(0),
                _ => return usage(1),
            }
        }
    }
    if files.is_empty() {
        return usage(1);
    }
    let mut code = 0;
    for file in &files {
        let report = check(Path::new(file), options);
        for line in &report.errors {
            eprintln!("{line}");
        }
        for line in &report.lines {
            print(&format!("{line}\n"));
        }
        code |= report.code;
    }
    ExitCode::from(code)
}

fn usage(code: u8) -> ExitCode {
    print(USAGE);
    ExitCode::from(code)
}

/// Standard output may be closed; there is nobody to tell.
fn print(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
}
