//! Ranges of IPv4 addresses as mfsexports.cfg and mfstopology.cfg write them (tools-and-cli §15.6).

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

/// Both ends belong to it. A range whose ends are swapped contains nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressRange {
    /// First address.
    pub from: Ipv4Addr,
    /// Last address.
    pub to: Ipv4Addr,
}

impl AddressRange {
    /// `*`.
    pub const ANY: AddressRange = AddressRange {
        from: Ipv4Addr::UNSPECIFIED,
        to: Ipv4Addr::BROADCAST,
    };

    /// Whether an address is in the range.
    pub fn contains(&self, address: Ipv4Addr) -> bool {
        self.from <= address && address <= self.to
    }
}

/// The text is no range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotARange;

impl FromStr for AddressRange {
    type Err = NotARange;

    /// `*`, `A.B.C.D`, `A.B.C.D-E.F.G.H`, `A.B.C.D/BITS`, `A.B.C.D/MASK`.
    fn from_str(text: &str) -> Result<AddressRange, NotARange> {
        if text == "*" {
            return Ok(AddressRange::ANY);
        }
        if let Some((from, to)) = text.split_once('-') {
            return Ok(AddressRange {
                from: address(from)?,
                to: address(to)?,
            });
        }
        let Some((network, mask)) = text.split_once('/') else {
            let only = address(text)?;
            return Ok(AddressRange {
                from: only,
                to: only,
            });
        };
        let network = address(network)?.to_bits();
        let mask = if mask.contains('.') {
            address(mask)?.to_bits()
        } else {
            mask_of_bits(mask)?
        };
        Ok(AddressRange {
            from: (network & mask).into(),
            to: (network | !mask).into(),
        })
    }
}

/// `/0` means one address, as in MooseFS: a file that is taken over must not open to the world.
fn mask_of_bits(text: &str) -> Result<u32, NotARange> {
    match decimal(text, 32)? {
        0 => Ok(u32::MAX),
        bits => Ok(u32::MAX << (32 - bits)),
    }
}

/// Leading zeros are decimal here; the standard library refuses them.
fn address(text: &str) -> Result<Ipv4Addr, NotARange> {
    let mut bits = 0;
    let mut parts = 0;
    for part in text.split('.') {
        bits = bits << 8 | decimal(part, 255)?;
        parts += 1;
        if parts > 4 {
            return Err(NotARange);
        }
    }
    if parts == 4 {
        Ok(Ipv4Addr::from_bits(bits))
    } else {
        Err(NotARange)
    }
}

fn decimal(text: &str, max: u32) -> Result<u32, NotARange> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(NotARange);
    }
    text.parse()
        .ok()
        .filter(|number| *number <= max)
        .ok_or(NotARange)
}

impl fmt::Display for AddressRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.from, self.to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Recorded from mfsmaster 3.0.117, whose exports are listed by message 520.
    #[test]
    fn every_form_and_what_is_none() {
        let rows = [
            ("*", "0.0.0.0-255.255.255.255"),
            ("10.0.0.1", "10.0.0.1-10.0.0.1"),
            ("0.0.0.0", "0.0.0.0-0.0.0.0"),
            ("010.0.0.1", "10.0.0.1-10.0.0.1"),
            ("10.0.0.0/8", "10.0.0.0-10.255.255.255"),
            ("10.1.2.3/8", "10.0.0.0-10.255.255.255"),
            ("10.0.0.0/08", "10.0.0.0-10.255.255.255"),
            ("10.0.0.0/255.0.0.0", "10.0.0.0-10.255.255.255"),
            ("10.0.0.0/255.0.255.0", "10.0.0.0-10.255.0.255"),
            ("0.0.0.0/0.0.0.0", "0.0.0.0-255.255.255.255"),
            ("10.0.0.0/0", "10.0.0.0-10.0.0.0"),
            ("10.0.0.0/32", "10.0.0.0-10.0.0.0"),
            ("10.0.0.1-10.0.0.5", "10.0.0.1-10.0.0.5"),
            ("10.0.0.5-10.0.0.1", "10.0.0.5-10.0.0.1"),
        ];
        for (text, range) in rows {
            let got = text.parse::<AddressRange>().map(|range| range.to_string());
            assert_eq!(got.as_deref(), Ok(range), "{text}");
        }
        for text in [
            "10.0.0.0/33",
            "10.0.0",
            "256.0.0.1",
            "10.0.0.1x",
            "host",
            "10.0.0.0/255.255",
            "10.0.0.0/",
            "10.0.0.1-",
            "*x",
            "**",
            "10.0.0.1,",
            "10.0.0.*",
            "::1",
            "10.0.0.1:9421",
            "999999999999.0.0.1",
            "1.2.3.4.5",
            "",
            "+1.2.3.4",
        ] {
            assert_eq!(text.parse::<AddressRange>(), Err(NotARange), "{text}");
        }
    }

    #[test]
    fn a_range_contains_its_ends_and_a_swapped_one_nothing() {
        let range: AddressRange = "10.0.0.2-10.0.1.0".parse().unwrap();
        let inside = |address: [u8; 4]| range.contains(address.into());
        assert!(inside([10, 0, 0, 2]) && inside([10, 0, 0, 255]) && inside([10, 0, 1, 0]));
        assert!(!inside([10, 0, 0, 1]) && !inside([10, 0, 1, 1]));
        let swapped: AddressRange = "10.0.0.5-10.0.0.1".parse().unwrap();
        assert!(!swapped.contains(Ipv4Addr::new(10, 0, 0, 3)));
    }
}
