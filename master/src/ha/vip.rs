//! The floating address, held as a kernel address *with a lifetime*: it is renewed while this node
//! serves, and the kernel takes it away from a process that hangs or was killed. Every change is
//! announced by gratuitous ARP, again and again for the first seconds, because a predecessor may
//! still answer.

use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};
use socket2::{Domain, Protocol, SockAddr, SockAddrStorage, Socket, Type};
use std::io;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

/// Lifetime of the address, seconds; the kernel counts whole ones.
const LIFETIME_SECONDS: u32 = 2;
/// Between two renewals.
const RENEWAL: Duration = Duration::from_millis(300);
/// When the address is announced after it was taken, milliseconds.
const ANNOUNCEMENTS_MS: [u64; 9] = [0, 50, 150, 300, 600, 1000, 2000, 3000, 5000];
/// Later it is announced with this period.
const ANNOUNCEMENT_PERIOD: Duration = Duration::from_secs(10);

/// What `HA_VIP` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VipAddress {
    /// The address.
    pub address: Ipv4Addr,
    /// Length of its network's prefix, bits.
    pub prefix: u8,
    /// The interface that carries it.
    pub interface: String,
}

impl VipAddress {
    /// `ADDRESS/PREFIX INTERFACE`.
    ///
    /// # Errors
    /// What is wrong.
    pub fn parse(text: &str) -> Result<VipAddress, String> {
        let fail = || format!("HA_VIP = {text}: ADDRESS/PREFIX INTERFACE is expected");
        let words: Vec<&str> = text.split_whitespace().collect();
        let [address, interface] = words.as_slice() else {
            return Err(fail());
        };
        let (address, prefix) = address.split_once('/').ok_or_else(fail)?;
        let prefix: u8 = prefix.parse().map_err(|_| fail())?;
        if prefix == 0 || prefix > 32 {
            return Err(fail());
        }
        Ok(VipAddress {
            address: address.parse().map_err(|_| fail())?,
            prefix,
            interface: (*interface).to_owned(),
        })
    }
}

/// The address and whether this node has it.
#[derive(Debug)]
pub struct Vip {
    vip: VipAddress,
    held: Option<Held>,
    complained: Option<Instant>,
    /// What a predecessor of this process left may still be there.
    unknown: bool,
}

#[derive(Debug)]
struct Held {
    since: Instant,
    renewed: Instant,
    announced: usize,
    announced_at: Instant,
}

impl Vip {
    /// An address that this node may or may not have from before.
    pub fn new(vip: VipAddress) -> Vip {
        Vip {
            vip,
            held: None,
            complained: None,
            unknown: true,
        }
    }

    /// To be called often: `wanted` says whether this node serves.
    pub fn keep(&mut self, wanted: bool) {
        let now = Instant::now();
        if !wanted {
            if self.held.take().is_some() || std::mem::take(&mut self.unknown) {
                self.give_up();
            }
            return;
        }
        self.unknown = false;
        let due = self
            .held
            .as_ref()
            .is_none_or(|held| now.duration_since(held.renewed) >= RENEWAL);
        if due {
            if let Err(error) = change_address(&self.vip, true) {
                self.complain(&format!("can't take {}: {error}", self.vip.address));
                return;
            }
            match &mut self.held {
                Some(held) => held.renewed = now,
                None => {
                    tracing::info!("{} is here now", self.vip.address);
                    self.held = Some(Held {
                        since: now,
                        renewed: now,
                        announced: 0,
                        announced_at: now,
                    });
                }
            }
        }
        self.announce(now);
    }

    fn announce(&mut self, now: Instant) {
        let Some(held) = &mut self.held else { return };
        let due = match ANNOUNCEMENTS_MS.get(held.announced) {
            Some(&after) => now.duration_since(held.since) >= Duration::from_millis(after),
            None => now.duration_since(held.announced_at) >= ANNOUNCEMENT_PERIOD,
        };
        if !due {
            return;
        }
        held.announced += 1;
        held.announced_at = now;
        if let Err(error) = announce(&self.vip) {
            self.complain(&format!("can't announce {}: {error}", self.vip.address));
        }
    }

    fn give_up(&mut self) {
        match change_address(&self.vip, false) {
            Ok(()) => tracing::info!("{} is given up", self.vip.address),
            // It was not there.
            Err(error) if error.raw_os_error() == Some(libc::EADDRNOTAVAIL) => {}
            Err(error) => self.complain(&format!("can't give {} up: {error}", self.vip.address)),
        }
    }

    fn complain(&mut self, text: &str) {
        if self
            .complained
            .is_none_or(|at| at.elapsed() > Duration::from_secs(10))
        {
            self.complained = Some(Instant::now());
            tracing::error!("{text}");
        }
    }
}

impl Drop for Vip {
    fn drop(&mut self) {
        self.keep(false);
    }
}

fn interface_index(name: &str) -> io::Result<u32> {
    let socket = rustix::net::socket(AddressFamily::INET, SocketType::DGRAM, None)?;
    Ok(rustix::net::netdevice::name_to_index(&socket, name)?)
}

/// Adds or renews the address, or removes it.
pub(super) fn change_address(vip: &VipAddress, add: bool) -> io::Result<()> {
    const ATTRIBUTE_ADDRESS: u16 = 1;
    const ATTRIBUTE_LOCAL: u16 = 2;
    const ATTRIBUTE_CACHE_INFO: u16 = 6;
    let index = interface_index(&vip.interface)?;
    let mut message = vec![0; 16];
    // struct ifaddrmsg: family, prefix length, flags, scope, interface.
    message.extend_from_slice(&[libc::AF_INET as u8, vip.prefix, 0, 0]);
    message.extend_from_slice(&index.to_ne_bytes());
    let mut attribute = |kind: u16, value: &[u8]| {
        message.extend_from_slice(&(4 + value.len() as u16).to_ne_bytes());
        message.extend_from_slice(&kind.to_ne_bytes());
        message.extend_from_slice(value);
    };
    attribute(ATTRIBUTE_LOCAL, &vip.address.octets());
    attribute(ATTRIBUTE_ADDRESS, &vip.address.octets());
    if add {
        // struct ifa_cacheinfo: preferred and valid lifetime, two time stamps of the kernel's.
        let mut cache = [0; 16];
        cache[..4].copy_from_slice(&LIFETIME_SECONDS.to_ne_bytes());
        cache[4..8].copy_from_slice(&LIFETIME_SECONDS.to_ne_bytes());
        attribute(ATTRIBUTE_CACHE_INFO, &cache);
    }
    let (kind, flags) = if add {
        (
            libc::RTM_NEWADDR,
            libc::NLM_F_REQUEST | libc::NLM_F_ACK | libc::NLM_F_CREATE | libc::NLM_F_REPLACE,
        )
    } else {
        (libc::RTM_DELADDR, libc::NLM_F_REQUEST | libc::NLM_F_ACK)
    };
    let length = message.len() as u32;
    message[..4].copy_from_slice(&length.to_ne_bytes());
    message[4..6].copy_from_slice(&kind.to_ne_bytes());
    message[6..8].copy_from_slice(&(flags as u16).to_ne_bytes());
    let socket = rustix::net::socket_with(
        AddressFamily::NETLINK,
        SocketType::RAW,
        SocketFlags::CLOEXEC,
        None,
    )?;
    rustix::net::send(&socket, &message, SendFlags::empty())?;
    let mut answer = [0; 4096];
    let (count, _) = rustix::net::recv(&socket, &mut answer, RecvFlags::empty())?;
    // struct nlmsghdr, then the error of struct nlmsgerr: 0 or a negative errno.
    let error = answer
        .get(16..20.min(count))
        .and_then(|bytes| bytes.try_into().ok())
        .map(i32::from_ne_bytes)
        .ok_or_else(|| io::Error::other("a short answer from the kernel"))?;
    match error {
        0 => Ok(()),
        error => Err(io::Error::from_raw_os_error(-error)),
    }
}

fn packet_address(index: u32, destination: [u8; 6]) -> SockAddr {
    let mut storage = SockAddrStorage::zeroed();
    // SAFETY: sockaddr_ll is plain data, fits the storage, and every bit pattern is one.
    let address = unsafe { storage.view_as::<libc::sockaddr_ll>() };
    address.sll_family = libc::AF_PACKET as u16;
    address.sll_protocol = (libc::ETH_P_ARP as u16).to_be();
    address.sll_ifindex = index as i32;
    address.sll_halen = 6;
    address.sll_addr[..6].copy_from_slice(&destination);
    let length = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
    // SAFETY: the storage holds an address of that length.
    unsafe { SockAddr::new(storage, length) }
}

/// A socket for ARP on the interface, and the interface's hardware address.
pub(super) fn packet_socket(vip: &VipAddress) -> io::Result<(Socket, [u8; 6])> {
    let index = interface_index(&vip.interface)?;
    let protocol = Protocol::from(i32::from((libc::ETH_P_ARP as u16).to_be()));
    let socket = Socket::new(Domain::PACKET, Type::DGRAM, Some(protocol))?;
    socket.bind(&packet_address(index, [0xff; 6]))?;
    let own = socket.local_addr()?;
    let mut hardware = [0; 6];
    let mut storage = own.as_storage();
    // SAFETY: the kernel filled in an address of a packet socket.
    let own = unsafe { storage.view_as::<libc::sockaddr_ll>() };
    hardware.copy_from_slice(&own.sll_addr[..6]);
    Ok((socket, hardware))
}

/// Tells the network where the address is: a request and a reply, since some switches and hosts
/// learn from one kind only.
fn announce(vip: &VipAddress) -> io::Result<()> {
    let everyone = packet_address(interface_index(&vip.interface)?, [0xff; 6]);
    let (socket, hardware) = packet_socket(vip)?;
    for operation in [1_u8, 2] {
        // Ethernet, IPv4, lengths of the addresses, operation.
        let mut packet = vec![0, 1, 8, 0, 6, 4, 0, operation];
        packet.extend_from_slice(&hardware);
        packet.extend_from_slice(&vip.address.octets());
        packet.extend_from_slice(if operation == 1 { &[0; 6] } else { &[0xff; 6] });
        packet.extend_from_slice(&vip.address.octets());
        socket.send_to(&packet, &everyone)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::VipAddress;

    #[test]
    fn an_address_has_a_prefix_and_an_interface() {
        let vip = VipAddress::parse("172.21.21.82/24  eth1").unwrap();
        assert_eq!(
            (vip.address.octets()[3], vip.prefix, vip.interface.as_str()),
            (82, 24, "eth1")
        );
        for text in [
            "172.21.21.82 eth1",
            "172.21.21.82/24",
            "x/24 eth1",
            "1.2.3.4/33 e",
            "1.2.3.4/0 e",
        ] {
            assert!(VipAddress::parse(text).is_err(), "{text}");
        }
    }
}
