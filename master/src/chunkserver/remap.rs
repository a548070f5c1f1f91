//! Addresses of chunkservers as everybody shall see them (`REMAP_*`, master-behaviour §5.2).

use std::net::Ipv4Addr;

/// Replaces the upper bits of addresses inside one class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Remap {
    source: u32,
    destination: u32,
    mask: u32,
}

/// Why keys make no remapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadRemap {
    /// The number of bits.
    #[error("REMAP_BITS is a number from 1 to 32")]
    Bits,
    /// A class has bits behind its length.
    #[error("REMAP_{0}_IP_CLASS has garbage bits behind REMAP_BITS")]
    Garbage(&'static str),
}

impl Remap {
    /// Addresses whose upper `bits` are those of `source` get those of `destination`.
    ///
    /// # Errors
    /// When the number of bits is impossible, or an address has more bits.
    pub fn new(bits: u32, source: Ipv4Addr, destination: Ipv4Addr) -> Result<Remap, BadRemap> {
        if !(1..=32).contains(&bits) {
            return Err(BadRemap::Bits);
        }
        let mask = u32::MAX << (32 - bits);
        let (source, destination) = (u32::from(source), u32::from(destination));
        if source & !mask != 0 {
            return Err(BadRemap::Garbage("SOURCE"));
        }
        if destination & !mask != 0 {
            return Err(BadRemap::Garbage("DESTINATION"));
        }
        Ok(Remap {
            source,
            destination,
            mask,
        })
    }

    /// The address that stands for `ip`.
    pub fn map(&self, ip: Ipv4Addr) -> Ipv4Addr {
        let bits = u32::from(ip);
        if bits & self.mask == self.source {
            Ipv4Addr::from(bits & !self.mask | self.destination)
        } else {
            ip
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{BadRemap, Remap};
    use std::net::Ipv4Addr;

    #[test]
    fn upper_bits_are_replaced_inside_the_class() {
        let ip = |text: &str| text.parse::<Ipv4Addr>().unwrap();
        let remap = Remap::new(24, ip("10.1.2.0"), ip("192.168.7.0")).unwrap();
        for (from, to) in [
            ("10.1.2.33", "192.168.7.33"),
            ("10.1.3.33", "10.1.3.33"),
            ("192.168.7.33", "192.168.7.33"),
        ] {
            assert_eq!(remap.map(ip(from)), ip(to), "{from}");
        }
        assert_eq!(
            Remap::new(24, ip("10.1.2.1"), ip("192.168.7.0")),
            Err(BadRemap::Garbage("SOURCE"))
        );
        assert_eq!(
            Remap::new(24, ip("10.1.2.0"), ip("192.168.7.1")),
            Err(BadRemap::Garbage("DESTINATION"))
        );
        assert_eq!(
            Remap::new(0, ip("0.0.0.0"), ip("0.0.0.0")),
            Err(BadRemap::Bits)
        );
    }
}
