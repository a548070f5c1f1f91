//! mfsmount: mounts a MooseFS file system (client-behaviour §1, §2).

mod arguments;
mod config_file;
mod greeting;
mod mount;
mod options;
mod params;
mod proxy;

use std::io::Write as _;
use std::process::ExitCode;

use arguments::Arguments;
use options::Options;

/// What a start that failed says, and the status that the program ends with.
#[derive(Debug)]
pub struct Failure {
    /// Text for standard error.
    pub text: String,
    /// Exit status.
    pub code: u8,
}

impl Failure {
    /// A failure with exit status 1.
    pub fn new(text: impl Into<String>) -> Failure {
        Failure {
            text: text.into(),
            code: 1,
        }
    }
}

/// Result of a step of the start.
pub type Outcome<T> = Result<T, Failure>;

const HELP: &str = "\
usage: mfsmount [HOST[:PORT]:[PATH]] [options] mountpoint

general options:
    -o opt,[opt...]         mount options
    -h   --help             print help
    -V   --version          print version

FUSE options:
    -d   -o debug           enable debug output (implies -f)
    -f                      foreground operation
    -s                      disable multi-threaded operation

MFS options:
    -c CFGFILE                  equivalent to '-o mfscfgfile=CFGFILE'
    -m   --meta                 equivalent to '-o mfsmeta'
    -H HOST                     equivalent to '-o mfsmaster=HOST'
    -P PORT                     equivalent to '-o mfsport=PORT'
    -B IP                       equivalent to '-o mfsbind=IP'
    -L IP                       equivalent to '-o mfsproxy=IP'
    -S PATH                     equivalent to '-o mfssubfolder=PATH'
    -p   --password             ask for the password on the terminal
    -n   --nostdopts            do not add standard MFS mount options: 'allow_other'
    -o mfsmaster=HOST           address of the master server (default: mfsmaster)
    -o mfsport=PORT             port of the master server (default: 9421)
    -o mfsbind=IP               source address of connections
    -o mfsproxy=IP              address where tools find the mount (default: 127.0.0.1)
    -o mfssubfolder=PATH        directory to be mounted as root (default: /)
    -o mfspassword=PASSWORD     authenticate with the password
    -o mfsmd5pass=MD5           authenticate with the MD5 of the password
    -o mfspassfile=FILENAME     authenticate with the password in the first line of a file
    -o mfsdonotrememberpassword forget the password after the first registration
    -o mfsdelayedinit           connect to the master in the background
    -o mfsmeta                  mount the trash instead of the file system
    -o mfsflattrash             show the trash as one directory
    -o mfscfgfile=CFGFILE       further options (default: /etc/mfs/mfsmount.cfg)
    -o mfsattrcacheto=SEC       time for which attributes are believed (default: 1.0)
    -o mfsentrycacheto=SEC      time for which file names are believed (default: 0.0)
    -o mfsdirentrycacheto=SEC   time for which directory names are believed (default: 1.0)
    -o mfsnegentrycacheto=SEC   time for which missing names stay missing (default: 0.0)
    -o mfssymlinkcacheto=SEC    time for which link targets are believed (default: 300.0)
    -o mfsxattrcacheto=SEC      time for which extended attributes are believed (default: 30.0)
    -o mfsgroupscacheto=SEC     time for which groups of a process are believed (default: 300.0)
    -o mfscachemode=MODE        AUTO, YES, NO or DIRECT: pages in memory (default: AUTO)
    -o mfsmkdircopysgid=N       new directories inherit the sgid bit (default: 1)
    -o mfssugidclearmode=MODE   NEVER, ALWAYS, OSX, BSD, EXT or XFS (default: EXT)
    -o mfswritecachesize=N      memory for written data in MiB (default: 256)
    -o mfsreadaheadsize=N       memory for read-ahead in MiB (default: 256)
    -o mfsreadaheadleng=N       bytes of the first read-ahead (default: 1048576)
    -o mfsreadaheadtrigger=N    sequential bytes that raise it (default: 10 * mfsreadaheadleng)
    -o mfsfsyncmintime=SEC      close of a younger file does not wait for its data (default: 0.0)
    -o mfsfsyncbeforeclose      equivalent to '-o mfsfsyncmintime=0'
    -o mfsioretries=N           tries before an error is reported (default: 30)
    -o mfstimeout=N             seconds after which waiting ends with an error (default: 0, never)
    -o mfslogretry=N            tries before a problem is logged (default: 5)
    -o mfserroronlostchunk      report lost chunks at once
    -o mfserroronnospace        report lack of space at once
    -o mfspreflabels=EXPR       labels of preferred chunkservers
    -o mfsnoxattrs              no extended attributes
    -o mfsnoposixlocks          fcntl locks are local to this machine
    -o mfsnobsdlocks            flock locks are local to this machine
    -o mfsrlimitnofile=N        limit of open files (default: 100000)
    -o mfsnice=N                nice level (default: -19)
    -o mfsmemlock               lock the program in memory
    -o mfsallowoomkiller        do not protect the program from the out-of-memory killer
    -o mfssuid, -o mfsdev       allow set-user-id bits, device files
    -o mfsdebug                 print debugging information
    -o nonempty                 mount over a directory that is not empty
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args_os()
        .skip(1)
        .map(|argument| argument.to_string_lossy().into_owned())
        .collect();
    match start(&arguments) {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            // Nobody reads it when standard error is gone.
            let _ = writeln!(std::io::stderr(), "{}", failure.text);
            ExitCode::from(failure.code)
        }
    }
}

fn start(words: &[String]) -> Outcome<u8> {
    let arguments = Arguments::parse(words)?;
    if arguments.help {
        print!("{HELP}");
        return Ok(1);
    }
    if arguments.version {
        eprintln!("MFS version {}", client::session::CLIENT_VERSION);
        return Ok(0);
    }
    let mut options = Options::default();
    config_file::read_all(&arguments, &mut options)?;
    options.take(&arguments)?;
    options.check()?;
    mount::run(options)
}
