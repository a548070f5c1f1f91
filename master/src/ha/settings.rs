//! What `mfsmaster.cfg` says about the cluster (`HA_*`).

use super::vip::VipAddress;
use daemon::config::Config;
use replication::{Peer, Secret};
use std::net::{Ipv4Addr, SocketAddrV4, ToSocketAddrs as _, UdpSocket};
use std::path::PathBuf;
use std::time::Duration;

/// The replication port unless the configuration says otherwise.
const PORT: u16 = 9424;

/// A node of a replicated master.
#[derive(Clone, Debug)]
pub struct HaSettings {
    /// All nodes.
    pub peers: Vec<Peer>,
    /// Name of this one.
    pub node: String,
    /// Where its replication port is.
    pub listen: SocketAddrV4,
    /// The cluster's secret.
    pub secret: Secret,
    /// Between two messages of an idle leader.
    pub heartbeat: Duration,
    /// A leader that is silent for so long is replaced.
    pub election: Duration,
    /// Rate of an image that is sent, bytes a second; 0 = unlimited.
    pub resync_rate: u64,
    /// The floating address; `None` = something else moves it.
    pub vip: Option<VipAddress>,
    /// Run with each change of this node's part; empty = nothing.
    pub event_command: String,
    /// The replicated log and its images, inside the data directory.
    pub directory: PathBuf,
}

impl HaSettings {
    /// Reads the settings; `None` for a master without peers.
    ///
    /// # Errors
    /// What is wrong, with the key.
    pub fn from_config(config: &Config) -> Result<Option<HaSettings>, String> {
        let text = config.text("HA_PEERS");
        if text.trim().is_empty() {
            return Ok(None);
        }
        let peers = parse_peers(text)?;
        let node = match config.text("HA_NODE").trim() {
            "" => find_self(&peers, |address| UdpSocket::bind((address, 0)).is_ok())?,
            name if peers.iter().any(|peer| peer.name == name) => name.to_owned(),
            name => return Err(format!("HA_NODE = {name}: it is not one of HA_PEERS")),
        };
        let own = peers
            .iter()
            .find(|peer| peer.name == node)
            .map_or(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, PORT), |peer| {
                peer.address
            });
        let listen = match config.text("HA_LISTEN_HOST").trim() {
            "" => own,
            "*" => SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, own.port()),
            host => SocketAddrV4::new(resolve("HA_LISTEN_HOST", host)?, own.port()),
        };
        let secret_file = config.text("HA_SECRET_FILE");
        let secret = std::fs::read(secret_file)
            .map_err(|error| error.to_string())
            .and_then(|content| Secret::new(&content))
            .map_err(|error| format!("HA_SECRET_FILE = {secret_file}: {error}"))?;
        let millis = |key| Duration::from_millis(u64::from(config.u32(key)));
        let (heartbeat, election) = (millis("HA_HEARTBEAT_MS"), millis("HA_ELECTION_MS"));
        if election < heartbeat * 4 {
            return Err("HA_ELECTION_MS must be at least four times HA_HEARTBEAT_MS".to_owned());
        }
        Ok(Some(HaSettings {
            peers,
            node,
            listen,
            secret,
            heartbeat,
            election,
            resync_rate: parse_rate(config.text("HA_RESYNC_RATE"))?,
            vip: match config.text("HA_VIP").trim() {
                "" => None,
                text => Some(VipAddress::parse(text)?),
            },
            event_command: config.text("HA_EVENT_COMMAND").trim().to_owned(),
            directory: PathBuf::from("ha"),
        }))
    }

    /// Whether this node never serves.
    pub fn is_witness(&self) -> bool {
        self.peers
            .iter()
            .any(|peer| peer.name == self.node && peer.is_witness)
    }
}

/// `NAME ADDRESS[:PORT] [witness], …`
fn parse_peers(text: &str) -> Result<Vec<Peer>, String> {
    let mut peers: Vec<Peer> = Vec::new();
    for item in text.split(',') {
        let fail = |what: &str| format!("HA_PEERS: '{}': {what}", item.trim());
        let words: Vec<&str> = item.split_whitespace().collect();
        let (name, address, rest) = match words.as_slice() {
            [name, address, rest @ ..] => (*name, *address, rest),
            _ => return Err(fail("a name and an address are expected")),
        };
        let is_witness = match rest {
            [] => false,
            ["witness"] => true,
            _ => return Err(fail("only the word 'witness' may follow the address")),
        };
        let (host, port) = match address.rsplit_once(':') {
            Some((host, port)) => (
                host,
                port.parse()
                    .map_err(|_| fail("the port is not a number from 1 to 65535"))?,
            ),
            None => (address, PORT),
        };
        if peers.iter().any(|peer| peer.name == name) {
            return Err(fail("the name is there twice"));
        }
        peers.push(Peer {
            name: name.to_owned(),
            address: SocketAddrV4::new(resolve("HA_PEERS", host)?, port),
            is_witness,
        });
    }
    if peers.iter().all(|peer| peer.is_witness) {
        return Err("HA_PEERS: there are only witnesses".to_owned());
    }
    Ok(peers)
}

fn resolve(key: &str, host: &str) -> Result<Ipv4Addr, String> {
    if let Ok(address) = host.parse() {
        return Ok(address);
    }
    (host, 0)
        .to_socket_addrs()
        .map_err(|error| format!("{key}: can't resolve {host}: {error}"))?
        .find_map(|address| match address {
            std::net::SocketAddr::V4(address) => Some(*address.ip()),
            std::net::SocketAddr::V6(_) => None,
        })
        .ok_or_else(|| format!("{key}: {host} has no IPv4 address"))
}

/// The one peer whose address is one of this machine's.
fn find_self(peers: &[Peer], is_ours: impl Fn(Ipv4Addr) -> bool) -> Result<String, String> {
    let ours: Vec<&str> = peers
        .iter()
        .filter(|peer| is_ours(*peer.address.ip()))
        .map(|peer| peer.name.as_str())
        .collect();
    match ours.as_slice() {
        [name] => Ok((*name).to_owned()),
        [] => Err("HA_PEERS: no address there is one of this machine's - set HA_NODE".to_owned()),
        _ => Err(format!(
            "HA_PEERS: {} have addresses of this machine - set HA_NODE",
            ours.join(" and ")
        )),
    }
}

/// Bytes a second: a number with K, M or G, as DRBD writes it; 0 = unlimited.
fn parse_rate(text: &str) -> Result<u64, String> {
    let text = text.trim();
    let (digits, factor) = match text.char_indices().last() {
        Some((at, 'k' | 'K')) => (&text[..at], 1_u64 << 10),
        Some((at, 'm' | 'M')) => (&text[..at], 1 << 20),
        Some((at, 'g' | 'G')) => (&text[..at], 1 << 30),
        _ => (text, 1),
    };
    digits
        .trim()
        .parse::<u64>()
        .ok()
        .and_then(|number| number.checked_mul(factor))
        .ok_or_else(|| format!("HA_RESYNC_RATE = {text}: a number with K, M or G is expected"))
}

#[cfg(test)]
mod tests {
    use super::{find_self, parse_peers, parse_rate};

    #[test]
    fn peers_are_names_addresses_and_parts() {
        let text =
            "mfsmaster 172.21.21.80, mfsbackup 172.21.21.81:9999 , mfschunk1 172.21.21.77 witness";
        let shown: Vec<String> = parse_peers(text)
            .unwrap()
            .into_iter()
            .map(|peer| format!("{} {} {}", peer.name, peer.address, peer.is_witness))
            .collect();
        assert_eq!(
            shown,
            [
                "mfsmaster 172.21.21.80:9424 false",
                "mfsbackup 172.21.21.81:9999 false",
                "mfschunk1 172.21.21.77:9424 true"
            ]
        );
        for (text, expected) in [
            ("mfsmaster", "a name and an address"),
            ("a 1.2.3.4 arbiter", "witness"),
            ("a 1.2.3.4:0x", "port"),
            ("a 1.2.3.4, a 1.2.3.5", "twice"),
            ("a 1.2.3.4 witness", "only witnesses"),
        ] {
            let error = parse_peers(text).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }

    #[test]
    fn a_node_finds_itself_by_its_addresses() {
        let peers = parse_peers("a 1.1.1.1, b 2.2.2.2").unwrap();
        assert_eq!(find_self(&peers, |ip| ip.octets()[0] == 2).unwrap(), "b");
        assert!(find_self(&peers, |_| true).is_err());
        assert!(find_self(&peers, |_| false).is_err());
    }

    #[test]
    fn rates_are_written_as_for_drbd() {
        for (text, bytes) in [
            ("40M", 40 << 20),
            ("0", 0),
            ("512K", 512 << 10),
            ("1g", 1 << 30),
        ] {
            assert_eq!(parse_rate(text), Ok(bytes));
        }
        assert!(parse_rate("fast").is_err());
    }
}
