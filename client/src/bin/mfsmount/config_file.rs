//! mfsmount.cfg (client-behaviour §1.4). As in 4.x the command line wins over the file.

use std::path::Path;

use crate::arguments::Arguments;
use crate::options::Options;
use crate::{Failure, Outcome};

const DEFAULT: &str = "/etc/mfs/mfsmount.cfg";
const OLD_DEFAULT: &str = "/etc/mfsmount.cfg";
const NAME: &str = "mfscfgfile=";

/// Reads the files that the command line names, or the default one.
pub fn read_all(arguments: &Arguments, options: &mut Options) -> Outcome<()> {
    let named: Vec<&str> = arguments
        .options
        .iter()
        .filter_map(|option| option.strip_prefix(NAME))
        .collect();
    if named.is_empty() {
        if Path::new(DEFAULT).exists() {
            return read(DEFAULT, options);
        }
        if Path::new(OLD_DEFAULT).exists() {
            eprintln!("default sysconf path has changed - please move {OLD_DEFAULT} to {DEFAULT}");
            return read(OLD_DEFAULT, options);
        }
        return Ok(());
    }
    for path in named {
        read(path, options)?;
    }
    Ok(())
}

fn read(path: &str, options: &mut Options) -> Outcome<()> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        if error.kind() == std::io::ErrorKind::NotFound {
            Failure::new(format!("cfg file ({path}) doesn't exist"))
        } else {
            Failure::new(format!("can't read cfg file ({path}): {error}"))
        }
    })?;
    let arguments = parse(&text)?;
    if let Some(point) = arguments.mount_point.clone() {
        options.default_mount_point = Some(point);
    }
    let mut arguments = arguments;
    arguments.mount_point = None;
    options.take(&arguments)
}

fn parse(text: &str) -> Outcome<Arguments> {
    let mut all = Arguments::default();
    for line in text.lines() {
        if line.starts_with(['#', ';']) {
            continue;
        }
        let line = line.trim_matches([' ', '\t', '\r']);
        match line.chars().next() {
            None => {}
            Some('-') => {
                let one = Arguments::parse(&[line.to_owned()])?;
                all.options.extend(one.options);
                all.foreground |= one.foreground;
                all.debug |= one.debug;
                all.single_thread |= one.single_thread;
                all.no_standard_options |= one.no_standard_options;
                all.ask_password |= one.ask_password;
            }
            Some('/') => all.mount_point = Some(line.to_owned()),
            Some(_) => all.add(line),
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn lines_are_options_arguments_or_the_mount_point() {
        let text = "# comment\n; another\n  mfsmaster=one \n-Htwo\nrw,noatime\n\n/mnt/mfs\n-f\n";
        let parsed = parse(text).unwrap();
        assert_eq!(
            parsed.options,
            ["mfsmaster=one", "mfsmaster=two", "rw", "noatime"]
        );
        assert_eq!(parsed.mount_point.as_deref(), Some("/mnt/mfs"));
        assert!(parsed.foreground);
    }
}
