//! From options to a mounted file system, and its end (client-behaviour §2).

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use client::fuse::{self, FuseOptions, MountOptions, Mounted, Special};
use client::session::Kind;
use client::{DataOptions, FileSystem, Session, SessionOptions};
use daemon::process::{Side, daemonize, tell_parent};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::signal::unix::{SignalKind, signal};

use crate::options::Options;
use crate::{Failure, Outcome, greeting, params, proxy};

/// Fewer open files are not worth a further try.
const FILE_LIMIT_MIN: u64 = 1000;

/// Mounts and serves until the end; in the background the caller gets the daemon's word.
pub fn run(mut options: Options) -> Outcome<u8> {
    let point = mount_point(&options)?;
    let session = SessionOptions {
        host: options.master.clone(),
        port: options.port()?,
        bind: options.bind()?,
        kind: if options.meta {
            Kind::Meta
        } else {
            Kind::Data {
                path: options.path(),
            }
        },
        info: point.to_string_lossy().into_owned(),
        password: options.take_password()?,
        forget_password: options.forget_password,
        tries: options.io_retries,
        timeout: options.timeout(),
    };
    let in_background = !options.foreground;
    if in_background {
        match daemonize() {
            Ok(Side::Parent(code)) => return Ok(code),
            Ok(Side::Daemon) => {}
            Err(error) => return Err(Failure::new(format!("fork error: {error}"))),
        }
    }
    daemon::log::open(
        "mfsmount",
        options.foreground,
        if options.mfs_debug { "DEBUG" } else { "INFO" },
    );
    prepare_process(&options);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("mfsmount")
        .build()
        .map_err(|error| Failure::new(format!("can't start threads: {error}")))?;
    runtime.block_on(serve(options, session, &point, in_background))
}

async fn serve(
    options: Options,
    session: SessionOptions,
    point: &Path,
    in_background: bool,
) -> Outcome<u8> {
    let session = if options.delayed_init {
        Session::connect_later(session)
    } else {
        let session = Session::connect(session)
            .await
            .map_err(|error| Failure::new(error.to_string()))?;
        daemon::log::say(&format!(
            "mfsmaster accepted connection with parameters: {}",
            greeting::describe(&session.granted(), options.meta)
        ));
        session
    };
    let listen: std::net::Ipv4Addr = options
        .proxy
        .parse()
        .map_err(|_| Failure::new("master proxy module: can't listen on socket"))?;
    let fs = FileSystem::new(Arc::clone(&session), data_options(&options)?);
    let proxy = proxy::start(listen, Arc::clone(&fs))
        .await
        .map_err(|_| Failure::new("master proxy module: can't listen on socket"))?;
    let special = Special {
        proxy: Some(proxy),
        parameters: params::describe(&options, &session.granted()),
    };
    let (how, shown) = (mount_options(&options), fuse_options(&options)?);
    let mounted = if options.meta {
        fuse::mount_meta(&session, point, &how, &shown, special, options.flat_trash)
    } else {
        fuse::mount(&fs, point, &how, shown, special)
    }
    .map_err(|error| Failure::new(format!("can't mount at {}: {error}", point.display())))?;
    daemon::log::started();
    if in_background
        && !options.mfs_debug
        && let Err(error) = tell_parent(true)
    {
        tracing::warn!("can't tell of the start: {error}");
    }
    let outcome = until_the_end(mounted).await;
    fs.flush_all().await;
    session.close().await;
    match outcome {
        Ok(()) => Ok(0),
        Err(error) => {
            tracing::error!("error in the connection to the kernel: {error}");
            Ok(1)
        }
    }
}

/// Serves until somebody unmounts or a signal asks for it.
async fn until_the_end(mounted: Mounted) -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    let mounted = Arc::new(mounted);
    let waiting = {
        let mounted = Arc::clone(&mounted);
        tokio::task::spawn_blocking(move || mounted.wait())
    };
    tokio::pin!(waiting);
    tokio::select! {
        outcome = &mut waiting => return outcome.map_err(std::io::Error::other)?,
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        _ = hang_up.recv() => {}
    }
    let unmounting = Arc::clone(&mounted);
    // What is open keeps the file system; its data are written in any case.
    let _ = tokio::task::spawn_blocking(move || unmounting.unmount()).await;
    match tokio::time::timeout(Duration::from_secs(1), waiting).await {
        Ok(outcome) => outcome.map_err(std::io::Error::other)?,
        Err(_) => Ok(()),
    }
}

fn mount_point(options: &Options) -> Outcome<PathBuf> {
    let given = options.mount_point.as_deref().unwrap_or_default();
    let meta = std::fs::metadata(given)
        .map_err(|error| Failure::new(format!("fuse: bad mount point `{given}': {error}")))?;
    if !meta.is_dir() {
        return Err(Failure::new(format!(
            "given mountpoint '{given}' is not a directory"
        )));
    }
    if !options.nonempty {
        let mut entries = std::fs::read_dir(given)
            .map_err(|error| Failure::new(format!("fuse: bad mount point `{given}': {error}")))?;
        if entries.next().is_some() {
            return Err(Failure::new(format!("mountpoint '{given}' is not empty")));
        }
    }
    std::fs::canonicalize(given)
        .map_err(|error| Failure::new(format!("fuse: bad mount point `{given}': {error}")))
}

/// Limits and protection of the process; what is not permitted stays as it is.
fn prepare_process(options: &Options) {
    let mut wanted = options.file_limit;
    let before = getrlimit(Resource::Nofile);
    loop {
        let limit = Rlimit {
            current: Some(wanted),
            maximum: Some(before.maximum.map_or(wanted, |maximum| maximum.max(wanted))),
        };
        if setrlimit(Resource::Nofile, limit).is_ok() {
            break;
        }
        eprintln!("can't set open file limit to {wanted}");
        wanted /= 2;
        if wanted < FILE_LIMIT_MIN {
            break;
        }
        if before.maximum.is_none_or(|maximum| maximum >= wanted) {
            eprintln!("open file limit set to: {wanted}");
        }
    }
    // Neither is needed to work.
    let _ = rustix::process::setpriority_process(None, options.nice);
    if !options.allow_oom_killer {
        let _ = std::fs::write("/proc/self/oom_score_adj", "-1000\n");
    }
    if options.memory_lock {
        daemon::process::lock_memory();
    }
}

fn seconds(value: f64) -> Duration {
    Duration::try_from_secs_f64(value).unwrap_or_default()
}

fn data_options(options: &Options) -> Outcome<DataOptions> {
    Ok(DataOptions {
        write_memory: options.write_cache_mib << 20,
        read_memory: options.read_ahead_mib << 20,
        read_ahead: options.read_ahead_length,
        read_ahead_trigger: options
            .read_ahead_trigger
            .unwrap_or(10 * options.read_ahead_length),
        tries: options.io_retries,
        timeout: options.timeout(),
        error_on_lost_chunk: options.error_on_lost_chunk,
        error_on_no_space: options.error_on_no_space,
        labels: options.preferred_labels()?,
        fsync_min_time: if options.fsync_before_close {
            Duration::ZERO
        } else {
            seconds(options.fsync_min_time)
        },
    })
}

fn fuse_options(options: &Options) -> Outcome<FuseOptions> {
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    let threads = if options.single_thread {
        1
    } else {
        options.max_threads.unwrap_or_else(|| cores.clamp(2, 8))
    };
    Ok(FuseOptions {
        attr_timeout: seconds(options.attr_timeout),
        entry_timeout: seconds(options.entry_timeout),
        dir_entry_timeout: seconds(options.dir_entry_timeout),
        negative_timeout: seconds(options.negative_timeout),
        symlink_timeout: seconds(options.symlink_timeout),
        xattr_timeout: seconds(options.xattr_timeout),
        groups_timeout: seconds(options.groups_timeout),
        cache_mode: options.cache_mode()?,
        mkdir_copy_sgid: options.mkdir_copy_sgid != 0,
        sugid_clear: options.sugid_clear()?,
        no_xattrs: options.no_xattrs,
        no_posix_locks: options.no_posix_locks,
        no_bsd_locks: options.no_bsd_locks,
        threads,
        ..FuseOptions::default()
    })
}

fn mount_options(options: &Options) -> MountOptions {
    let mut generic = options.generic.clone();
    if !options.suid && !generic.iter().any(|option| option == "suid") {
        generic.push("nosuid".to_owned());
    }
    if !options.dev && !generic.iter().any(|option| option == "dev") {
        generic.push("nodev".to_owned());
    }
    let mut fuse = options.fuse.clone();
    let is_shared = fuse
        .iter()
        .any(|option| option == "allow_other" || option == "allow_root");
    if !options.no_standard_options && !is_shared {
        fuse.push("allow_other".to_owned());
    }
    MountOptions {
        fsname: options.file_system_name(),
        subtype: options.subtype.clone(),
        generic,
        fuse,
        auto_unmount: options.auto_unmount,
    }
}
