//! Chunks counted by goal and number of copies (wire-admin §4.6).

use super::request::optional_byte;
use crate::frame::put_frame;
use crate::wire::{Malformed, Put, Reader};

/// Rows and columns: 0–9, and "10 or more".
pub const MATRIX_SIDE: usize = 11;

/// Asks for the chunk matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GetChunkMatrix {
    /// 0 all copies, 1 only those on disks not marked for removal; other numbers are answered with
    /// zeros. Absent: both.
    pub matrix: Option<u8>,
}

optional_byte! { GetChunkMatrix = 516 { matrix } }

/// Number of chunks by goal (row) and valid copies (column). Row 0: chunks that no file uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Matrix(pub [[u32; MATRIX_SIDE]; MATRIX_SIDE]);

/// Answer to [`GetChunkMatrix`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChunkMatrix {
    /// The one that was asked for.
    One(Box<Matrix>),
    /// Both.
    Both {
        /// 0 settled; bit 0: a disconnection is being worked off; bit 1: a server is registering.
        progress: u8,
        /// All copies, then those on disks not marked for removal.
        matrices: Box<[Matrix; 2]>,
    },
}

/// Bytes of one matrix.
const MATRIX_LEN: usize = 4 * MATRIX_SIDE * MATRIX_SIDE;

impl ChunkMatrix {
    /// Message type.
    pub const KIND: u32 = 517;

    /// Reads the payload of a packet of this type.
    pub fn decode(payload: &[u8]) -> Result<ChunkMatrix, Malformed> {
        let mut reader = Reader::new(payload);
        let answer = if payload.len() == MATRIX_LEN {
            ChunkMatrix::One(Box::new(Matrix::get(&mut reader)?))
        } else {
            ChunkMatrix::Both {
                progress: reader.u8()?,
                matrices: Box::new([Matrix::get(&mut reader)?, Matrix::get(&mut reader)?]),
            }
        };
        reader.finish()?;
        Ok(answer)
    }

    /// Appends the packet, header included.
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_frame(out, Self::KIND, |out| match self {
            ChunkMatrix::One(matrix) => matrix.put(out),
            ChunkMatrix::Both { progress, matrices } => {
                out.put_u8(*progress);
                for matrix in matrices.iter() {
                    matrix.put(out);
                }
            }
        });
    }
}

impl Matrix {
    fn get(reader: &mut Reader<'_>) -> Result<Matrix, Malformed> {
        let mut matrix = Matrix::default();
        for row in &mut matrix.0 {
            *row = reader.get()?;
        }
        Ok(matrix)
    }

    fn put(&self, out: &mut Vec<u8>) {
        for row in self.0 {
            out.put(row);
        }
    }
}
