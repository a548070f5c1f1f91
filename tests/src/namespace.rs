//! A network namespace: one machine's network, or a whole cluster's on one loopback.

use crate::command::run;
use anyhow::{Context, Result, anyhow};
use rustix::net::{AddressFamily, SocketType};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::fs::File;
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use std::os::fd::AsFd;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::JoinHandle;

/// Prefix of every namespace and directory of the lab.
pub const PREFIX: &str = "mfslab";

/// A namespace that is removed with all its processes when it is dropped.
#[derive(Debug)]
pub struct Namespace {
    name: String,
    keep: bool,
}

impl Namespace {
    /// A new namespace whose loopback carries `addresses`.
    pub fn new(addresses: &[&str]) -> Result<Namespace> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{PREFIX}-{}-{number}", std::process::id());
        ip(&["netns", "add", &name])?;
        let namespace = Namespace { name, keep: false };
        run(namespace.command("ip").args(["link", "set", "lo", "up"]))?.success()?;
        for address in addresses {
            let address = format!("{address}/32");
            run(namespace
                .command("ip")
                .args(["addr", "add", &address, "dev", "lo"]))?
            .success()?;
        }
        Ok(namespace)
    }

    /// Leaves it and its processes when the value is dropped.
    pub fn keep(&mut self) {
        self.keep = true;
    }

    /// Name of the namespace, unique on the machine.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A command that runs inside. Only the network is separate: mounts are visible outside.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("nsenter");
        command
            .arg(format!("--net=/run/netns/{}", self.name))
            .arg("--")
            .arg(program);
        command
    }

    /// A connection inside, from one of its addresses to a port.
    pub fn connect(&self, from: Ipv4Addr, to: SocketAddrV4) -> Result<TcpStream> {
        let path = format!("/run/netns/{}", self.name);
        let connected = std::thread::spawn(move || -> Result<TcpStream> {
            // Only this thread changes the network that it sees.
            let network = File::open(&path).with_context(|| path.clone())?;
            move_into_link_name_space(network.as_fd(), Some(LinkNameSpaceType::Network))?;
            let socket = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None)?;
            rustix::net::bind(&socket, &SocketAddrV4::new(from, 0))?;
            rustix::net::connect(&socket, &to).with_context(|| format!("{from} to {to}"))?;
            let stream = TcpStream::from(socket);
            stream.set_nodelay(true)?;
            Ok(stream)
        });
        connected
            .join()
            .map_err(|_| anyhow!("the thread that connects"))?
    }

    /// Many connections inside, one after the other, made by a thread of their own, which says
    /// `beginning(n)` on the n-th; the peer may have closed them by then.
    pub fn connect_many(
        &self,
        from: Ipv4Addr,
        to: SocketAddrV4,
        count: usize,
        beginning: impl Fn(usize) -> Vec<u8> + Send + 'static,
    ) -> JoinHandle<Result<Vec<TcpStream>>> {
        let path = format!("/run/netns/{}", self.name);
        std::thread::spawn(move || {
            let network = File::open(&path).with_context(|| path.clone())?;
            move_into_link_name_space(network.as_fd(), Some(LinkNameSpaceType::Network))?;
            (0..count)
                .map(|number| {
                    let socket =
                        rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None)?;
                    rustix::net::bind(&socket, &SocketAddrV4::new(from, 0))?;
                    rustix::net::connect(&socket, &to)
                        .with_context(|| format!("connection {number}, {from} to {to}"))?;
                    let mut stream = TcpStream::from(socket);
                    // A port is free again at once when the connection is reset.
                    rustix::net::sockopt::set_socket_linger(
                        &stream,
                        Some(std::time::Duration::ZERO),
                    )?;
                    let _closed = stream.write_all(&beginning(number));
                    Ok(stream)
                })
                .collect()
        })
    }

    /// Processes inside.
    pub fn pids(&self) -> Vec<i32> {
        run(Command::new("ip").args(["netns", "pids", &self.name]))
            .map(|output| {
                output
                    .stdout
                    .lines()
                    .filter_map(|line| line.trim().parse().ok())
                    .collect()
            })
            .unwrap_or_default()
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        if self.keep {
            return;
        }
        for pid in self.pids() {
            kill(pid, rustix::process::Signal::KILL);
        }
        if let Err(error) = ip(&["netns", "del", &self.name]) {
            eprintln!("namespace {} is left behind: {error:#}", self.name);
        }
    }
}

/// Sends a signal; a process that is gone is no error.
pub fn kill(pid: i32, signal: rustix::process::Signal) {
    if let Some(pid) = rustix::process::Pid::from_raw(pid) {
        let _gone = rustix::process::kill_process(pid, signal);
    }
}

fn ip(arguments: &[&str]) -> Result<()> {
    run(Command::new("ip").args(arguments))?
        .success()
        .with_context(|| format!("ip {}", arguments.join(" ")))?;
    Ok(())
}
