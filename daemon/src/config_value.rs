//! Numbers as configuration files write them: C notation for integers, 4.x periods with suffixes.
//! Pure functions from text to value; ranges and defaults are the table's business.

/// A number at the beginning of a text, and whether something follows it that is not part of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Leading<T> {
    /// The number.
    pub number: T,
    /// Text follows the number. MooseFS ignores it (`10 # seconds`).
    pub has_rest: bool,
}

/// An integer in C notation: `10`, `0x10`, `010`, with a sign. Saturates at the ends of `i64`.
/// `None` when the text does not begin with a number.
pub fn integer(text: &str) -> Option<Leading<i64>> {
    let text = text.trim_start();
    let (negative, digits) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    let bytes = digits.as_bytes();
    let hexadecimal = bytes.len() > 2
        && bytes[0] == b'0'
        && matches!(bytes[1], b'x' | b'X')
        && bytes[2].is_ascii_hexdigit();
    let (radix, digits) = if hexadecimal {
        (16, &digits[2..])
    } else if bytes.first() == Some(&b'0') {
        (8, digits)
    } else {
        (10, digits)
    };
    let mut number: i64 = 0;
    let mut len = 0;
    for digit in digits.chars().map_while(|c| c.to_digit(radix)) {
        let signed = if negative {
            -i64::from(digit)
        } else {
            i64::from(digit)
        };
        number = number
            .saturating_mul(i64::from(radix))
            .saturating_add(signed);
        len += 1;
    }
    (len > 0).then(|| Leading {
        number,
        has_rest: !digits[len..].trim().is_empty(),
    })
}

/// A number with a decimal point at the beginning of the text. `None` when there is none, or when it
/// is not finite.
pub fn real(text: &str) -> Option<Leading<f64>> {
    let text = text.trim();
    let longest = (1..=text.len())
        .rev()
        .filter(|&len| text.is_char_boundary(len))
        .find_map(|len| text[..len].parse::<f64>().ok().map(|number| (number, len)));
    let (number, len) = longest?;
    number.is_finite().then(|| Leading {
        number,
        has_rest: !text[len..].trim().is_empty(),
    })
}

/// A length of time in seconds: `90`, `1800s`, `30m`, `1d12h`, `1w`, `2.5h`; a number without a suffix
/// is seconds. `None` when the text is something else.
pub fn period_seconds(text: &str) -> Option<Leading<i64>> {
    let mut rest = text.trim();
    // Plain numbers keep the C notation of 3.0.
    let has_unit = rest
        .bytes()
        .any(|b| matches!(b.to_ascii_lowercase(), b's' | b'm' | b'h' | b'd' | b'w'))
        && !rest.starts_with("0x");
    if !has_unit || rest.starts_with(['-', '+']) {
        return integer(rest);
    }
    let mut total = 0.0;
    let mut parts = 0;
    while !rest.is_empty() {
        let digits = rest
            .bytes()
            .take_while(|b| b.is_ascii_digit() || *b == b'.')
            .count();
        let Ok(number) = rest[..digits].parse::<f64>() else {
            break;
        };
        let after = rest[digits..].trim_start();
        let unit = match after.bytes().next().map(|b| b.to_ascii_lowercase()) {
            Some(b's') => 1.0,
            Some(b'm') => 60.0,
            Some(b'h') => 3600.0,
            Some(b'd') => 86_400.0,
            Some(b'w') => 604_800.0,
            _ if parts == 0 => return integer(rest),
            _ => break,
        };
        total += number * unit;
        parts += 1;
        rest = after[1..].trim_start();
    }
    // The cast saturates.
    (parts > 0).then(|| Leading {
        number: total.round() as i64,
        has_rest: !rest.is_empty(),
    })
}

/// `endangered,undergoal,rebalance,extremes[,…]`, or one number for all of them.
/// `None` unless there are 1, 4 or 5 numbers and nothing else.
pub fn limits(text: &str) -> Option<Vec<f64>> {
    let numbers: Option<Vec<f64>> = text
        .split(',')
        .map(|part| part.trim().parse().ok())
        .collect();
    numbers.filter(|list| {
        matches!(list.len(), 1 | 4 | 5) && list.iter().all(|n| n.is_finite() && *n >= 0.0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rows up to `1k` were given to mfsmaster 3.0.117 as FILE_UMASK. Where the text is no
    /// number it took 0; here the key's default is used instead, with a warning.
    #[test]
    fn integers_are_read_as_c_reads_them() {
        let rows: &[(&str, Option<(i64, bool)>)] = &[
            ("027", Some((23, false))),
            ("27", Some((27, false))),
            ("0x17", Some((23, false))),
            ("0b1", Some((0, true))),
            (" 27x", Some((27, true))),
            ("-1", Some((-1, false))),
            ("+5", Some((5, false))),
            ("08", Some((0, true))),
            ("27 # c", Some((27, true))),
            ("1.5", Some((1, true))),
            ("1k", Some((1, true))),
            ("0x", Some((0, true))),
            ("99999999999999999999", Some((i64::MAX, false))),
            ("abc", None),
            ("", None),
            ("-", None),
            ("\"027\"", None),
        ];
        for (text, expected) in rows {
            let got = integer(text).map(|leading| (leading.number, leading.has_rest));
            assert_eq!(got, *expected, "{text:?}");
        }
    }

    #[test]
    fn periods_take_plain_seconds_and_suffixes() {
        let rows: &[(&str, Option<(i64, bool)>)] = &[
            ("1800", Some((1800, false))),
            ("30m", Some((1800, false))),
            ("1w", Some((604_800, false))),
            ("1d", Some((86_400, false))),
            ("1d12h", Some((129_600, false))),
            ("2.5h", Some((9000, false))),
            ("1W 1D", Some((691_200, false))),
            ("10 # seconds", Some((10, true))),
            ("10m x", Some((600, true))),
            ("-1", Some((-1, false))),
            ("soon", None),
            ("", None),
        ];
        for (text, expected) in rows {
            let got = period_seconds(text).map(|leading| (leading.number, leading.has_rest));
            assert_eq!(got, *expected, "{text:?}");
        }
    }

    #[test]
    fn reals_and_limits() {
        assert_eq!(
            real("0.01"),
            Some(Leading {
                number: 0.01,
                has_rest: false
            })
        );
        assert_eq!(
            real("3.0 times"),
            Some(Leading {
                number: 3.0,
                has_rest: true
            })
        );
        assert_eq!(real("x"), None);
        assert_eq!(real("inf"), None);
        assert_eq!(limits("2"), Some(vec![2.0]));
        assert_eq!(limits("2,1, 1 ,4"), Some(vec![2.0, 1.0, 1.0, 4.0]));
        assert_eq!(limits("2,1,1,4,4").map(|list| list.len()), Some(5));
        for wrong in ["", "2,1", "a", "1,2,3,-4", "1,2,3,x"] {
            assert_eq!(limits(wrong), None, "{wrong:?}");
        }
    }
}
