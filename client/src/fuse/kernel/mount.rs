//! Mounting and unmounting: mount(2) for root, fusermount3 for others.

use std::ffi::CString;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::mount::{MountFlags, UnmountFlags};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SocketFlags, SocketType,
};

use super::device::Device;

/// How a file system is mounted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MountOptions {
    /// First column of /proc/mounts.
    pub fsname: String,
    /// The type reads `fuse.SUBTYPE`.
    pub subtype: Option<String>,
    /// Options of the kernel for every file system: `ro`, `nosuid`, `noatime` and the like.
    pub generic: Vec<String>,
    /// Options of the kernel for FUSE: `allow_other`, `default_permissions`, `max_read=N`.
    pub fuse: Vec<String>,
    /// Unmount when the process ends in whatever way.
    pub auto_unmount: bool,
}

/// A mounted file system; [`Mount::unmount`] takes it away.
#[derive(Debug)]
pub(crate) struct Mount {
    point: PathBuf,
    /// The helper unmounts when this is closed.
    _watched: Option<OwnedFd>,
}

/// The flag of a generic option and whether it sets or clears it.
fn flag_of(option: &str) -> Option<(MountFlags, bool)> {
    Some(match option {
        "ro" => (MountFlags::RDONLY, true),
        "rw" => (MountFlags::RDONLY, false),
        "nosuid" => (MountFlags::NOSUID, true),
        "suid" => (MountFlags::NOSUID, false),
        "nodev" => (MountFlags::NODEV, true),
        "dev" => (MountFlags::NODEV, false),
        "noexec" => (MountFlags::NOEXEC, true),
        "exec" => (MountFlags::NOEXEC, false),
        "noatime" => (MountFlags::NOATIME, true),
        "atime" => (MountFlags::NOATIME, false),
        "nodiratime" => (MountFlags::NODIRATIME, true),
        "diratime" => (MountFlags::NODIRATIME, false),
        "relatime" => (MountFlags::RELATIME, true),
        "norelatime" => (MountFlags::RELATIME, false),
        "strictatime" => (MountFlags::STRICTATIME, true),
        "sync" => (MountFlags::SYNCHRONOUS, true),
        "async" => (MountFlags::SYNCHRONOUS, false),
        "dirsync" => (MountFlags::DIRSYNC, true),
        _ => return None,
    })
}

/// Whether the kernel has this option for every file system.
pub fn is_generic(option: &str) -> bool {
    flag_of(option).is_some()
}

/// Mounts at a directory.
pub(crate) fn mount(point: &Path, options: &MountOptions) -> io::Result<(Device, Mount)> {
    if rustix::process::geteuid().is_root() && !options.auto_unmount {
        mount_directly(point, options)
    } else {
        mount_by_helper(point, options)
    }
}

fn mount_directly(point: &Path, options: &MountOptions) -> io::Result<(Device, Mount)> {
    let device = Device::open()?;
    let mode = std::fs::metadata(point).map(|meta| {
        use std::os::unix::fs::MetadataExt as _;
        meta.mode() & libc::S_IFMT
    })?;
    let mut data = format!(
        "fd={},rootmode={mode:o},user_id={},group_id={}",
        device.as_fd().as_raw_fd(),
        rustix::process::getuid().as_raw(),
        rustix::process::getgid().as_raw(),
    );
    for option in &options.fuse {
        data.push(',');
        data.push_str(option);
    }
    let mut flags = MountFlags::empty();
    for option in &options.generic {
        match flag_of(option) {
            Some((flag, true)) => flags |= flag,
            Some((flag, false)) => flags &= !flag,
            None => {}
        }
    }
    let kind = match &options.subtype {
        Some(subtype) => format!("fuse.{subtype}"),
        None => "fuse".to_owned(),
    };
    let data = CString::new(data).map_err(io::Error::other)?;
    rustix::mount::mount(
        options.fsname.as_str(),
        point,
        kind.as_str(),
        flags,
        Some(data.as_c_str()),
    )?;
    let mount = Mount {
        point: point.to_owned(),
        _watched: None,
    };
    Ok((device, mount))
}

/// fusermount3 opens /dev/fuse, mounts, and sends the descriptor over a socket.
fn mount_by_helper(point: &Path, options: &MountOptions) -> io::Result<(Device, Mount)> {
    let (ours, theirs) = rustix::net::socketpair(
        AddressFamily::UNIX,
        SocketType::STREAM,
        SocketFlags::empty(),
        None,
    )?;
    rustix::io::fcntl_setfd(&ours, rustix::io::FdFlags::CLOEXEC)?;
    let mut words = vec![format!("fsname={}", options.fsname.replace(',', "\\,"))];
    words.extend(
        options
            .subtype
            .iter()
            .map(|subtype| format!("subtype={subtype}")),
    );
    words.extend(options.generic.iter().cloned());
    words.extend(options.fuse.iter().cloned());
    if options.auto_unmount {
        words.push("auto_unmount".to_owned());
    }
    let mut child = Command::new("fusermount3")
        .arg("-o")
        .arg(words.join(","))
        .arg("--")
        .arg(point)
        .env("_FUSE_COMMFD", theirs.as_raw_fd().to_string())
        .spawn()?;
    drop(theirs);
    let received = receive_descriptor(&ours);
    if options.auto_unmount {
        // The helper stays and waits for the end of the socket.
    } else {
        let status = child.wait()?;
        if !status.success() {
            return Err(io::Error::other(format!("fusermount3: {status}")));
        }
    }
    let mount = Mount {
        point: point.to_owned(),
        _watched: options.auto_unmount.then_some(ours),
    };
    Ok((Device::from_fd(received?), mount))
}

fn receive_descriptor(socket: &OwnedFd) -> io::Result<OwnedFd> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    let mut parts = [io::IoSliceMut::new(&mut byte)];
    rustix::net::recvmsg(socket, &mut parts, &mut control, RecvFlags::CMSG_CLOEXEC)?;
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(mut descriptors) = message
            && let Some(descriptor) = descriptors.next()
        {
            return Ok(descriptor);
        }
    }
    Err(io::Error::other("fusermount3 sent no descriptor"))
}

impl Mount {
    /// Detaches the file system; that somebody did it already is no error.
    pub(crate) fn unmount(&self) {
        if rustix::process::geteuid().is_root() {
            // Lazily: whoever still uses it keeps the process until then.
            let _ = rustix::mount::unmount(&self.point, UnmountFlags::DETACH);
        } else {
            let _ = Command::new("fusermount3")
                .args(["-u", "-q", "-z", "--"])
                .arg(&self.point)
                .status();
        }
    }

    /// Lets the kernel read ahead further than its default of 128 KiB, as far as this process may:
    /// each request costs the same, whether small or large.
    pub(crate) fn raise_read_ahead(&self, kib: u32) {
        use std::os::unix::fs::MetadataExt as _;
        let Ok(meta) = std::fs::metadata(&self.point) else {
            return;
        };
        let device = meta.dev();
        let path = format!(
            "/sys/class/bdi/{}:{}/read_ahead_kb",
            rustix::fs::major(device),
            rustix::fs::minor(device)
        );
        if let Err(error) = std::fs::write(&path, kib.to_string()) {
            tracing::debug!("{path}: {error}");
        }
    }

    /// Where it is mounted.
    pub(crate) fn point(&self) -> &Path {
        &self.point
    }
}
