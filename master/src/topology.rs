//! Racks and distances (mfstopology.cfg, master-behaviour §5.1) and the remapping of chunkserver
//! addresses (REMAP_*, §5.2). Text and addresses in, values out; no I/O.

use std::net::Ipv4Addr;

use crate::address_range::AddressRange;

/// Longest line in bytes; the rest of it is ignored.
const LINE_BYTES_MAX: usize = 999;
/// Separates the elements of a rack path: `US|CHICAGO|R1`.
const SEPARATOR: char = '|';

/// The rack of every address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Topology {
    /// In the order of the file: the last one that contains an address counts.
    racks: Vec<(AddressRange, String)>,
}

impl Topology {
    /// Reads a file; the second value holds MooseFS's messages about lines that are skipped. An empty
    /// text, or a file that is missing, is no topology: every address is in the same, unnamed rack.
    pub fn parse(text: &[u8]) -> (Topology, Vec<String>) {
        let mut topology = Topology::default();
        let mut warnings = Vec::new();
        for (index, line) in text.split(|&byte| byte == b'\n').enumerate() {
            let line = String::from_utf8_lossy(&line[..line.len().min(LINE_BYTES_MAX)]);
            match parse_line(&line) {
                Ok(None) => {}
                Ok(Some(rack)) => topology.racks.push(rack),
                Err(message) => {
                    warnings.push(format!("mfstopology: {message} line: {}", index + 1))
                }
            }
        }
        (topology, warnings)
    }

    /// Rack path of an address; empty when the file does not say.
    pub fn rack(&self, address: Ipv4Addr) -> &str {
        let last = self
            .racks
            .iter()
            .rev()
            .find(|(range, _)| range.contains(address));
        last.map_or("", |(_, rack)| rack)
    }

    /// How far two addresses are apart: 0 the same address, 1 the same rack, otherwise one more than
    /// the elements of the longer rest of both paths behind what they have in common.
    pub fn distance(&self, one: Ipv4Addr, other: Ipv4Addr) -> u32 {
        if one == other {
            return 0;
        }
        path_distance(self.rack(one), self.rack(other))
    }
}

/// The error is MooseFS's message up to the number.
fn parse_line(line: &str) -> Result<Option<(AddressRange, String)>, &'static str> {
    let mut words = line.split_ascii_whitespace();
    let Some(address) = words.next().filter(|word| !word.starts_with('#')) else {
        return Ok(None);
    };
    let range = address
        .parse()
        .map_err(|_| "incorrect ip/network definition in")?;
    let Some(rack) = words.next().filter(|word| !word.starts_with('#')) else {
        return Err("incomplete definition in");
    };
    match words.next() {
        Some(word) if !word.starts_with('#') => Err("garbage found at the end of"),
        _ => Ok(Some((range, rack.to_owned()))),
    }
}

fn path_distance(one: &str, other: &str) -> u32 {
    if one == other {
        return 1;
    }
    let elements = |path: &str| {
        if path.is_empty() {
            0
        } else {
            path.split(SEPARATOR).count()
        }
    };
    let common = if one.is_empty() || other.is_empty() {
        0
    } else {
        one.split(SEPARATOR)
            .zip(other.split(SEPARATOR))
            .take_while(|(a, b)| a == b)
            .count()
    };
    let rest = elements(one).max(elements(other)) - common;
    // Lines are short, so a path has few elements.
    u32::try_from(rest + 1).unwrap_or(u32::MAX)
}

/// Replaces the leading bits of chunkserver addresses for everybody: clients, other chunkservers, the
/// database, distances (REMAP_BITS, REMAP_SOURCE_IP_CLASS, REMAP_DESTINATION_IP_CLASS).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Remap {
    mask: u32,
    source: u32,
    destination: u32,
}

/// Why the three keys do not make a remapping.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RemapError {
    /// REMAP_BITS is not in `1..=32`.
    #[error("REMAP_BITS = {0}: not between 1 and 32, addresses are not remapped")]
    Bits(u32),
    /// A class is no address.
    #[error("{key} = {value}: not an IPv4 address, addresses are not remapped")]
    Address {
        /// Which of the keys.
        key: &'static str,
        /// What stands there.
        value: String,
    },
    /// A class has bits behind its network part.
    #[error("{key} = {value}: has bits behind the first {bits}, addresses are not remapped")]
    Garbage {
        /// Which of the keys.
        key: &'static str,
        /// What stands there.
        value: String,
        /// REMAP_BITS.
        bits: u32,
    },
}

impl Remap {
    /// From the three keys as they stand in the file. `None` unless both classes are set.
    pub fn from_config(
        bits: u32,
        source: Option<&str>,
        destination: Option<&str>,
    ) -> Result<Option<Remap>, RemapError> {
        let (Some(source), Some(destination)) = (source, destination) else {
            return Ok(None);
        };
        if !(1..=32).contains(&bits) {
            return Err(RemapError::Bits(bits));
        }
        let mask = u32::MAX << (32 - bits);
        let class = |key: &'static str, value: &str| {
            let address: Ipv4Addr = value.parse().map_err(|_| RemapError::Address {
                key,
                value: value.to_owned(),
            })?;
            if address.to_bits() & !mask != 0 {
                return Err(RemapError::Garbage {
                    key,
                    value: value.to_owned(),
                    bits,
                });
            }
            Ok(address.to_bits())
        };
        let source = class("REMAP_SOURCE_IP_CLASS", source)?;
        let destination = class("REMAP_DESTINATION_IP_CLASS", destination)?;
        Ok(Some(Remap {
            mask,
            source,
            destination,
        }))
    }

    /// The address that everybody is told.
    pub fn apply(&self, address: Ipv4Addr) -> Ipv4Addr {
        let bits = address.to_bits();
        if bits & self.mask == self.source {
            Ipv4Addr::from_bits(self.destination | (bits & !self.mask))
        } else {
            address
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u8) -> Ipv4Addr {
        Ipv4Addr::new(10, 0, 0, last)
    }

    /// The messages were recorded from mfsmaster 3.0.117.
    #[test]
    fn later_lines_win_and_wrong_ones_are_named() {
        let (topology, warnings) = Topology::parse(
            b"10.0.0.0/24 R0\n10.0.0.1\tR1|A # comment\n10.0.0.0/24\n10.0.0.3 R1|A x\n # c\n#c\n\nhost R1\n\
              10.0.0.4-10.0.0.5 5\r\n10.0.0.6 R6\n* ALL\n10.0.0.7 R7\n",
        );
        assert_eq!(
            warnings,
            [
                "mfstopology: incomplete definition in line: 3",
                "mfstopology: garbage found at the end of line: 4",
                "mfstopology: incorrect ip/network definition in line: 8",
            ]
        );
        assert_eq!(
            topology.rack(address(1)),
            "ALL",
            "the later, wider line covers it"
        );
        assert_eq!(topology.rack(address(7)), "R7");

        let (topology, _) =
            Topology::parse(b"10.0.0.0/24 R0\n10.0.0.1 R1|A\n10.0.0.4-10.0.0.5 5\r\n");
        let racks = [1, 2, 4, 5].map(|last| topology.rack(address(last)));
        assert_eq!(racks, ["R1|A", "R0", "5", "5"]);
        assert_eq!(topology.rack(Ipv4Addr::new(11, 0, 0, 1)), "");
    }

    #[test]
    fn distances() {
        let rows = [
            ("", "", 1),
            ("R1", "R1", 1),
            ("R1|A", "R1|A", 1),
            ("R1|A", "R1|B", 2),
            ("R1|A", "R2", 3),
            ("US|A|R1", "US|A|R2", 2),
            ("US|A|R1", "US|B|R1", 3),
            ("US|A|R1", "EU|A|R1", 4),
            ("US", "", 2),
            ("US|A", "", 3),
            ("US|A", "US", 2),
            ("1", "2", 2),
        ];
        for (one, other, distance) in rows {
            let (topology, warnings) =
                Topology::parse(format!("10.0.0.1 {one}\n10.0.0.2 {other}\n").as_bytes());
            let unnamed = [one, other].iter().filter(|rack| rack.is_empty()).count();
            assert_eq!(warnings.len(), unnamed);
            assert_eq!(
                topology.distance(address(1), address(2)),
                distance,
                "{one} {other}"
            );
            assert_eq!(
                topology.distance(address(2), address(1)),
                distance,
                "{other} {one}"
            );
        }
        assert_eq!(Topology::default().distance(address(1), address(1)), 0);
        assert_eq!(Topology::default().distance(address(1), address(2)), 1);
    }

    #[test]
    fn a_remap_needs_all_three_keys_and_clean_classes() {
        let remap = |bits, source, destination| Remap::from_config(bits, source, destination);
        assert_eq!(remap(24, None, Some("10.0.0.0")), Ok(None));
        assert_eq!(remap(24, Some("10.0.0.0"), None), Ok(None));
        let message = |bits, source, destination| {
            remap(bits, Some(source), Some(destination))
                .unwrap_err()
                .to_string()
        };
        assert_eq!(
            message(0, "10.0.0.0", "10.1.0.0"),
            "REMAP_BITS = 0: not between 1 and 32, addresses are not remapped"
        );
        assert_eq!(
            message(24, "10.0.0", "10.1.0.0"),
            "REMAP_SOURCE_IP_CLASS = 10.0.0: not an IPv4 address, addresses are not remapped"
        );
        assert_eq!(
            message(16, "10.0.0.0", "10.1.1.0"),
            "REMAP_DESTINATION_IP_CLASS = 10.1.1.0: has bits behind the first 16, addresses are not remapped"
        );
    }

    #[test]
    fn addresses_of_the_source_class_move_and_others_stay() {
        let rows = [
            (24, "192.168.1.7", "10.0.0.7"),
            (24, "192.168.2.7", "192.168.2.7"),
            (25, "192.168.1.127", "10.0.0.127"),
            (25, "192.168.1.128", "192.168.1.128"),
            (32, "192.168.1.0", "10.0.0.0"),
            (32, "192.168.1.1", "192.168.1.1"),
        ];
        for (bits, from, to) in rows {
            let remap = Remap::from_config(bits, Some("192.168.1.0"), Some("10.0.0.0"))
                .unwrap()
                .unwrap();
            assert_eq!(
                remap.apply(from.parse().unwrap()).to_string(),
                to,
                "{bits} {from}"
            );
        }
    }
}
