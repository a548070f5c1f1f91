//! The data port, spoken to byte by byte (chunkserver §3): every status, every reason to close.

#![expect(clippy::unwrap_used, reason = "a test fails where its own steps fail")]

use chunkserver::counters::Counters;
use chunkserver::data_link;
use chunkserver::identity::Identity;
use chunkserver::reports::Reports;
use chunkserver::server::Server;
use chunkserver::settings::Settings;
use chunkserver::store::Store;
use chunkserver::store::disk::DiskState;
use chunkserver::store::table::PoolLimits;
use daemon::charts::{CHUNKSERVER, Charts, LocalTime};
use daemon::config::Config;
use proto::chunkserver::{
    ChunkBlocks, ChunkChecksum, GetChunkBlocks, GetChunkChecksum, Protocol, Read, ReadData,
    ReadStatus, Write, WriteDataHeader, WriteFinish, WriteStatus,
};
use proto::list::List;
use proto::{ChunkId, ChunkVersion, Status};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, SocketAddrV4, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Runtime;

const CHUNK: ChunkId = ChunkId(7);
const VERSION: ChunkVersion = ChunkVersion(2);

struct Lab {
    folder: PathBuf,
    server: Arc<Server>,
    address: SocketAddrV4,
    _runtime: Runtime,
}

impl Lab {
    /// A server with one disk and one empty chunk.
    fn new(name: &str) -> Lab {
        let folder = std::env::temp_dir().join(format!("data-port-{name}-{}", std::process::id()));
        let disk = folder.join("disk");
        std::fs::create_dir_all(&disk).unwrap();
        let table = daemon::keys::chunkserver::table();
        let config = Config::parse(
            table,
            Path::new("test.cfg"),
            b"HDD_LEAVE_SPACE_DEFAULT = 0\n",
        );
        let settings = Settings::from_config(&config).unwrap();
        let reports = Arc::new(Reports::default());
        let store = Arc::new(Store::new(
            settings.store,
            100,
            reports,
            Arc::new(Counters::default()),
        ));
        let list = chunkserver::disk_list::parse(disk.to_str().unwrap(), &folder);
        let limits = PoolLimits {
            jobs_max: 100,
            idle_max: 4,
        };
        assert_eq!(store.apply(&list.disks, None, limits).len(), 0);
        while store.disks()[0].state() == DiskState::Scanning || store.choose().is_err() {
            std::thread::sleep(Duration::from_millis(20));
        }
        store.create(&store.disks()[0], CHUNK, VERSION).unwrap();
        let charts = Charts::new(&CHUNKSERVER, LocalTime(0));
        let server = Arc::new(Server::new(store, settings, Identity::default(), charts));
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let listener = {
            let _inside = runtime.enter();
            data_link::bind("127.0.0.1:0".parse().unwrap()).unwrap()
        };
        let SocketAddr::V4(address) = listener.local_addr().unwrap() else {
            panic!("an IPv4 address");
        };
        runtime.spawn(data_link::accept(Arc::clone(&server), listener));
        Lab {
            folder,
            server,
            address,
            _runtime: runtime,
        }
    }

    fn connect(&self) -> Peer {
        let stream = TcpStream::connect(self.address).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(8)))
            .unwrap();
        Peer { stream }
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        self.server.store.stop();
        std::thread::sleep(Duration::from_millis(200));
        drop(std::fs::remove_dir_all(&self.folder));
    }
}

struct Peer {
    stream: TcpStream,
}

impl Peer {
    fn send(&mut self, encode: impl FnOnce(&mut Vec<u8>)) {
        let mut out = Vec::new();
        encode(&mut out);
        self.stream.write_all(&out).unwrap();
    }

    /// The next packet that says something; `None` when the server has closed.
    fn next(&mut self) -> Option<(u32, Vec<u8>)> {
        loop {
            let mut head = [0; 8];
            self.stream.read_exact(&mut head).ok()?;
            let kind = u32::from_be_bytes(head[..4].try_into().unwrap());
            let len = u32::from_be_bytes(head[4..].try_into().unwrap());
            let mut payload = vec![0; len as usize];
            self.stream.read_exact(&mut payload).ok()?;
            if kind != 0 {
                return Some((kind, payload));
            }
        }
    }

    fn read(&mut self, read: Read) -> (Vec<u8>, Status) {
        self.send(|out| read.encode(out));
        let mut data = Vec::new();
        loop {
            let (kind, payload) = self.next().unwrap();
            match kind {
                ReadData::KIND => {
                    let piece = ReadData::decode(&payload).unwrap();
                    assert_eq!(crc32fast::hash(piece.data.0), piece.header.crc);
                    data.extend_from_slice(piece.data.0);
                }
                ReadStatus::KIND => return (data, ReadStatus::decode(&payload).unwrap().status),
                kind => panic!("type {kind}"),
            }
        }
    }

    fn open(&mut self, protocol: Protocol, chain: &[SocketAddrV4]) {
        let mut list = Vec::new();
        let write = Write {
            protocol,
            chunk: CHUNK,
            version: VERSION,
            chain: List::write(chain.iter().copied(), &mut list),
        };
        self.send(|out| write.encode(out));
    }

    fn data(&mut self, header: WriteDataHeader, data: &[u8]) {
        self.send(|out| {
            header.encode(out);
            out.extend_from_slice(data);
        });
    }

    fn status(&mut self) -> Option<(u32, Status)> {
        let (kind, payload) = self.next()?;
        assert_eq!(kind, WriteStatus::KIND);
        let status = WriteStatus::decode(&payload).unwrap();
        Some((status.write_id, status.status))
    }

    fn finish(&mut self) {
        let finish = WriteFinish {
            chunk: CHUNK,
            version: VERSION,
        };
        self.send(|out| finish.encode(out));
    }
}

fn read(offset: u32, size: u32) -> Read {
    Read {
        protocol: Protocol::Reusing,
        chunk: CHUNK,
        version: VERSION,
        offset,
        size,
    }
}

fn piece(write_id: u32, block: u16, offset: u16, data: &[u8]) -> WriteDataHeader {
    WriteDataHeader {
        chunk: CHUNK,
        write_id,
        block,
        offset,
        size: data.len() as u32,
        crc: crc32fast::hash(data),
    }
}

#[test]
fn reads_and_their_statuses() {
    let lab = Lab::new("read");
    let mut peer = lab.connect();
    // An empty chunk reads as zeros, across the border of blocks too.
    assert_eq!(peer.read(read(65_500, 100)), (vec![0; 100], Status::Ok));
    for (request, status) in [
        (read(0, 0), Status::Ok),
        (read(0, 0x400_0001), Status::WrongSize),
        (read(0x400_0000, 1), Status::WrongOffset),
        (read(0x3ff_ffff, 2), Status::WrongOffset),
        (
            Read {
                chunk: ChunkId(8),
                ..read(0, 1)
            },
            Status::NoChunk,
        ),
        (
            Read {
                version: ChunkVersion(3),
                ..read(0, 1)
            },
            Status::WrongVersion,
        ),
    ] {
        assert_eq!(peer.read(request), (Vec::new(), status), "{request:?}");
    }
    let any = Read {
        version: ChunkVersion(0),
        protocol: Protocol::Plain,
        ..read(3, 2)
    };
    assert_eq!(peer.read(any), (vec![0; 2], Status::Ok));
}

#[test]
fn writes_of_the_last_server() {
    let lab = Lab::new("write");
    let mut peer = lab.connect();
    let long: Vec<u8> = (0..65_536_u32).map(|at| (at % 253) as u8).collect();
    peer.open(Protocol::Reusing, &[]);
    assert_eq!(peer.status(), Some((0, Status::Ok)));
    peer.data(piece(1, 0, 0, &long), &long);
    peer.data(piece(2, 0, 10, b"dup"), b"dup");
    peer.data(piece(3, 3, 65_531, b"hello"), b"hello");
    peer.data(piece(4, 5, 0, b""), b"");
    for write_id in 1..=4 {
        assert_eq!(peer.status(), Some((write_id, Status::Ok)));
    }
    peer.finish();
    // The same connection serves the next request.
    let (data, status) = peer.read(read(0, 6 * 65_536));
    assert_eq!(status, Status::Ok);
    assert_eq!(
        (&data[..10], &data[10..13], &data[13..65_536]),
        (&long[..10], &b"dup"[..], &long[13..])
    );
    assert!(
        data[65_536..3 * 65_536 + 65_531]
            .iter()
            .all(|&byte| byte == 0)
    );
    assert_eq!(data[4 * 65_536 - 5..4 * 65_536], *b"hello");
    peer.send(|out| {
        GetChunkBlocks {
            chunk: CHUNK,
            version: VERSION,
        }
        .encode(out)
    });
    let (_, payload) = peer.next().unwrap();
    assert_eq!(ChunkBlocks::decode(&payload).unwrap().blocks, 6);
    peer.send(|out| {
        GetChunkChecksum {
            chunk: CHUNK,
            version: ChunkVersion(9),
        }
        .encode(out)
    });
    let (_, payload) = peer.next().unwrap();
    assert_eq!(
        ChunkChecksum::decode(&payload).unwrap().result,
        Err(Status::WrongVersion)
    );
}

#[test]
fn writes_that_are_refused_leave_the_connection_idle() {
    let lab = Lab::new("refused");
    let good = piece(1, 0, 0, b"hello");
    for (header, status) in [
        (
            WriteDataHeader {
                block: 1024,
                ..good
            },
            Status::BnumTooBig,
        ),
        (
            WriteDataHeader {
                offset: 65_534,
                ..good
            },
            Status::WrongOffset,
        ),
        (WriteDataHeader { crc: 1, ..good }, Status::Crc),
        (
            WriteDataHeader {
                chunk: ChunkId(8),
                ..good
            },
            Status::WrongChunkId,
        ),
    ] {
        let mut peer = lab.connect();
        peer.open(Protocol::Reusing, &[]);
        assert_eq!(peer.status(), Some((0, Status::Ok)));
        peer.data(header, b"hello");
        assert_eq!(peer.status(), Some((1, status)));
        peer.open(Protocol::Reusing, &[]);
        assert_eq!(
            peer.status(),
            Some((0, Status::Ok)),
            "idle again after {status}"
        );
    }
    // Data for nobody.
    let mut peer = lab.connect();
    peer.data(good, b"hello");
    assert_eq!(peer.next(), None);
    // A length that is not that of the data.
    let mut peer = lab.connect();
    peer.open(Protocol::Reusing, &[]);
    assert_eq!(peer.status(), Some((0, Status::Ok)));
    peer.data(good, b"hell");
    peer.send(|out| out.push(0));
    peer.data(WriteDataHeader { size: 4, ..good }, b"hello");
    assert_eq!(peer.status().map(|(_, status)| status), Some(Status::Crc));
}

#[test]
fn a_chain_confirms_what_both_have_and_passes_failures_on() {
    let (first, last) = (Lab::new("first"), Lab::new("last"));
    for round in 0..3_u8 {
        let mut peer = first.connect();
        peer.open(Protocol::Reusing, &[last.address]);
        assert_eq!(peer.status(), Some((0, Status::Ok)));
        let block = vec![round + 1; 65_536];
        for number in 0..100_u32 {
            peer.data(piece(number + 1, (number % 40) as u16, 0, &block), &block);
        }
        for number in 0..100 {
            assert_eq!(peer.status(), Some((number + 1, Status::Ok)));
        }
        peer.finish();
        for lab in [&first, &last] {
            let (data, status) = lab.connect().read(read(0, 40 * 65_536));
            assert_eq!(status, Status::Ok);
            assert!(data.iter().all(|&byte| byte == round + 1));
        }
    }
    let mut peer = first.connect();
    peer.open(Protocol::Reusing, &[last.address]);
    assert_eq!(peer.status(), Some((0, Status::Ok)));
    peer.data(
        WriteDataHeader {
            crc: 1,
            ..piece(1, 0, 0, b"x")
        },
        b"x",
    );
    assert_eq!(peer.status(), Some((1, Status::Crc)));
    assert_eq!(peer.next(), None);
    // A successor that is not there, and one that lacks the chunk.
    let mut peer = first.connect();
    peer.open(Protocol::Reusing, &["127.0.0.1:1".parse().unwrap()]);
    assert_eq!(peer.status(), Some((0, Status::CantConnect)));
    last.server.store.delete(CHUNK, VERSION).unwrap();
    peer.open(Protocol::Reusing, &[last.address]);
    assert_eq!(peer.status(), Some((0, Status::NoChunk)));
    assert_eq!(peer.next(), None);
}

#[test]
fn a_change_of_version_ends_a_write() {
    let lab = Lab::new("version");
    let mut peer = lab.connect();
    peer.open(Protocol::Reusing, &[]);
    assert_eq!(peer.status(), Some((0, Status::Ok)));
    lab.server
        .store
        .set_version(CHUNK, ChunkVersion(3), VERSION)
        .unwrap();
    peer.data(piece(1, 0, 0, b"late"), b"late");
    assert_eq!(peer.status(), Some((1, Status::WrongVersion)));
    let now = Read {
        version: ChunkVersion(3),
        ..read(0, 4)
    };
    assert_eq!(lab.connect().read(now), (vec![0; 4], Status::Ok));
}

#[test]
fn idle_connections_hear_something_and_are_closed() {
    let lab = Lab::new("idle");
    let mut silent = lab.connect();
    let begun = std::time::Instant::now();
    let mut head = [0; 8];
    silent.stream.read_exact(&mut head).unwrap();
    assert_eq!(head, [0; 8], "a sign of life");
    assert_eq!(silent.next(), None);
    let seconds = begun.elapsed().as_secs_f64();
    assert!((4.5..6.5).contains(&seconds), "closed after {seconds} s");
    let mut unknown = lab.connect();
    unknown.send(|out| out.extend_from_slice(&[0, 0, 9, 9, 0, 0, 0, 0]));
    assert_eq!(unknown.next(), None);
    let mut large = lab.connect();
    large.send(|out| out.extend_from_slice(&[0, 0, 0, 200, 0, 1, 0x86, 0xa1]));
    assert_eq!(large.next(), None);
}
