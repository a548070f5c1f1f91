//! How long a file system of many files takes to load and to save:
//! `cargo run --release -p metadata --example image_speed -- FILES CHUNKS_PER_FILE [FILE]`;
//! the image is written to FILE, for comparison with another program.
//!
//! The image is made like a real master's: inodes and chunks in the order of its hash tables, names
//! by directory, newest first.

use metadata::image::{LoadOptions, load, save_stream};
use proto::image::{
    ChunkEntry, EDGE_ID_FIRST, EOF_MARKER, EdgeRecord, ImageHeader, NodeAttributes, NodeHeader,
    Pieces, Section, SectionHeader, encode_chunk_header, encode_edge_end, encode_edge_header,
    encode_node_end,
};
use proto::{ChunkId, ChunkVersion, ClassId, Inode, MetaId, MetaVersion, NodeKind};
use std::error::Error;
use std::time::Instant;

const FILES_PER_DIRECTORY: u32 = 1000;

/// The hash of 3.0.117 (metadata-and-changelog §1.6).
fn mix(key: u32) -> u32 {
    let mut k = (!key).wrapping_add(key << 15);
    k ^= k >> 12;
    k = k.wrapping_add(k << 2);
    k ^= k >> 4;
    k = k.wrapping_mul(2057);
    k ^ k >> 16
}

fn attributes(kind: NodeKind, inode: u32) -> NodeAttributes {
    NodeAttributes {
        kind,
        inode: Inode(inode),
        class: ClassId(2),
        eattr: 0,
        winattr: 0,
        mode: 0o755,
        uid: 0,
        gid: 0,
        atime: 1,
        mtime: 1,
        ctime: 1,
        trash_hours: 24,
    }
}

fn section(file: &mut Vec<u8>, section: Section, write: impl FnOnce(&mut Pieces)) {
    let mut out = Pieces::default();
    write(&mut out);
    let header = SectionHeader {
        name: section.name(),
        version: section.version(),
        length: Some(out.bytes().len() as u64),
    };
    file.extend_from_slice(&header.encode());
    file.extend_from_slice(out.bytes());
}

fn image(files: u32, chunks_per_file: u32) -> Vec<u8> {
    let directories = files.div_ceil(FILES_PER_DIRECTORY);
    let first_file = directories + 2;
    let last = first_file + files;
    let mut file = ImageHeader::encode(MetaVersion(7), MetaId(7)).to_vec();
    section(&mut file, Section::Nodes, |out| {
        NodeHeader {
            max_inode: last,
            nodes: last,
        }
        .encode(out);
        let mut inodes: Vec<u32> = (1..last).collect();
        inodes.sort_by_key(|inode| mix(*inode) & 0xFF_FFFF);
        for inode in inodes {
            if inode < first_file {
                attributes(NodeKind::Directory, inode).encode_plain(out);
                continue;
            }
            let first = u64::from(inode - first_file) * u64::from(chunks_per_file) + 1;
            let ids = (0..chunks_per_file).map(|index| ChunkId(first + u64::from(index)));
            let length = u64::from(chunks_per_file) << 26;
            attributes(NodeKind::File, inode).encode_data(length, ids, out);
        }
        encode_node_end(out);
    });
    section(&mut file, Section::Edges, |out| {
        encode_edge_header(EDGE_ID_FIRST - u64::from(last), out);
        let mut edge = |parent: u32, child: u32| {
            EdgeRecord {
                parent: Inode(parent),
                child: Inode(child),
                edge_id: EDGE_ID_FIRST - u64::from(child),
                name: format!("file{child:08}").as_bytes(),
            }
            .encode(out);
        };
        (2..first_file)
            .rev()
            .for_each(|directory| edge(1, directory));
        for directory in (2..first_file).rev() {
            let first = first_file + (directory - 2) * FILES_PER_DIRECTORY;
            let end = (first + FILES_PER_DIRECTORY).min(last);
            (first..end).rev().for_each(|child| edge(directory, child));
        }
        encode_edge_end(out);
    });
    let chunks = files * chunks_per_file;
    section(&mut file, Section::Chunks, |out| {
        encode_chunk_header(ChunkId(u64::from(chunks) + 1), out);
        let mut ids: Vec<u32> = (1..=chunks).collect();
        ids.sort_by_key(|id| mix(*id) & 0xFF_FFFF);
        for id in ids {
            ChunkEntry {
                chunk: ChunkId(id.into()),
                version: ChunkVersion(1),
                locked_to: 0,
                archived: false,
                has_newer_flags: false,
            }
            .encode(out);
        }
        ChunkEntry::encode_end(out);
    });
    file.extend_from_slice(&EOF_MARKER);
    file
}

/// Seconds that the processor worked for this thread: other loads of the machine do not count.
fn processor_seconds() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanoseconds = text.split(' ').next().and_then(|word| word.parse().ok());
    nanoseconds.unwrap_or(0.0) / 1e9
}

/// Runs something and says how long it took.
fn timed<T>(what: &str, run: impl FnOnce() -> T) -> T {
    let (start, processor) = (Instant::now(), processor_seconds());
    let result = run();
    println!(
        "{what} in {:.3} s, {:.3} s of the processor",
        start.elapsed().as_secs_f64(),
        processor_seconds() - processor
    );
    result
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut number = |default| match arguments.next() {
        Some(text) => text.parse(),
        None => Ok(default),
    };
    let files = number(1_000_000)?;
    let chunks = number(1)?;
    let data = image(files, chunks);
    println!("{files} files of {chunks} chunks: {} MB", data.len() >> 20);
    if let Some(path) = arguments.next() {
        std::fs::write(path, &data)?;
    }
    let loaded = timed("loaded", || load(&data, &LoadOptions::default()))?;
    let view = timed("frozen", || loaded.namespace.freeze());
    let saved = timed("saved", || save_stream(&view, 1, std::io::sink()))?;
    println!("{} MB saved", saved.bytes >> 20);
    Ok(())
}
