//! A process beside the master that holds its connections when it dies or hangs, until the floating
//! address is somewhere else, and ends them then.
//!
//! A client whose connection breaks tries once at once, and then only every two seconds. When the
//! kernel closes the sockets of a killed master, that one try finds nobody. So this process shares the
//! master's table of descriptors: nothing is closed while it lives. It listens to ARP; when another
//! machine announces the address and the master here has no lease, it shuts the connections down and
//! removes the address: the clients' try at once finds the new leader. It does the same for a master
//! that is stopped, whose connections would hang.

use super::vip::{VipAddress, change_address, packet_socket};
use replication::Lease;
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::{AsRawFd as _, BorrowedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A dead master's connections are held so long at most.
const HOLD: Duration = Duration::from_millis(1500);
/// Period of the looks at the master.
const LOOK_MS: u16 = 20;
/// An announcement counts for so long while the master's lease has not ended.
const ANNOUNCEMENT_LIFE: Duration = Duration::from_secs(2);
/// Descriptors that are looked at.
const DESCRIPTORS_MAX: i32 = 65_536;

/// The other process.
#[derive(Debug)]
pub struct Guardian {
    pid: libc::pid_t,
    until_ns: *const AtomicU64,
}

fn clock_ns() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    u64::try_from(now.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(now.tv_nsec).unwrap_or(0)
}

impl Guardian {
    /// Starts it. To be called while the process has one thread.
    ///
    /// # Errors
    /// No such process can be made, or ARP cannot be heard: the master works without it.
    pub fn start(vip: &VipAddress) -> io::Result<Guardian> {
        let (socket, hardware) = packet_socket(vip)?;
        // SAFETY: a new anonymous mapping; nothing else refers to it.
        let page = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                size_of::<AtomicU64>(),
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        if page == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let until_ns = page.cast::<AtomicU64>().cast_const();
        let parent = std::process::id();
        // SAFETY: as fork, in a process with one thread; the table of descriptors is shared, memory is
        // not.
        let pid = unsafe {
            libc::syscall(
                libc::SYS_clone,
                libc::c_long::from(libc::CLONE_FILES | libc::SIGCHLD),
                0_usize,
                0_usize,
                0_usize,
                0_usize,
            )
        };
        match pid {
            0 => {
                // SAFETY: the mapping is shared with the parent and lives as long as this process.
                watch(vip, &socket, hardware, parent, unsafe { &*until_ns });
                // SAFETY: ends this process without running what belongs to the parent.
                unsafe { libc::_exit(0) }
            }
            pid if pid > 0 => {
                // The socket is the guardian's; closing it here would close it there.
                std::mem::forget(socket);
                Ok(Guardian {
                    pid: pid as libc::pid_t,
                    until_ns,
                })
            }
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// Tells how long the master may serve.
    pub fn hold(&self, lease: Option<Lease>) {
        let until = lease.map_or(0, |lease| {
            let remaining = u64::try_from(lease.remaining().as_nanos()).unwrap_or(u64::MAX);
            clock_ns().saturating_add(remaining)
        });
        // SAFETY: the mapping lives as long as the process.
        unsafe { &*self.until_ns }.store(until, Ordering::Relaxed);
    }
}

impl Drop for Guardian {
    fn drop(&mut self) {
        // SAFETY: the child of this process; it is waited for, so that its table is gone.
        unsafe {
            libc::kill(self.pid, libc::SIGKILL);
            libc::waitpid(self.pid, std::ptr::null_mut(), 0);
        }
    }
}

/// The other process's whole life.
fn watch(
    vip: &VipAddress,
    socket: &socket2::Socket,
    hardware: [u8; 6],
    parent: u32,
    until_ns: &AtomicU64,
) {
    let mut announced: Option<Instant> = None;
    let mut dead_since: Option<Instant> = None;
    if socket.set_nonblocking(true).is_err() {
        return;
    }
    loop {
        if wait_and_hear(socket, vip.address, hardware) {
            announced = Some(Instant::now());
        }
        let is_dead = std::os::unix::process::parent_id() != parent;
        if is_dead && dead_since.is_none() {
            dead_since = Some(Instant::now());
        }
        let has_lease = !is_dead && clock_ns() < until_ns.load(Ordering::Relaxed);
        let has_moved = announced.is_some_and(|at| at.elapsed() < ANNOUNCEMENT_LIFE);
        if has_moved && !has_lease {
            announced = None;
            shut_down(vip.address);
            // It may be gone already.
            drop(change_address(vip, false));
            if is_dead {
                return;
            }
        }
        if dead_since.is_some_and(|since| since.elapsed() > HOLD) {
            return;
        }
    }
}

/// Waits a moment; says whether another machine announced the address.
fn wait_and_hear(socket: &socket2::Socket, address: Ipv4Addr, hardware: [u8; 6]) -> bool {
    let mut polled = libc::pollfd {
        fd: socket.as_raw_fd(),
        events: libc::POLLIN,
        revents: 0,
    };
    // SAFETY: one valid entry.
    unsafe { libc::poll(&mut polled, 1, i32::from(LOOK_MS)) };
    let mut heard = false;
    let mut packet = [0; 128];
    for _ in 0..64 {
        // SAFETY: the descriptor is open for the time of the call.
        let borrowed = unsafe { BorrowedFd::borrow_raw(socket.as_raw_fd()) };
        match rustix::io::read(borrowed, &mut packet) {
            // ARP over Ethernet: sender's hardware address at 8, its protocol address at 14.
            Ok(count) if count >= 28 => {
                heard |= packet[14..18] == address.octets() && packet[8..14] != hardware;
            }
            Ok(_) => {}
            Err(_) => break,
        }
    }
    heard
}

/// Shuts every connection of the address down, in the master too.
fn shut_down(address: Ipv4Addr) {
    for descriptor in 3..DESCRIPTORS_MAX {
        // SAFETY: used for two calls that fail on a descriptor that is none.
        let borrowed = unsafe { BorrowedFd::borrow_raw(descriptor) };
        let local = rustix::net::getsockname(borrowed)
            .ok()
            .and_then(|local| SocketAddrV4::try_from(local).ok());
        if local.is_some_and(|local| *local.ip() == address) {
            // It may just have been closed.
            let _ = rustix::net::shutdown(borrowed, rustix::net::Shutdown::Both);
        }
    }
}
