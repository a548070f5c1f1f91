use super::{ChunkFile, Fault, Piece};
use crate::store::crc;
use crate::store::layout::{BLOCK, Identity, Layout};
use proto::{ChunkId, ChunkVersion};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

const IDENTITY: Identity = Identity {
    chunk: ChunkId(7),
    version: ChunkVersion(2),
};

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("chunk-file-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}

fn put(file: &mut ChunkFile, block: u16, offset: usize, data: &[u8]) -> Result<(), Fault> {
    let pieces = [Piece {
        block,
        offset: offset as u16,
        crc: crc::of(data),
        data,
    }];
    let (count, result) = file.write(&pieces, true);
    assert_eq!(count, 1);
    result
}

fn content(file: &ChunkFile) -> Vec<u8> {
    let mut data = vec![0; usize::from(file.blocks()) * BLOCK];
    file.read_blocks(0, &mut data).unwrap();
    data
}

/// Random writes and truncations against a plain vector, in both forms, with the file opened anew
/// after each step.
#[test]
fn a_chunk_behaves_like_an_array_of_bytes() {
    let folder = Folder::new("model");
    for layout in [Layout::Old, Layout::New] {
        let path = folder.0.join(format!("{layout:?}"));
        drop(ChunkFile::create(&path, layout, IDENTITY).unwrap());
        let mut model: Vec<u8> = Vec::new();
        let mut seed = 1_u32;
        let mut dice = |sides: usize| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (seed >> 8) as usize % sides
        };
        for step in 0..300 {
            let mut file = ChunkFile::open(&path, IDENTITY, false, false).unwrap();
            assert_eq!(file.layout(), layout);
            match dice(4) {
                0 => {
                    let length = dice(9 * BLOCK);
                    file.truncate(length as u32).unwrap();
                    model.resize(length, 0);
                    model.resize(length.div_ceil(BLOCK) * BLOCK, 0);
                }
                1 => {
                    let first = dice(6);
                    let data: Vec<Vec<u8>> = (0..3).map(|_| vec![dice(256) as u8; BLOCK]).collect();
                    let pieces: Vec<Piece<'_>> = data
                        .iter()
                        .zip(first as u16..)
                        .map(|(data, block)| Piece {
                            block,
                            offset: 0,
                            crc: crc::of(data),
                            data,
                        })
                        .collect();
                    let mut done = 0;
                    while done < pieces.len() {
                        let (count, result) = file.write(&pieces[done..], true);
                        result.unwrap();
                        done += count;
                    }
                    let end = (first + 3) * BLOCK;
                    model.resize(model.len().max(end), 0);
                    model[first * BLOCK..end].copy_from_slice(&data.concat());
                }
                _ => {
                    let block = dice(8);
                    let offset = dice(BLOCK);
                    let mut data = vec![0; dice(BLOCK - offset + 1)];
                    let middle = data.len() / 3..data.len() / 2;
                    data[middle].fill(step as u8);
                    put(&mut file, block as u16, offset, &data).unwrap();
                    model.resize(model.len().max((block + 1) * BLOCK), 0);
                    let start = block * BLOCK + offset;
                    model[start..start + data.len()].copy_from_slice(&data);
                }
            }
            drop(file);
            let file = ChunkFile::open(&path, IDENTITY, false, true).unwrap();
            assert!(content(&file) == model, "step {step}");
        }
    }
}

#[test]
fn a_copy_has_the_data_in_either_form_and_keeps_rot_visible() {
    let folder = Folder::new("copy");
    let mut number = 0;
    for (from, to) in [
        (Layout::Old, Layout::New),
        (Layout::New, Layout::Old),
        (Layout::Old, Layout::Old),
    ] {
        for length in [
            None,
            Some(0),
            Some(70_000),
            Some(3 * BLOCK as u32),
            Some(400_000),
        ] {
            number += 1;
            let mut source =
                ChunkFile::create(&folder.0.join(format!("s{number}")), from, IDENTITY).unwrap();
            put(&mut source, 0, 0, &[5; BLOCK]).unwrap();
            put(&mut source, 3, 100, &[6; 1000]).unwrap();
            let mut copy =
                ChunkFile::create(&folder.0.join(format!("c{number}")), to, IDENTITY).unwrap();
            copy.copy_from(&source, length).unwrap();
            let mut expected = content(&source);
            if let Some(length) = length {
                expected.truncate(length as usize);
                expected.resize((length as usize).div_ceil(BLOCK) * BLOCK, 0);
            }
            assert!(content(&copy) == expected, "{from:?} {to:?} {length:?}");

            source
                .file
                .write_all_at(b"rot", source.layout.block_offset(0))
                .unwrap();
            let mut rotten =
                ChunkFile::create(&folder.0.join(format!("r{number}")), to, IDENTITY).unwrap();
            rotten.copy_from(&source, None).unwrap();
            let read = rotten.read_blocks(0, &mut [0; BLOCK]);
            assert!(matches!(read, Err(Fault::Crc { block: 0, .. })));
            assert!(matches!(
                put(&mut rotten, 0, 1, b"x"),
                Err(Fault::Crc { block: 0, .. })
            ));
            assert!(matches!(rotten.truncate(17), Err(Fault::Crc { .. })));
        }
    }
}

#[test]
fn what_is_no_chunk_file_is_not_opened() {
    let folder = Folder::new("open");
    let path = folder.0.join("file");
    let mut file = ChunkFile::create(&path, Layout::New, IDENTITY).unwrap();
    assert!(ChunkFile::create(&path, Layout::New, IDENTITY).is_err());
    put(&mut file, 0, 0, b"hello").unwrap();
    let open = |chunk, version, any| {
        let identity = Identity {
            chunk: ChunkId(chunk),
            version: ChunkVersion(version),
        };
        ChunkFile::open(&path, identity, any, false)
    };
    assert!(open(7, 2, false).is_ok());
    assert!(open(7, 3, true).is_ok());
    assert!(matches!(open(7, 3, false), Err(Fault::BadHeader)));
    assert!(matches!(open(8, 2, true), Err(Fault::BadHeader)));
    file.write_version(ChunkVersion(3)).unwrap();
    assert!(open(7, 3, false).is_ok());
    file.file.set_len(70_000).unwrap();
    assert!(matches!(open(7, 3, false), Err(Fault::BadSize(70_000))));
}
