//! Chunkservers, ours and MooseFS's, in one interleaved run: the data port alone with a generator
//! of requests, and through a mount. Rates, CPU time per GiB, ratios.

use crate::target::cpu_of;
use anyhow::{Context, Result, bail, ensure};
use lab::{Chunkservers, Cluster, ClusterOptions, run_for};
use proto::chunkserver::{
    BLOCK_SIZE, CHUNK_SIZE, Protocol, Read, ReadData, ReadStatus, Write, WriteDataHeader,
    WriteFinish, WriteStatus,
};
use proto::frame::HEADER_LEN;
use proto::list::List;
use proto::{ChunkId, ChunkVersion};
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Address of the generator.
const GENERATOR: Ipv4Addr = Ipv4Addr::new(172, 21, 21, 90);
/// Port of the data.
const PORT: u16 = 9422;
/// Writes in flight.
const WINDOW: u32 = 16;
/// A step through the mount that takes longer is given up.
const STEP_MAX: Duration = Duration::from_secs(300);
/// Files of the step with small files.
const SMALL_FILES: u32 = 2000;
const GIB: f64 = 1_073_741_824.0;
const MIB: f64 = 1_048_576.0;

/// One measurement: work per second and CPU seconds of the chunkservers per unit of work.
#[derive(Clone, Copy, Debug)]
struct Sample {
    rate: f64,
    cpu: f64,
}

/// What is measured on either kind.
struct Row {
    name: &'static str,
    unit: &'static str,
    cpu_unit: &'static str,
    samples: [Vec<Sample>; 2],
}

/// Chunkservers of a kind: ours are 1 and 3, MooseFS's 2 and 4.
fn servers(kind: usize) -> [usize; 2] {
    [kind + 1, kind + 3]
}

struct Bench {
    cluster: Cluster,
    mount: PathBuf,
    chunk: ChunkId,
    version: ChunkVersion,
}

/// Measures everything `rounds` times and prints a table of medians. `on_disk`: folders of the
/// system's disk instead of disks in memory.
pub fn report(rounds: u32, mebibytes: u32, on_disk: bool) -> Result<()> {
    let mut bench = Bench::start(on_disk)?;
    let mut rows: Vec<Row> = Vec::new();
    for round in 0..rounds {
        for kind in 0..2 {
            for (place, (name, unit, cpu_unit, sample)) in bench
                .measure(round, kind, mebibytes)?
                .into_iter()
                .enumerate()
            {
                if rows.len() <= place {
                    rows.push(Row {
                        name,
                        unit,
                        cpu_unit,
                        samples: [Vec::new(), Vec::new()],
                    });
                }
                rows[place].samples[kind].push(sample);
            }
        }
    }
    println!("| | ours | MooseFS | ratio | CPU ours | CPU MooseFS | ratio |");
    println!("|---|---|---|---|---|---|---|");
    for row in &rows {
        let [ours, theirs] = row.samples.each_ref().map(|samples| median(samples));
        println!(
            "| {} | {:.0} {} | {:.0} | {:.2} | {:.3} {} | {:.3} | {:.2} |",
            row.name,
            ours.rate,
            row.unit,
            theirs.rate,
            ours.rate / theirs.rate,
            ours.cpu,
            row.cpu_unit,
            theirs.cpu,
            ours.cpu / theirs.cpu.max(1e-9),
        );
    }
    Ok(())
}

fn median(samples: &[Sample]) -> Sample {
    let middle = |value: fn(&Sample) -> f64| {
        let mut values: Vec<f64> = samples.iter().map(value).collect();
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
    };
    Sample {
        rate: middle(|sample| sample.rate),
        cpu: middle(|sample| sample.cpu),
    }
}

type Measured = (&'static str, &'static str, &'static str, Sample);

impl Bench {
    fn start(on_disk: bool) -> Result<Bench> {
        let mut cluster = Cluster::start(ClusterOptions {
            chunkservers: 4,
            chunkserver_programs: Chunkservers::Mixed,
            disk_size: if on_disk { "" } else { "3g" }.to_owned(),
            ..ClusterOptions::default()
        })?;
        for number in 1..=4 {
            let path = cluster.etc(&format!("mfschunkserver{number}.cfg"));
            let label = if number % 2 == 1 { "A" } else { "B" };
            let text = fs::read_to_string(&path)?;
            fs::write(
                &path,
                format!("{text}LABELS = {label}\nHDD_TEST_SPEED = 0\n"),
            )?;
            cluster.chunkserver(number, "reload")?.success()?;
        }
        cluster.wait_for_chunkservers(4)?;
        let mount = cluster.mount("mnt", &[])?;
        cluster.shell(
            &mount,
            "mfsscadmin create A a1; mfsscadmin create A,A a2; \
             mfsscadmin create B b1; mfsscadmin create B,B b2; \
             for c in a1 a2 b1 b2; do mkdir $c; mfssetsclass $c $c; done; \
             mkdir all; mfssetgoal 4 all; head -c 64M /dev/urandom > all/chunk; sync",
        )?;
        let text = cluster.shell(&mount, "mfsfileinfo all/chunk")?;
        let (chunk, version) = parse_chunk(&text).with_context(|| text.clone())?;
        ensure!(text.matches("status:VALID").count() == 4, "{text}");
        Ok(Bench {
            cluster,
            mount,
            chunk,
            version,
        })
    }

    fn measure(&mut self, round: u32, kind: usize, mebibytes: u32) -> Result<Vec<Measured>> {
        let [first, second] = servers(kind);
        let volume = u64::from(mebibytes) << 20;
        let gib = volume as f64 / GIB;
        let mib = volume as f64 / MIB;
        let mut done: Vec<Measured> = Vec::new();
        let mut add = |name, sample: Sample| done.push((name, "MiB/s", "s/GiB", sample));
        add(
            "read, 1 connection",
            self.timed(kind, mib, gib, || self.read(first, 1, volume))?,
        );
        add(
            "read, 8 connections",
            self.timed(kind, mib, gib, || self.read(first, 8, volume))?,
        );
        add(
            "write, 1 server",
            self.timed(kind, mib, gib, || self.write(&[first], volume))?,
        );
        add(
            "write, chain of 2",
            self.timed(kind, mib, gib, || self.write(&[first, second], volume))?,
        );
        for (name, connections) in [
            ("random 4 KiB, 1 connection", 1),
            ("random 4 KiB, 16 connections", 16),
        ] {
            let count = 16_384_u32;
            let sample = self.timed(kind, f64::from(count), f64::from(count) / 1e5, || {
                self.random(first, connections, count)
            })?;
            done.push((name, "/s", "s/100k", sample));
        }
        let letter = ["a", "b"][kind];
        for (goal, write_name, read_name) in [
            (1, "mount: write, goal 1", "mount: read, goal 1"),
            (2, "mount: write, goal 2", "mount: read, goal 2"),
        ] {
            let file = format!("{letter}{goal}/f{round}");
            let write = format!(
                "dd if=/dev/zero bs=1M count={mebibytes} 2>/dev/null | tr '\\0' x | dd of={file} bs=1M iflag=fullblock conv=fsync 2>/dev/null"
            );
            let sample = self.timed(kind, mib, gib, || self.shell(&write))?;
            done.push((write_name, "MiB/s", "s/GiB", sample));
            let fresh = self
                .cluster
                .mount(&format!("fresh{round}{kind}{goal}"), &[])?;
            let read = format!(
                "dd if={} of=/dev/null bs=1M 2>/dev/null",
                fresh.join(&file).display()
            );
            let sample = self.timed(kind, mib, gib, || self.shell(&read))?;
            done.push((read_name, "MiB/s", "s/GiB", sample));
            self.cluster.unmount(&fresh)?;
            self.shell(&format!("mfssettrashtime 0 {file}; rm {file}"))?;
        }
        let small = format!(
            "mkdir {letter}2/s{round}; cd {letter}2/s{round}; for i in $(seq {SMALL_FILES}); do echo $i > $i; done"
        );
        let sample = self.timed(
            kind,
            f64::from(SMALL_FILES),
            f64::from(SMALL_FILES) / 1e3,
            || self.shell(&small),
        )?;
        done.push(("mount: small files, goal 2", "/s", "s/1000", sample));
        Ok(done)
    }

    fn shell(&self, text: &str) -> Result<()> {
        let mut command = self.cluster.command("sh");
        command.args(["-e", "-c", text]).current_dir(&self.mount);
        run_for(STEP_MAX, &mut command)?.success()?;
        Ok(())
    }

    fn cpu(&self, kind: usize) -> Result<f64> {
        let pids = servers(kind).map(|number| self.cluster.chunkserver_pid(number));
        let pids = pids.into_iter().collect::<Result<Vec<i32>>>()?;
        Ok(cpu_of(pids).as_secs_f64())
    }

    /// `work` units of work, `cpu_units` of what CPU time is told for.
    fn timed(
        &self,
        kind: usize,
        work: f64,
        cpu_units: f64,
        job: impl FnOnce() -> Result<()>,
    ) -> Result<Sample> {
        let before = self.cpu(kind)?;
        let begun = Instant::now();
        job()?;
        let took = begun.elapsed().as_secs_f64();
        Ok(Sample {
            rate: work / took,
            cpu: (self.cpu(kind)? - before) / cpu_units,
        })
    }

    fn connect(&self, number: usize) -> Result<TcpStream> {
        let stream = self
            .cluster
            .namespace
            .connect(GENERATOR, address(number)?)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        Ok(stream)
    }

    /// The chunk again and again, in requests of 1 MiB.
    fn read(&self, number: usize, connections: u64, volume: u64) -> Result<()> {
        let requests = volume / connections / MIB as u64;
        self.on_connections(number, connections, |stream, lane| {
            let mut buffer = vec![0; BLOCK_SIZE as usize + 64];
            for request in 0..requests {
                let offset = ((request + lane * 7) % 64) as u32 * (1 << 20);
                self.fetch(stream, offset, 1 << 20, &mut buffer)?;
            }
            Ok(())
        })
    }

    fn random(&self, number: usize, connections: u64, count: u32) -> Result<()> {
        self.on_connections(number, connections, |stream, lane| {
            let mut buffer = vec![0; BLOCK_SIZE as usize + 64];
            let mut dice = lane as u32 * 7919 + 1;
            for _ in 0..count / connections as u32 {
                dice = dice.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let page = (dice >> 8) % (CHUNK_SIZE / 4096);
                self.fetch(stream, page * 4096, 4096, &mut buffer)?;
            }
            Ok(())
        })
    }

    fn on_connections(
        &self,
        number: usize,
        connections: u64,
        work: impl Fn(&mut TcpStream, u64) -> Result<()> + Sync,
    ) -> Result<()> {
        let mut streams = Vec::new();
        for _ in 0..connections {
            streams.push(self.connect(number)?);
        }
        std::thread::scope(|scope| {
            let work = &work;
            let threads: Vec<_> = streams
                .iter_mut()
                .zip(0..)
                .map(|(stream, lane)| scope.spawn(move || work(stream, lane)))
                .collect();
            for thread in threads {
                thread
                    .join()
                    .map_err(|_| anyhow::anyhow!("a reader panicked"))??;
            }
            Ok(())
        })
    }

    fn fetch(
        &self,
        stream: &mut TcpStream,
        offset: u32,
        size: u32,
        buffer: &mut [u8],
    ) -> Result<()> {
        let mut out = Vec::new();
        Read {
            protocol: Protocol::Reusing,
            chunk: self.chunk,
            version: self.version,
            offset,
            size,
        }
        .encode(&mut out);
        stream.write_all(&out)?;
        let mut bytes = 0;
        loop {
            match packet(stream, buffer)? {
                (ReadData::KIND, len) => bytes += len as u32 - 20,
                (ReadStatus::KIND, len) => {
                    let status = ReadStatus::decode(&buffer[..len])?.status;
                    ensure!(bytes == size, "{bytes} of {size} bytes, {status}");
                    return Ok(());
                }
                _ => {}
            }
        }
    }

    /// Whole blocks over the chunk again and again, [`WINDOW`] in flight.
    fn write(&self, chain: &[usize], volume: u64) -> Result<()> {
        let data = vec![0x5a; BLOCK_SIZE as usize];
        let crc = crc32(&data);
        let (first, others) = chain.split_first().context("a chain has a server")?;
        let mut stream = self.connect(*first)?;
        let others = others
            .iter()
            .map(|number| address(*number))
            .collect::<Result<Vec<_>>>()?;
        let (mut list, mut out) = (Vec::new(), Vec::new());
        Write {
            protocol: Protocol::Reusing,
            chunk: self.chunk,
            version: self.version,
            chain: List::write(others, &mut list),
        }
        .encode(&mut out);
        stream.write_all(&out)?;
        let mut buffer = vec![0; 1024];
        confirm(&mut stream, &mut buffer)?;
        let count = (volume / u64::from(BLOCK_SIZE)) as u32;
        let mut confirmed = 0;
        for write in 0..count {
            while write - confirmed >= WINDOW {
                confirm(&mut stream, &mut buffer)?;
                confirmed += 1;
            }
            out.clear();
            WriteDataHeader {
                chunk: self.chunk,
                write_id: write + 1,
                block: (write % 1024) as u16,
                offset: 0,
                size: BLOCK_SIZE,
                crc,
            }
            .encode(&mut out);
            out.extend_from_slice(&data);
            stream.write_all(&out)?;
        }
        while confirmed < count {
            confirm(&mut stream, &mut buffer)?;
            confirmed += 1;
        }
        out.clear();
        WriteFinish {
            chunk: self.chunk,
            version: self.version,
        }
        .encode(&mut out);
        stream.write_all(&out)?;
        Ok(())
    }
}

fn address(number: usize) -> Result<SocketAddrV4> {
    Ok(SocketAddrV4::new(
        Cluster::chunkserver_ip(number).parse()?,
        PORT,
    ))
}

/// Type and length of the next packet; its payload is in the buffer.
fn packet(stream: &mut TcpStream, buffer: &mut [u8]) -> Result<(u32, usize)> {
    let mut head = [0; HEADER_LEN];
    stream.read_exact(&mut head)?;
    let header = u64::from_be_bytes(head);
    let (kind, len) = ((header >> 32) as u32, header as u32 as usize);
    let payload = buffer.get_mut(..len).context("a packet that is too long")?;
    stream.read_exact(payload)?;
    Ok((kind, len))
}

fn confirm(stream: &mut TcpStream, buffer: &mut [u8]) -> Result<()> {
    loop {
        let (kind, len) = packet(stream, buffer)?;
        if kind == WriteStatus::KIND {
            WriteStatus::decode(&buffer[..len])?.status.ok()?;
            return Ok(());
        }
        if kind != 0 {
            bail!("packet of type {kind} instead of a status");
        }
    }
}

/// Chunk and version of the first chunk in the output of mfsfileinfo: `0: 000000000000000A_00000001`.
fn parse_chunk(text: &str) -> Option<(ChunkId, ChunkVersion)> {
    let (_, rest) = text.split_once("chunk 0: ")?;
    let (chunk, rest) = rest.split_once('_')?;
    let version = rest.split_whitespace().next()?;
    Some((
        ChunkId(u64::from_str_radix(chunk, 16).ok()?),
        ChunkVersion(u32::from_str_radix(version, 16).ok()?),
    ))
}

/// The generator makes one checksum, once.
fn crc32(data: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in data {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = crc >> 1 ^ (0xedb8_8320 & 0_u32.wrapping_sub(crc & 1));
        }
    }
    !crc
}

#[cfg(test)]
mod tests {
    use super::{crc32, parse_chunk};
    use proto::{ChunkId, ChunkVersion};

    #[test]
    fn the_output_of_mfsfileinfo() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        assert_eq!(
            parse_chunk("f:\n\tchunk 0: 000000000000000A_00000002 / (id:10 ver:2)\n"),
            Some((ChunkId(10), ChunkVersion(2)))
        );
    }
}
