//! Registration on a fresh connection (wire-client-master §6, client-behaviour §6.2).

use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use proto::client::Message;
use proto::client::kind;
use proto::client::register::{
    ChallengeReply, Limits, MetaSessionReply, Passcode, ReconnectReply, Register, Registered,
    Resume, SessionReply,
};
use proto::frame::{HEADER_LEN, put_frame, split_frame};
use proto::{MetaId, SessionId, Status, Version};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use super::options::{Kind, PasswordDigest, SessionOptions, answer_challenge};

/// Version that this client announces.
pub const CLIENT_VERSION: Version = Version::CURRENT;
/// Oldest master that this client works with.
const OLDEST_MASTER: Version = Version::new(2, 1, 7);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
const ANSWER_TIMEOUT: Duration = Duration::from_secs(1);
/// No answer to a registration is longer.
const ANSWER_BYTES_MAX: u32 = 1024;

/// What a master granted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Granted {
    /// Version of the master.
    pub version: Version,
    /// Number of the session.
    pub session: SessionId,
    /// The file system.
    pub metaid: MetaId,
    /// Bits of `session_flag`.
    pub flags: u8,
    /// Bits that the master takes from every mode.
    pub umask: u16,
    /// User and group that root becomes.
    pub root: (u32, u32),
    /// User and group that everybody else becomes, where all are mapped.
    pub everybody: (u32, u32),
    /// Goals and trash times.
    pub limits: Limits,
    /// Forbidden operations (wire-client-master §5.4).
    pub disables: u32,
}

/// Why a registration failed.
#[derive(Debug, thiserror::Error)]
pub enum RegisterError {
    /// The name has no IPv4 address.
    #[error("can't resolve master hostname and/or portname ({0}:{1})")]
    Resolve(String, u16),
    /// The source address cannot be used.
    #[error("can't bind socket to given ip (\"{0}\")")]
    Bind(Ipv4Addr),
    /// Nobody listens there.
    #[error("can't connect to mfsmaster (\"{}\":\"{}\")", .0.ip(), .0.port())]
    Connect(SocketAddrV4),
    /// The link broke, or no answer came in time.
    #[error("error receiving data from mfsmaster: {0}")]
    Link(io::Error),
    /// The answer cannot be read.
    #[error("got incorrect answer from mfsmaster")]
    Answer,
    /// The master is older than 2.1.7.
    #[error("incompatible mfsmaster version ({0})")]
    TooOld(Version),
    /// The master refuses.
    #[error("mfsmaster register error: {0}")]
    Refused(Status),
    /// The leader is elsewhere, and nobody knows where.
    #[error("mfsmaster register error: no leader")]
    NoLeader,
}

type Result<T> = std::result::Result<T, RegisterError>;

/// A registered connection with what was read behind the answer.
pub(super) struct Registration {
    pub(super) stream: TcpStream,
    pub(super) input: BytesMut,
    pub(super) granted: Granted,
    pub(super) address: SocketAddrV4,
}

/// One of the IPv4 addresses of the master, picked at random.
pub(super) async fn resolve(host: &str, port: u16) -> Result<SocketAddrV4> {
    let unresolved = || RegisterError::Resolve(host.to_owned(), port);
    let found: Vec<SocketAddrV4> = tokio::net::lookup_host((host, port))
        .await
        .map_err(|_| unresolved())?
        .filter_map(|address| match address {
            SocketAddr::V4(address) => Some(address),
            SocketAddr::V6(_) => None,
        })
        .collect();
    let mut random = [0; 8];
    // Without randomness the first address does.
    let _ = getrandom::fill(&mut random);
    let pick = u64::from_ne_bytes(random).checked_rem(found.len() as u64);
    pick.and_then(|pick| found.get(pick as usize).copied())
        .ok_or_else(unresolved)
}

async fn connect(address: SocketAddrV4, bind: Option<Ipv4Addr>) -> Result<TcpStream> {
    let failed = |_| RegisterError::Connect(address);
    let socket = TcpSocket::new_v4().map_err(failed)?;
    if let Some(ip) = bind {
        socket
            .bind(SocketAddr::from((ip, 0)))
            .map_err(|_| RegisterError::Bind(ip))?;
    }
    let stream = timeout(CONNECT_TIMEOUT, socket.connect(address.into()))
        .await
        .map_err(|_| RegisterError::Connect(address))?
        .map_err(failed)?;
    // Without it answers are only slower.
    let _ = stream.set_nodelay(true);
    Ok(stream)
}

/// A connection that is being registered.
struct Talk {
    stream: TcpStream,
    input: BytesMut,
}

impl Talk {
    async fn ask(&mut self, request: &Register<'_>) -> Result<Bytes> {
        let mut packet = Vec::new();
        put_frame(&mut packet, kind::REGISTER, |out| {
            request.encode(out);
        });
        let late = |_| RegisterError::Link(io::ErrorKind::TimedOut.into());
        timeout(ANSWER_TIMEOUT, self.stream.write_all(&packet))
            .await
            .map_err(late)?
            .map_err(RegisterError::Link)?;
        timeout(ANSWER_TIMEOUT, self.answer()).await.map_err(late)?
    }

    async fn answer(&mut self) -> Result<Bytes> {
        loop {
            let frame =
                split_frame(&self.input, ANSWER_BYTES_MAX).map_err(|_| RegisterError::Answer)?;
            if let Some(frame) = frame {
                let (kind, consumed) = (frame.kind, frame.consumed);
                let payload = self.input.split_to(consumed).freeze().slice(HEADER_LEN..);
                if kind != kind::reply(kind::REGISTER) {
                    return Err(RegisterError::Answer);
                }
                return Ok(payload);
            }
            let count = self.stream.read_buf(&mut self.input).await;
            if count.map_err(RegisterError::Link)? == 0 {
                return Err(RegisterError::Link(io::ErrorKind::UnexpectedEof.into()));
            }
        }
    }

    async fn passcode(&mut self, password: Option<PasswordDigest>) -> Result<Option<Passcode>> {
        let Some(password) = password else {
            return Ok(None);
        };
        let answer = self.ask(&Register::Challenge).await?;
        if let [status] = answer[..] {
            let status = Status::from_wire(status).unwrap_or(Status::Io);
            return Err(RegisterError::Refused(status));
        }
        let ChallengeReply(random) =
            ChallengeReply::decode(&answer, CLIENT_VERSION).map_err(|_| RegisterError::Answer)?;
        Ok(Some(answer_challenge(&random, &password)))
    }
}

/// Where to go on after an answer.
enum Step<T> {
    Done(T),
    Redirect(Ipv4Addr),
}

/// Redirects followed in one attempt.
const REDIRECTS_MAX: usize = 8;

/// Makes a session, or takes one over whose terms changed (`resume`).
pub(super) async fn new_session(
    options: &SessionOptions,
    mut address: SocketAddrV4,
    resume: Option<Resume>,
) -> Result<Registration> {
    for _ in 0..REDIRECTS_MAX {
        let mut talk = Talk {
            stream: connect(address, options.bind).await?,
            input: BytesMut::new(),
        };
        match ask_session(&mut talk, options, resume).await? {
            Step::Done(granted) => return Ok(finish(talk, granted, address)),
            Step::Redirect(ip) => address = redirected(address, ip)?,
        }
    }
    Err(RegisterError::NoLeader)
}

async fn ask_session(
    talk: &mut Talk,
    options: &SessionOptions,
    resume: Option<Resume>,
) -> Result<Step<Granted>> {
    let passcode = talk.passcode(options.password).await?;
    let info = options.info.as_bytes();
    let version = CLIENT_VERSION;
    let malformed = |_| RegisterError::Answer;
    let (granted, redirect) = match &options.kind {
        Kind::Data { path } => {
            let answer = talk
                .ask(&Register::NewSession {
                    version,
                    info,
                    path: path.as_bytes(),
                    resume,
                    passcode,
                })
                .await?;
            match decode_session::<SessionReply>(&answer).map_err(malformed)? {
                Registered::Status(status) => return Err(RegisterError::Refused(status)),
                Registered::Redirect(ip) => (None, Some(ip)),
                Registered::Session(reply) => (Some(granted_data(&reply)), None),
            }
        }
        Kind::Meta => {
            let answer = talk
                .ask(&Register::NewMetaSession {
                    version,
                    info,
                    resume,
                    passcode,
                })
                .await?;
            match decode_session::<MetaSessionReply>(&answer).map_err(malformed)? {
                Registered::Status(status) => return Err(RegisterError::Refused(status)),
                Registered::Redirect(ip) => (None, Some(ip)),
                Registered::Session(reply) => (Some(granted_meta(&reply)), None),
            }
        }
    };
    match (granted, redirect) {
        (Some(granted), _) if granted.version < OLDEST_MASTER => {
            Err(RegisterError::TooOld(granted.version))
        }
        (Some(granted), _) => Ok(Step::Done(granted)),
        (None, Some(ip)) => Ok(Step::Redirect(ip)),
        (None, None) => Err(RegisterError::Answer),
    }
}

/// Masters before 3.0.112 send less: the size tells which form it is.
fn decode_session<'a, S: Message<'a>>(
    answer: &'a [u8],
) -> std::result::Result<Registered<S>, proto::Malformed> {
    const FORMS: [Version; 4] = [
        CLIENT_VERSION,
        Version::new(3, 0, 72),
        Version::new(3, 0, 11),
        Version::new(2, 0, 91),
    ];
    FORMS
        .iter()
        .find_map(|version| Registered::decode(answer, *version).ok())
        .ok_or(proto::Malformed)
}

fn granted_data(reply: &SessionReply) -> Granted {
    Granted {
        version: reply.version,
        session: reply.session,
        metaid: reply.metaid,
        flags: reply.flags,
        umask: reply.umask,
        root: (reply.root_uid, reply.root_gid),
        everybody: (reply.map_all_uid, reply.map_all_gid),
        limits: reply.limits,
        disables: reply.disables,
    }
}

fn granted_meta(reply: &MetaSessionReply) -> Granted {
    Granted {
        version: reply.version,
        session: reply.session,
        metaid: reply.metaid,
        flags: reply.flags,
        limits: reply.limits,
        ..Granted::default()
    }
}

/// Goes back to a session after the link broke.
pub(super) async fn reconnect(
    options: &SessionOptions,
    mut address: SocketAddrV4,
    granted: &Granted,
) -> Result<Registration> {
    let has_metaid = granted.metaid != MetaId(0);
    let request = Register::Reconnect {
        session: granted.session,
        version: CLIENT_VERSION,
        metaid: has_metaid.then_some(granted.metaid),
    };
    for _ in 0..REDIRECTS_MAX {
        let mut talk = Talk {
            stream: connect(address, options.bind).await?,
            input: BytesMut::new(),
        };
        let answer = talk.ask(&request).await?;
        let reply =
            ReconnectReply::decode(&answer, CLIENT_VERSION).map_err(|_| RegisterError::Answer)?;
        match reply {
            ReconnectReply::Redirect(ip) => address = redirected(address, ip)?,
            ReconnectReply::Status(version, Status::Ok) => {
                let mut granted = *granted;
                if version != Version(0) {
                    granted.version = version;
                }
                return Ok(finish(talk, granted, address));
            }
            ReconnectReply::Status(_, status) => return Err(RegisterError::Refused(status)),
        }
    }
    Err(RegisterError::NoLeader)
}

fn redirected(address: SocketAddrV4, ip: Ipv4Addr) -> Result<SocketAddrV4> {
    if ip.is_unspecified() || ip == *address.ip() {
        return Err(RegisterError::NoLeader);
    }
    Ok(SocketAddrV4::new(ip, address.port()))
}

fn finish(talk: Talk, granted: Granted, address: SocketAddrV4) -> Registration {
    Registration {
        stream: talk.stream,
        input: talk.input,
        granted,
        address,
    }
}
