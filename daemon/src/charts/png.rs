//! A picture with a palette as a PNG file.
//!
//! Compression knows the repetitions that charts have: the same byte, the line above, and hatching
//! with a period of three pixels in both directions.

/// A picture of 1 × 1 pixels: the answer to a request for a chart that does not exist.
pub(super) const NOTHING: &[u8] =
    b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x04\0\0\0\
\xb5\x1c\x0c\x02\0\0\0\x0bIDAT\x08\xd7c``\0\0\0\x03\0\x01\x20\xd5\x94\xc7\0\0\0\0IEND\xaeB`\x82";

const SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";

/// Pixels, each the number of a colour.
#[derive(Debug)]
pub(super) struct Canvas {
    width: usize,
    /// Lines of `1 + width` bytes; the first byte is the filter of the line, 0: none.
    lines: Vec<u8>,
}

impl Canvas {
    /// A picture of colour 0.
    pub(super) fn new(width: usize, height: usize) -> Canvas {
        Canvas {
            width,
            lines: vec![0; (width + 1) * height],
        }
    }

    /// Sets a pixel; outside of the picture nothing happens.
    pub(super) fn set(&mut self, x: usize, y: usize, colour: u8) {
        if x < self.width
            && let Some(pixel) = self.lines.get_mut(y * (self.width + 1) + 1 + x)
        {
            *pixel = colour;
        }
    }

    /// The file. Colour 0 is transparent.
    pub(super) fn to_png(&self, palette: &[[u8; 3]]) -> Vec<u8> {
        let stride = self.width + 1;
        let mut header = Vec::with_capacity(13);
        header.extend((self.width as u32).to_be_bytes());
        header.extend(((self.lines.len() / stride) as u32).to_be_bytes());
        // Eight bits a pixel, palette, deflate, default filters, not interlaced.
        header.extend([8, 3, 0, 0, 0]);
        let mut out = SIGNATURE.to_vec();
        put_chunk(&mut out, b"IHDR", &header);
        put_chunk(&mut out, b"PLTE", palette.as_flattened());
        put_chunk(&mut out, b"tRNS", &[0]);
        put_chunk(&mut out, b"IDAT", &compress(&self.lines, stride));
        put_chunk(&mut out, b"IEND", &[]);
        out
    }
}

fn put_chunk(out: &mut Vec<u8>, kind: &[u8; 4], data: &[u8]) {
    let mut crc = crc32fast::Hasher::new();
    crc.update(kind);
    crc.update(data);
    out.extend((data.len() as u32).to_be_bytes());
    out.extend(kind);
    out.extend(data);
    out.extend(crc.finalize().to_be_bytes());
}

/// Shortest repetition that is worth its code.
const MATCH_MIN: usize = 4;
/// Longest repetition of the format.
const MATCH_MAX: usize = 258;

/// A zlib stream with one block of fixed codes (RFC 1950, RFC 1951).
fn compress(data: &[u8], stride: usize) -> Vec<u8> {
    let mut bits = Bits {
        out: vec![0x78, 0x01],
        pending: 0,
        count: 0,
    };
    // Last block, fixed codes.
    bits.put(0b011, 3);
    let distances = [3 * stride, stride, stride - 1, 3, 1];
    let mut place = 0;
    while place < data.len() {
        let repetition = distances
            .into_iter()
            .filter(|distance| *distance <= place)
            .map(|distance| (repeated(data, place, distance), distance))
            .max_by_key(|(length, _)| *length);
        match repetition {
            Some((length, distance)) if length >= MATCH_MIN => {
                bits.put_length(length);
                bits.put_distance(distance);
                place += length;
            }
            _ => {
                bits.put_symbol(u16::from(data[place]));
                place += 1;
            }
        }
    }
    bits.put_symbol(256);
    let mut out = bits.finish();
    out.extend(adler32(data).to_be_bytes());
    out
}

/// For how many bytes the data repeat what is `distance` earlier.
fn repeated(data: &[u8], place: usize, distance: usize) -> usize {
    let here = data[place..].iter().take(MATCH_MAX);
    let earlier = &data[place - distance..];
    here.zip(earlier).take_while(|(a, b)| a == b).count()
}

fn adler32(data: &[u8]) -> u32 {
    const MODULUS: u32 = 65521;
    let (mut low, mut high) = (1u32, 0u32);
    // 5552 bytes are the most after which the sums still fit.
    for part in data.chunks(5552) {
        for byte in part {
            low += u32::from(*byte);
            high += low;
        }
        low %= MODULUS;
        high %= MODULUS;
    }
    high << 16 | low
}

/// Bits of a deflate stream, the lowest of each byte first.
struct Bits {
    out: Vec<u8>,
    pending: u32,
    count: u32,
}

impl Bits {
    /// Appends `count` bits of a number, at most 16, the lowest first.
    fn put(&mut self, value: u32, count: u32) {
        self.pending |= value << self.count;
        self.count += count;
        while self.count >= 8 {
            self.out.push(self.pending as u8);
            self.pending >>= 8;
            self.count -= 8;
        }
    }

    /// Appends a code, whose highest bit goes first.
    fn put_code(&mut self, code: u32, count: u32) {
        self.put(code.reverse_bits() >> (32 - count), count);
    }

    /// A literal, the end of the block or a length, in the fixed code.
    fn put_symbol(&mut self, symbol: u16) {
        let symbol = u32::from(symbol);
        match symbol {
            0..=143 => self.put_code(0x30 + symbol, 8),
            144..=255 => self.put_code(0x190 + symbol - 144, 9),
            256..=279 => self.put_code(symbol - 256, 7),
            _ => self.put_code(0xc0 + symbol - 280, 8),
        }
    }

    /// A length of 3–258. Beyond 10, groups of four symbols have one more extra bit each.
    fn put_length(&mut self, length: usize) {
        let length = length as u32;
        match length {
            258 => self.put_symbol(285),
            3..=10 => self.put_symbol((257 + length - 3) as u16),
            _ => {
                let offset = length - 3;
                let extra = offset.ilog2() - 2;
                let symbol = 261 + 4 * extra + ((offset >> extra) & 3);
                self.put_symbol(symbol as u16);
                self.put(offset & ((1 << extra) - 1), extra);
            }
        }
    }

    /// A distance of 1–32768. Beyond 4, pairs of codes have one more extra bit each.
    fn put_distance(&mut self, distance: usize) {
        let offset = distance as u32 - 1;
        if offset < 4 {
            self.put_code(offset, 5);
        } else {
            let extra = offset.ilog2() - 1;
            self.put_code(2 * extra + (offset >> extra), 5);
            self.put(offset & ((1 << extra) - 1), extra);
        }
    }

    fn finish(mut self) -> Vec<u8> {
        if self.count > 0 {
            self.out.push(self.pending as u8);
        }
        self.out
    }
}
