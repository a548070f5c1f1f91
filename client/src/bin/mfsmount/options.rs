//! Options of a mount with their defaults, limits and checks (client-behaviour §1.3, §1.6).

use std::net::Ipv4Addr;
use std::time::Duration;

use client::Labels;
use client::fuse::{CacheMode, is_generic};
use client::session::{PasswordDigest, digest_password};

use crate::arguments::Arguments;
use crate::{Failure, Outcome};

/// Everything that can be said about a mount.
#[derive(Clone, Debug)]
pub struct Options {
    pub master: String,
    pub port: String,
    pub bind: Option<String>,
    pub proxy: String,
    pub subfolder: String,
    pub password: Option<String>,
    pub password_file: Option<String>,
    pub md5_password: Option<String>,
    pub forget_password: bool,
    pub delayed_init: bool,
    pub meta: bool,
    pub flat_trash: bool,
    pub attr_timeout: f64,
    pub entry_timeout: f64,
    pub dir_entry_timeout: f64,
    pub negative_timeout: f64,
    pub symlink_timeout: f64,
    pub xattr_timeout: f64,
    pub groups_timeout: f64,
    pub cache_mode: Option<String>,
    pub cache_files: bool,
    pub mkdir_copy_sgid: u32,
    pub sugid_clear_mode: Option<String>,
    pub write_cache_mib: u64,
    pub read_ahead_mib: u64,
    pub read_ahead_length: u64,
    pub read_ahead_trigger: Option<u64>,
    pub fsync_min_time: f64,
    pub fsync_before_close: bool,
    pub io_retries: u32,
    pub timeout: u64,
    pub log_retry: u32,
    pub error_on_lost_chunk: bool,
    pub error_on_no_space: bool,
    pub labels: Option<String>,
    pub no_xattrs: bool,
    pub no_posix_locks: bool,
    pub no_bsd_locks: bool,
    pub file_limit: u64,
    pub nice: i32,
    pub memory_lock: bool,
    pub limit_arenas: u32,
    pub allow_oom_killer: bool,
    pub suid: bool,
    pub dev: bool,
    pub mfs_debug: bool,
    pub nonempty: bool,
    pub foreground: bool,
    pub single_thread: bool,
    pub no_standard_options: bool,
    pub ask_password: bool,
    pub mount_point: Option<String>,
    pub default_mount_point: Option<String>,
    pub max_threads: Option<usize>,
    pub fsname: Option<String>,
    pub subtype: Option<String>,
    pub auto_unmount: bool,
    /// Options of the kernel for every file system.
    pub generic: Vec<String>,
    /// Options of the kernel for FUSE.
    pub fuse: Vec<String>,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            master: "mfsmaster".to_owned(),
            port: "9421".to_owned(),
            bind: None,
            proxy: "127.0.0.1".to_owned(),
            subfolder: "/".to_owned(),
            password: None,
            password_file: None,
            md5_password: None,
            forget_password: false,
            delayed_init: false,
            meta: false,
            flat_trash: false,
            attr_timeout: 1.0,
            entry_timeout: 0.0,
            dir_entry_timeout: 1.0,
            negative_timeout: 0.0,
            symlink_timeout: 300.0,
            xattr_timeout: 30.0,
            groups_timeout: 300.0,
            cache_mode: None,
            cache_files: false,
            mkdir_copy_sgid: 1,
            sugid_clear_mode: None,
            write_cache_mib: 256,
            read_ahead_mib: 256,
            read_ahead_length: 1 << 20,
            read_ahead_trigger: None,
            fsync_min_time: 0.0,
            fsync_before_close: false,
            io_retries: 30,
            timeout: 0,
            log_retry: 5,
            error_on_lost_chunk: false,
            error_on_no_space: false,
            labels: None,
            no_xattrs: false,
            no_posix_locks: false,
            no_bsd_locks: false,
            file_limit: 100_000,
            nice: -19,
            memory_lock: false,
            limit_arenas: 4,
            allow_oom_killer: false,
            suid: false,
            dev: false,
            mfs_debug: false,
            nonempty: false,
            foreground: false,
            single_thread: false,
            no_standard_options: false,
            ask_password: false,
            mount_point: None,
            default_mount_point: None,
            max_threads: None,
            fsname: None,
            subtype: None,
            auto_unmount: false,
            generic: Vec::new(),
            fuse: Vec::new(),
        }
    }
}

/// Longest time of a cache, seconds.
const CACHE_SECONDS_MAX: f64 = 86_400.0;
/// Bytes of a password file that count.
const PASSWORD_BYTES_MAX: usize = 1023;

fn number<T: std::str::FromStr>(name: &str, value: &str) -> Outcome<T> {
    value.parse().map_err(|_| {
        Failure::new(format!(
            "fuse: invalid parameter in option `{name}={value}'"
        ))
    })
}

impl Options {
    /// Adds what the words say; later ones win.
    pub fn take(&mut self, arguments: &Arguments) -> Outcome<()> {
        self.foreground |= arguments.foreground;
        self.mfs_debug |= arguments.debug;
        self.single_thread |= arguments.single_thread;
        self.no_standard_options |= arguments.no_standard_options;
        self.ask_password |= arguments.ask_password;
        if arguments.mount_point.is_some() {
            self.mount_point.clone_from(&arguments.mount_point);
        }
        for option in &arguments.options {
            match option.split_once('=') {
                Some((name, value)) => self.set_value(name, value, option)?,
                None => self.set_flag(option)?,
            }
        }
        Ok(())
    }

    fn set_value(&mut self, name: &str, value: &str, option: &str) -> Outcome<()> {
        let text = || Some(value.to_owned());
        match name {
            "mfsmaster" => self.master = value.to_owned(),
            "mfsport" => self.port = value.to_owned(),
            "mfsbind" => self.bind = text(),
            "mfsproxy" => self.proxy = value.to_owned(),
            "mfssubfolder" => self.subfolder = value.to_owned(),
            "mfspassword" => self.password = text(),
            "mfspassfile" => self.password_file = text(),
            "mfsmd5pass" => self.md5_password = text(),
            "mfscfgfile" => {}
            "mfsattrcacheto" => self.attr_timeout = number(name, value)?,
            "mfsentrycacheto" => self.entry_timeout = number(name, value)?,
            "mfsdirentrycacheto" => self.dir_entry_timeout = number(name, value)?,
            "mfsnegentrycacheto" => self.negative_timeout = number(name, value)?,
            "mfssymlinkcacheto" => self.symlink_timeout = number(name, value)?,
            "mfsxattrcacheto" => self.xattr_timeout = number(name, value)?,
            "mfsgroupscacheto" => self.groups_timeout = number(name, value)?,
            "mfscachemode" => self.cache_mode = text(),
            "mfsmkdircopysgid" => self.mkdir_copy_sgid = number(name, value)?,
            "mfssugidclearmode" => self.sugid_clear_mode = text(),
            "mfswritecachesize" => self.write_cache_mib = number(name, value)?,
            "mfsreadaheadsize" => self.read_ahead_mib = number(name, value)?,
            "mfsreadaheadleng" => self.read_ahead_length = number(name, value)?,
            "mfsreadaheadtrigger" => self.read_ahead_trigger = Some(number(name, value)?),
            "mfsfsyncmintime" => self.fsync_min_time = number(name, value)?,
            "mfsioretries" => self.io_retries = number(name, value)?,
            "mfstimeout" => self.timeout = number(name, value)?,
            "mfslogretry" => self.log_retry = number(name, value)?,
            "mfspreflabels" => self.labels = text(),
            "mfsrlimitnofile" => self.file_limit = number(name, value)?,
            "mfsnice" => self.nice = number(name, value)?,
            "mfslimitarenas" => self.limit_arenas = number(name, value)?,
            "max_threads" => self.max_threads = Some(number(name, value)?),
            "fsname" => self.fsname = text(),
            "subtype" => self.subtype = text(),
            "max_read" => self.fuse.push(option.to_owned()),
            // Of libfuse: how many threads wait for work, which costs nothing here.
            "max_idle_threads" => {}
            _ => return Err(unknown(option)),
        }
        Ok(())
    }

    fn set_flag(&mut self, option: &str) -> Outcome<()> {
        match option {
            "mfsdonotrememberpassword" => self.forget_password = true,
            "mfsdelayedinit" => self.delayed_init = true,
            "mfsmeta" => self.meta = true,
            "mfsflattrash" => self.flat_trash = true,
            "mfscachefiles" => self.cache_files = true,
            "mfsfsyncbeforeclose" => self.fsync_before_close = true,
            "mfserroronlostchunk" => self.error_on_lost_chunk = true,
            "mfserroronnospace" => self.error_on_no_space = true,
            "mfsnoxattrs" | "mfsnoxattr" => self.no_xattrs = true,
            "mfsnoposixlocks" | "mfsnoposixlock" => self.no_posix_locks = true,
            "mfsnobsdlocks" | "mfsnobsdlock" => self.no_bsd_locks = true,
            "mfsmemlock" => self.memory_lock = true,
            "mfsallowoomkiller" => self.allow_oom_killer = true,
            "mfssuid" => self.suid = true,
            "mfsdev" => self.dev = true,
            "mfsdebug" => self.mfs_debug = true,
            "nonempty" => self.nonempty = true,
            "debug" => {
                self.mfs_debug = true;
                self.foreground = true;
            }
            "auto_unmount" => self.auto_unmount = true,
            "allow_other" | "allow_root" | "default_permissions" => {
                self.fuse.push(option.to_owned());
            }
            // Mean something to mount(8) only, or are always so.
            "_netdev" | "defaults" | "auto" | "noauto" | "user" | "nouser" | "users" | "nofail"
            | "clone_fd" => {}
            other if is_generic(other) => self.generic.push(other.to_owned()),
            other => return Err(unknown(other)),
        }
        Ok(())
    }

    /// Checks that need neither mount point nor network, and puts values into their limits.
    pub fn check(&mut self) -> Outcome<()> {
        if self.mount_point.is_none() {
            self.mount_point = self.default_mount_point.take();
        }
        if self.mount_point.is_none() {
            return Err(Failure::new("no mount point\nsee: mfsmount -h for help"));
        }
        self.cache_mode()?;
        self.sugid_clear()?;
        let timeouts = [
            ("attribute cache timeout", &mut self.attr_timeout),
            ("entry cache timeout", &mut self.entry_timeout),
            ("directory entry cache timeout", &mut self.dir_entry_timeout),
            ("negative entry cache timeout", &mut self.negative_timeout),
            ("symlink cache timeout", &mut self.symlink_timeout),
            ("xattr cache timeout", &mut self.xattr_timeout),
            ("groups cache timeout", &mut self.groups_timeout),
        ];
        for (what, value) in timeouts {
            let limited = if value.is_finite() {
                value.clamp(0.0, CACHE_SECONDS_MAX)
            } else {
                0.0
            };
            if limited != *value {
                eprintln!("unexpected {what} ({value:.2}) - changed to {limited:.2}");
                *value = limited;
            }
        }
        limit(
            "write cache size",
            " MiB",
            &mut self.write_cache_mib,
            16,
            2048,
        );
        limit(
            "read ahead size",
            " MiB",
            &mut self.read_ahead_mib,
            16,
            2048,
        );
        limit(
            "read ahead length",
            " B",
            &mut self.read_ahead_length,
            131_072,
            2_097_152,
        );
        self.preferred_labels().map(|_| ())
    }

    /// How pages are cached.
    pub fn cache_mode(&self) -> Outcome<CacheMode> {
        let Some(word) = &self.cache_mode else {
            return Ok(if self.cache_files {
                CacheMode::Yes
            } else {
                CacheMode::Auto
            });
        };
        if self.cache_files {
            return Err(Failure::new(
                "mfscachemode and mfscachefiles options are exclusive - use only mfscachemode\n\
                 see: mfsmount -h for help",
            ));
        }
        match word.to_ascii_uppercase().as_str() {
            "AUTO" => Ok(CacheMode::Auto),
            "YES" | "ALWAYS" => Ok(CacheMode::Yes),
            "NO" | "NONE" | "NEVER" => Ok(CacheMode::No),
            "DIRECT" => Ok(CacheMode::Direct),
            _ => Err(Failure::new(format!(
                "unrecognized cachemode option ({word})\nsee: mfsmount -h for help"
            ))),
        }
    }

    /// How chown clears set-user-id and set-group-id bits.
    pub fn sugid_clear(&self) -> Outcome<u8> {
        const NAMES: [&str; 6] = ["NEVER", "ALWAYS", "OSX", "BSD", "EXT", "XFS"];
        let word = self.sugid_clear_mode.as_deref().unwrap_or("EXT");
        let upper = word.to_ascii_uppercase();
        NAMES
            .iter()
            .position(|name| *name == upper)
            .map(|number| number as u8)
            .ok_or_else(|| {
                Failure::new(format!(
                    "unrecognized sugidclearmode option ({word})\nsee: mfsmount -h for help"
                ))
            })
    }

    /// Preferred chunkservers.
    pub fn preferred_labels(&self) -> Outcome<Labels> {
        match &self.labels {
            None => Ok(Labels::default()),
            Some(text) => text
                .parse()
                .map_err(|error| Failure::new(format!("mfspreflabels: {error}"))),
        }
    }

    /// MD5 of the password, from whichever option gives it. The text is wiped.
    pub fn take_password(&mut self) -> Outcome<Option<PasswordDigest>> {
        let clash = self.password_file.is_some()
            && (self.password.is_some() || self.md5_password.is_some());
        if clash {
            return Err(Failure::new(
                "mfspassfile option is mutually exclusive with mfspassword and mfsmd5pass\n\
                 see: mfsmount -h for help",
            ));
        }
        if let Some(text) = self.password.take() {
            self.password = Some(String::new());
            return Ok(Some(digest_password(text.as_bytes())));
        }
        if let Some(hex) = &self.md5_password {
            return parse_md5(hex).map(Some).ok_or_else(|| {
                Failure::new("bad md5 definition (md5 should be given as 32 hex digits)")
            });
        }
        if let Some(path) = &self.password_file {
            let content = std::fs::read(path)
                .map_err(|error| Failure::new(format!("error opening password file: {error}")))?;
            let line = content.split(|byte| *byte == b'\n').next().unwrap_or(b"");
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            let line = &line[..line.len().min(PASSWORD_BYTES_MAX)];
            return Ok(Some(digest_password(line)));
        }
        if self.ask_password {
            let text = ask_password()?;
            return Ok(Some(digest_password(text.as_bytes())));
        }
        Ok(None)
    }

    /// Port of the master, a number or the name of a service.
    pub fn port(&self) -> Outcome<u16> {
        let by_name = || match self.port.as_str() {
            "moosefs" | "mfs" => Some(9421),
            _ => None,
        };
        self.port.parse().ok().or_else(by_name).ok_or_else(|| {
            Failure::new(format!(
                "can't resolve master hostname and/or portname ({}:{})",
                self.master, self.port
            ))
        })
    }

    /// Source address of connections.
    pub fn bind(&self) -> Outcome<Option<Ipv4Addr>> {
        match &self.bind {
            None => Ok(None),
            Some(text) => text
                .parse()
                .map(Some)
                .map_err(|_| Failure::new(format!("can't resolve source address ({text})"))),
        }
    }

    /// First column of /proc/mounts.
    pub fn file_system_name(&self) -> String {
        if let Some(name) = &self.fsname {
            return name.clone();
        }
        let kind = if self.meta { "mfsmeta" } else { "mfs" };
        let mut name = format!("{kind}#{}:{}", self.master, self.port);
        let path: String = self.subfolder.chars().filter(|c| *c != ',').collect();
        let path = path.trim_start_matches('/');
        if !path.is_empty() && !self.meta {
            name.push('/');
            name.push_str(path);
        }
        name
    }

    /// The directory that is mounted, absolute.
    pub fn path(&self) -> String {
        format!("/{}", self.subfolder.trim_start_matches('/'))
    }

    /// Longest wait; `None` for no limit.
    pub fn timeout(&self) -> Option<Duration> {
        (self.timeout > 0).then(|| Duration::from_secs(self.timeout))
    }
}

fn unknown(option: &str) -> Failure {
    Failure::new(format!(
        "fuse: unknown option(s): `-o {option}'\nerror in fuse_session_new"
    ))
}

fn limit(what: &str, unit: &str, value: &mut u64, min: u64, max: u64) {
    if *value < min {
        eprintln!("{what} too low ({value}{unit}) - increased to {min}{unit}");
        *value = min;
    }
    if *value > max {
        eprintln!("{what} too big ({value}{unit}) - decreased to {max}{unit}");
        *value = max;
    }
}

fn parse_md5(hex: &str) -> Option<PasswordDigest> {
    let bytes = hex.as_bytes();
    if bytes.len() != 32 {
        return None;
    }
    let mut digest = [0; 16];
    for (at, pair) in bytes.chunks_exact(2).enumerate() {
        let high = char::from(pair[0]).to_digit(16)?;
        let low = char::from(pair[1]).to_digit(16)?;
        *digest.get_mut(at)? = (high << 4 | low) as u8;
    }
    Some(digest)
}

/// Asks on the terminal, without showing what is typed.
fn ask_password() -> Outcome<String> {
    use std::io::{BufRead as _, BufReader, Write as _};
    let failed = |error: std::io::Error| Failure::new(format!("can't read password: {error}"));
    let mut terminal = std::fs::File::options()
        .read(true)
        .write(true)
        .open("/dev/tty")
        .map_err(failed)?;
    terminal.write_all(b"MFS Password:").map_err(failed)?;
    let shown = rustix::termios::tcgetattr(&terminal).ok();
    if let Some(shown) = &shown {
        let mut hidden = shown.clone();
        hidden.local_modes.remove(rustix::termios::LocalModes::ECHO);
        // Then it is shown, which is not worth giving up.
        let _ =
            rustix::termios::tcsetattr(&terminal, rustix::termios::OptionalActions::Flush, &hidden);
    }
    let mut line = String::new();
    let outcome = BufReader::new(&terminal).read_line(&mut line);
    if let Some(shown) = &shown {
        let _ =
            rustix::termios::tcsetattr(&terminal, rustix::termios::OptionalActions::Flush, shown);
    }
    outcome.map_err(failed)?;
    let _ = terminal.write_all(b"\n");
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(list: &str) -> Outcome<Options> {
        let mut arguments = Arguments::default();
        arguments.add(list);
        arguments.mount_point = Some("/mnt".to_owned());
        let mut options = Options::default();
        options.take(&arguments)?;
        options.check()?;
        Ok(options)
    }

    #[test]
    fn values_are_limited() {
        let options = options(
            "mfswritecachesize=8,mfsreadaheadsize=9999,mfsattrcacheto=-1,mfsentrycacheto=1e9",
        )
        .unwrap();
        assert_eq!(
            (options.write_cache_mib, options.read_ahead_mib),
            (16, 2048)
        );
        assert_eq!(
            (options.attr_timeout, options.entry_timeout),
            (0.0, 86_400.0)
        );
    }

    #[test]
    fn wrong_options_are_named() {
        for (list, text) in [
            ("mfsnosuch", "unknown option"),
            ("mfsnosuch=1", "unknown option"),
            ("mfsioretries=many", "invalid parameter"),
            (
                "mfscachemode=MAYBE",
                "unrecognized cachemode option (MAYBE)",
            ),
            ("mfscachemode=YES,mfscachefiles", "exclusive"),
            ("mfssugidclearmode=x", "unrecognized sugidclearmode"),
            ("mfspreflabels=A-B", "unexpected"),
        ] {
            let failure = options(list).unwrap_err();
            assert!(failure.text.contains(text), "{list}: {}", failure.text);
        }
        for list in ["mfspassword=a,mfspassfile=b", "mfsmd5pass=xyz"] {
            assert!(options(list).unwrap().take_password().is_err(), "{list}");
        }
    }

    #[test]
    fn passwords_become_digests() {
        let digest = digest_password(b"sekret");
        for list in [
            "mfspassword=sekret",
            "mfsmd5pass=3d3d0d8bc049e2bff8c834b3efa44b54",
            "mfsmd5pass=3D3D0D8BC049E2BFF8C834B3EFA44B54",
        ] {
            let mut options = options(list).unwrap();
            assert_eq!(options.take_password().unwrap(), Some(digest), "{list}");
        }
    }

    #[test]
    fn the_first_column_shows_master_and_folder() {
        for (list, name) in [
            ("mfsmaster=m", "mfs#m:9421"),
            ("mfsmaster=m,mfssubfolder=/a/b", "mfs#m:9421/a/b"),
            ("mfsmaster=m,mfssubfolder=a", "mfs#m:9421/a"),
            ("mfsmaster=m,mfsport=1,mfsmeta", "mfsmeta#m:1"),
        ] {
            assert_eq!(options(list).unwrap().file_system_name(), name, "{list}");
        }
    }
}
