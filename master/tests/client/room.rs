//! A master without sockets: frames in as hexadecimal text, frames out the same way.

use master::core::{Core, Now};
use master::exports;
pub use master::links::LinkId as Link;
use master::links::LinkId;
use master::links::Port;
use master::settings::Settings;
use metadata::Namespace;
use proto::CsId;
use proto::chunkserver::{Begin, Enrolment, Register, Space, Usage};
use proto::version::Version;
use std::net::{Ipv4Addr, SocketAddrV4};

/// Wall clock of the tests: the second in which many of the specification's vectors were captured.
pub const NOW: u32 = 0x6b03_a45a;

/// The string that opens every registration.
const BLOB: &str = "446a493147415144554c49356432596a413236797063336f766b686a7668636954515678334353346e596774426f5563736c6a6956707345724a454e48617730";

/// Address of the first client.
pub const CLIENT: Ipv4Addr = Ipv4Addr::new(172, 21, 21, 82);

/// Nobody is known by name.
struct NoNames;

impl exports::Names for NoNames {
    fn user(&self, _name: &str) -> Option<(u32, u32)> {
        None
    }
    fn group_of(&self, _uid: u32) -> Option<u32> {
        None
    }
    fn group(&self, _name: &str) -> Option<u32> {
        None
    }
}

/// The master under test.
pub struct Room {
    pub core: Core,
    now: Now,
    servers: Vec<LinkId>,
}

impl Default for Room {
    fn default() -> Self {
        Room::new()
    }
}

impl Room {
    /// A new file system that exports everything.
    pub fn new() -> Room {
        Room::with_exports("* / rw,alldirs,admin,maproot=0:0\n* . rw\n")
    }

    /// A new file system with these exports.
    pub fn with_exports(text: &str) -> Room {
        let now = Now {
            unix: NOW,
            unix_micros: u64::from(NOW) * 1_000_000,
            mono_ms: 1_000_000,
        };
        let namespace = Namespace::new(1, NOW).unwrap();
        let mut room = Room {
            core: Core::new(namespace, Settings::default(), now, 1),
            now,
            servers: Vec::new(),
        };
        room.core.set_now(now);
        room.set_exports(text);
        room
    }

    /// The exports file says something else.
    pub fn set_exports(&mut self, text: &str) {
        let parsed = exports::parse(text.as_bytes(), &NoNames);
        assert!(parsed.warnings.is_empty(), "{:?}", parsed.warnings);
        master::client::set_exports(&mut self.core, parsed.entries);
    }

    /// A connection from an address.
    pub fn connect_from(&mut self, ip: Ipv4Addr) -> LinkId {
        self.core
            .accepted(Port::Client, SocketAddrV4::new(ip, 40_000))
    }

    /// A connection from the first client.
    pub fn connect(&mut self) -> LinkId {
        self.connect_from(CLIENT)
    }

    /// A mount of the whole file system that announces a version.
    pub fn mount_as(&mut self, version: Version) -> LinkId {
        self.mount_path(version, "/")
    }

    /// A mount of a directory that announces a version.
    pub fn mount_path(&mut self, version: Version, path: &str) -> LinkId {
        let link = self.connect();
        let path = hex(path.as_bytes()) + "00";
        let length = path.len() / 2;
        let data = format!(
            "BLOB 02 {:08x} 00000007 2f70726f626500 {length:08x} {path}",
            version.0
        );
        self.send_data(link, 400, &data);
        let answers = self.received(link);
        assert_eq!(answers.len(), 1, "{answers:?}");
        assert!(answers[0].len() > 2 * 9, "refused: {answers:?}");
        link
    }

    /// A mount of the whole file system of version 3.0.117.
    pub fn mount(&mut self) -> LinkId {
        self.mount_as(Version::CURRENT)
    }

    /// A metadata mount.
    pub fn mount_meta(&mut self) -> LinkId {
        let link = self.connect();
        self.send_data(
            link,
            400,
            "BLOB 05 000300ea 0000000b 2f70726f62656d65746100",
        );
        let answers = self.received(link);
        assert_eq!(answers[0].len(), 2 * (8 + 27), "refused: {answers:?}");
        link
    }

    /// A chunkserver with 10 GiB, empty.
    pub fn add_server(&mut self, last: u8) -> LinkId {
        let ip = Ipv4Addr::new(172, 21, 21, last);
        let link = self
            .core
            .accepted(Port::Chunkserver, SocketAddrV4::new(ip, 41_000));
        let begin = Register::Begin(Begin {
            version: Version::CURRENT,
            address: SocketAddrV4::new(ip, 9422),
            timeout_s: 10,
            enrolment: Some(Enrolment {
                digest: None,
                csid: CsId(0),
                space: Space::new(
                    Usage {
                        used: 0,
                        total: 10 << 30,
                        chunks: 0,
                    },
                    Usage {
                        used: 0,
                        total: 0,
                        chunks: 0,
                    },
                ),
            }),
        });
        for message in [begin, Register::NewEnd] {
            let mut out = Vec::new();
            message.encode(&mut out);
            self.core
                .frame(link, Port::Chunkserver, Register::KIND, &out[8..]);
        }
        self.received(link);
        self.servers.push(link);
        link
    }

    /// The chunkservers carry out what they were told so far, with this status. Returns the orders.
    pub fn serve_with(&mut self, status: u8) -> Vec<String> {
        let mut orders = Vec::new();
        for link in self.servers.clone() {
            for order in self.received(link) {
                let frame = bytes(&order);
                let kind = u32::from_be_bytes(frame[..4].try_into().unwrap());
                if !(110..=170).contains(&kind) {
                    continue;
                }
                let mut answer = frame[8..16].to_vec();
                answer.push(status);
                self.core.frame(link, Port::Chunkserver, kind + 1, &answer);
                orders.push(order);
            }
        }
        orders
    }

    /// The chunkservers do what they were told so far.
    pub fn serve(&mut self) -> Vec<String> {
        self.serve_with(0)
    }

    /// The connection ends.
    pub fn hang_up(&mut self, link: LinkId) {
        self.core.closed(link, Port::Client);
    }

    /// Sends one frame, given as in the specification: spaces count for nothing.
    #[track_caller]
    pub fn send(&mut self, link: LinkId, frame: &str) {
        let bytes = bytes(frame);
        let kind = u32::from_be_bytes(bytes[..4].try_into().unwrap());
        let length = u32::from_be_bytes(bytes[4..8].try_into().unwrap()) as usize;
        assert_eq!(bytes.len(), 8 + length, "length field of {frame}");
        self.core.links.heard(link);
        self.core.frame(link, Port::Client, kind, &bytes[8..]);
    }

    /// Sends a frame given as type and data.
    pub fn send_data(&mut self, link: LinkId, kind: u32, data: &str) {
        self.core.links.heard(link);
        self.core.frame(link, Port::Client, kind, &bytes(data));
    }

    /// Frames that a connection got since the last call.
    pub fn received(&mut self, link: LinkId) -> Vec<String> {
        self.core.links.seal(0, 0);
        self.core.links.release(0);
        let output = self.core.links.sendable(link).to_vec();
        self.core.links.sent(link, output.len());
        let mut rest = &output[..];
        let mut frames = Vec::new();
        while rest.len() >= 8 {
            let length = 8 + u32::from_be_bytes(rest[4..8].try_into().unwrap()) as usize;
            frames.push(hex(&rest[..length]));
            rest = &rest[length..];
        }
        assert!(rest.is_empty(), "half a frame");
        frames
    }

    /// Sends a frame and returns the one answer.
    #[track_caller]
    pub fn ask(&mut self, link: LinkId, frame: &str) -> String {
        self.send(link, frame);
        self.one_answer(link, frame)
    }

    /// Sends a frame given as type and data, and returns the data of the one answer.
    #[track_caller]
    pub fn ask_data(&mut self, link: LinkId, kind: u32, data: &str) -> String {
        self.send_data(link, kind, data);
        let answer = self.one_answer(link, data);
        assert_eq!(
            answer[..8],
            format!("{:08x}", kind + 1),
            "type of the answer"
        );
        answer[16..].to_owned()
    }

    #[track_caller]
    fn one_answer(&mut self, link: LinkId, request: &str) -> String {
        let mut answers = self.received(link);
        assert_eq!(answers.len(), 1, "answers to {request}: {answers:?}");
        answers.remove(0)
    }

    /// Checks request and answer as the specification shows them. In the answer, `METAID` is that
    /// of the file system.
    #[track_caller]
    pub fn check(&mut self, link: LinkId, request: &str, answer: &str) {
        let metaid = format!("{:016x}", self.core.ns.metaid().0);
        let got = self.ask(link, &request.replace("METAID", &metaid));
        let expected = hex(&bytes(&answer.replace("METAID", &metaid)));
        assert_eq!(spaced(&got), spaced(&expected), "answer to {request}");
    }

    /// Checks what a connection got since the last look.
    #[track_caller]
    pub fn check_received(&mut self, link: LinkId, expected: &[&str]) {
        let got: Vec<_> = self.received(link).iter().map(|it| spaced(it)).collect();
        let expected: Vec<_> = expected.iter().map(|it| spaced(&hex(&bytes(it)))).collect();
        assert_eq!(got, expected);
    }

    /// Checks that a frame closes the connection without an answer.
    #[track_caller]
    pub fn check_cut(&mut self, link: LinkId, kind: u32, data: &str) {
        self.send_data(link, kind, data);
        assert!(self.received(link).is_empty(), "an answer to {kind} {data}");
        assert!(!self.is_open(link), "{kind} {data} was accepted");
    }

    /// Lets time pass in steps of a tenth of a second.
    pub fn pass_ms(&mut self, milliseconds: u64) {
        for _ in 0..milliseconds / 100 {
            self.now.mono_ms += 100;
            self.now.unix_micros += 100_000;
            self.now.unix = (self.now.unix_micros / 1_000_000) as u32;
            self.core.set_now(self.now);
            self.core.tick();
        }
    }

    /// Lets time pass at once.
    pub fn stall_ms(&mut self, milliseconds: u64) {
        self.now.mono_ms += milliseconds;
        self.now.unix_micros += milliseconds * 1000;
        self.now.unix = (self.now.unix_micros / 1_000_000) as u32;
        self.core.set_now(self.now);
        self.core.tick();
    }

    /// Lets time pass while these connections stay alive.
    pub fn pass_ms_alive(&mut self, milliseconds: u64, links: &[LinkId]) {
        for _ in 0..milliseconds / 1000 {
            self.pass_ms(1000);
            let servers = self.servers.clone();
            for &link in links.iter().chain(&servers) {
                self.core.links.heard(link);
            }
        }
    }

    /// Whether the connection is open.
    pub fn is_open(&self, link: LinkId) -> bool {
        self.core.links.is_open(link)
    }
}

/// The bytes of hexadecimal text.
pub fn bytes(text: &str) -> Vec<u8> {
    let text = text.replace("BLOB", BLOB).replace([' ', '\n'], "");
    assert!(text.len().is_multiple_of(2), "half a byte in {text}");
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
        .collect()
}

/// Hexadecimal text of bytes.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The text in groups of eight digits, for messages of failed tests.
fn spaced(text: &str) -> String {
    let mut out = String::new();
    for (at, digit) in text.chars().enumerate() {
        if at != 0 && at % 8 == 0 {
            out.push(' ');
        }
        out.push(digit);
    }
    out
}
