//! Connections between replicas: both ends prove that they know the cluster's secret, then every
//! frame carries its own proof.
//!
//! The accepting end speaks first and shows nothing but a random number; the connecting end proves
//! itself before it learns anything. Keys are made from both random numbers, one for each direction,
//! and frames are counted, so nothing can be replayed, reordered or sent back.
//!
//! Layout: a frame is its length (u32, big-endian), its bytes, and 16 bytes of HMAC-SHA256 over the
//! count of the frame in its direction, the length and the bytes.

use hmac::{Hmac, Mac};
use sha2::Sha256;
use std::io;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::timeout;

/// The first bytes of a connection: what this is, and its version.
const GREETING: &[u8; 8] = b"MFSHA\x01\r\n";
/// Longest frame, bytes: the largest batch of entries with room to spare.
pub const FRAME_BYTES_MAX: usize = 64 << 20;
/// How long the mutual proof may take.
const HANDSHAKE_TIME: Duration = Duration::from_secs(3);
/// Frames arrive whole within this time once they have begun.
const FRAME_TIME: Duration = Duration::from_secs(30);
const NONCE_BYTES: usize = 32;
const PROOF_BYTES: usize = 32;
const TAG_BYTES: usize = 16;

/// Secret of a cluster.
#[derive(Clone)]
pub struct Secret(Vec<u8>);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

/// Shortest secret that is accepted, bytes.
pub const SECRET_BYTES_MIN: usize = 16;

impl Secret {
    /// Takes the content of a secret file, without white space around it.
    ///
    /// # Errors
    /// It is shorter than [`SECRET_BYTES_MIN`].
    pub fn new(content: &[u8]) -> Result<Secret, String> {
        let content = content.trim_ascii();
        if content.len() < SECRET_BYTES_MIN {
            return Err(format!(
                "the secret has {} bytes, {SECRET_BYTES_MIN} are the least: make one with 'openssl rand -hex 32'",
                content.len()
            ));
        }
        Ok(Secret(content.to_vec()))
    }

    fn mac(&self, label: &[u8], parts: [&[u8]; 2]) -> [u8; PROOF_BYTES] {
        let mut mac = keyed(&self.0);
        mac.update(label);
        for part in parts {
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }

    fn verify(&self, label: &[u8], parts: [&[u8]; 2], proof: &[u8]) -> bool {
        let mut mac = keyed(&self.0);
        mac.update(label);
        for part in parts {
            mac.update(part);
        }
        mac.verify_slice(proof).is_ok()
    }
}

fn keyed(key: &[u8]) -> Hmac<Sha256> {
    // HMAC takes keys of every length; the error type is that of other MACs.
    <Hmac<Sha256> as Mac>::new_from_slice(key).unwrap_or_else(|_| unreachable!())
}

/// One direction of an authenticated connection.
#[derive(Clone)]
struct Direction {
    key: Hmac<Sha256>,
    count: u64,
}

impl std::fmt::Debug for Direction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "frame {}", self.count)
    }
}

impl Direction {
    fn new(key: &[u8]) -> Direction {
        Direction {
            key: keyed(key),
            count: 0,
        }
    }

    fn next(&mut self, length: &[u8; 4], bytes: &[u8]) -> Hmac<Sha256> {
        let mut mac = self.key.clone();
        mac.update(&self.count.to_be_bytes());
        mac.update(length);
        mac.update(bytes);
        self.count += 1;
        mac
    }
}

/// An authenticated connection.
#[derive(Debug)]
pub struct Link {
    read: OwnedReadHalf,
    write: OwnedWriteHalf,
    inward: Direction,
    outward: Direction,
    buffer: Vec<u8>,
}

fn refused(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, what.to_owned())
}

fn nonce() -> io::Result<[u8; NONCE_BYTES]> {
    let mut nonce = [0; NONCE_BYTES];
    getrandom::fill(&mut nonce).map_err(|error| io::Error::other(error.to_string()))?;
    Ok(nonce)
}

impl Link {
    /// Proves itself as the connecting end.
    ///
    /// # Errors
    /// The other end does not know the secret, is something else, or takes too long.
    pub async fn connect(stream: TcpStream, secret: &Secret) -> io::Result<Link> {
        timeout(HANDSHAKE_TIME, Link::connect_now(stream, secret))
            .await
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }

    async fn connect_now(mut stream: TcpStream, secret: &Secret) -> io::Result<Link> {
        stream.set_nodelay(true)?;
        let mut hello = [0; GREETING.len() + NONCE_BYTES];
        stream.read_exact(&mut hello).await?;
        let (greeting, theirs) = hello.split_at(GREETING.len());
        if greeting != GREETING {
            return Err(refused("the other end is no replica of this version"));
        }
        let ours = nonce()?;
        let mut answer = Vec::with_capacity(GREETING.len() + NONCE_BYTES + PROOF_BYTES);
        answer.extend_from_slice(GREETING);
        answer.extend_from_slice(&ours);
        answer.extend_from_slice(&secret.mac(b"connecting", [theirs, &ours]));
        stream.write_all(&answer).await?;
        let mut proof = [0; PROOF_BYTES];
        stream
            .read_exact(&mut proof)
            .await
            .map_err(|error| match error.kind() {
                io::ErrorKind::UnexpectedEof => refused("the other end has another secret"),
                _ => error,
            })?;
        if !secret.verify(b"accepting", [theirs, &ours], &proof) {
            return Err(refused("the other end has another secret"));
        }
        let outward = secret.mac(b"to the accepting end", [theirs, &ours]);
        let inward = secret.mac(b"to the connecting end", [theirs, &ours]);
        Ok(Link::new(stream, &inward, &outward))
    }

    /// Proves itself as the accepting end, after the other one has.
    ///
    /// # Errors
    /// As for [`Link::connect`].
    pub async fn accept(stream: TcpStream, secret: &Secret) -> io::Result<Link> {
        timeout(HANDSHAKE_TIME, Link::accept_now(stream, secret))
            .await
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }

    async fn accept_now(mut stream: TcpStream, secret: &Secret) -> io::Result<Link> {
        stream.set_nodelay(true)?;
        let ours = nonce()?;
        let mut hello = GREETING.to_vec();
        hello.extend_from_slice(&ours);
        stream.write_all(&hello).await?;
        let mut answer = [0; GREETING.len() + NONCE_BYTES + PROOF_BYTES];
        stream.read_exact(&mut answer).await?;
        let (greeting, rest) = answer.split_at(GREETING.len());
        let (theirs, proof) = rest.split_at(NONCE_BYTES);
        if greeting != GREETING {
            return Err(refused("not a replica of this version"));
        }
        if !secret.verify(b"connecting", [&ours, theirs], proof) {
            return Err(refused("another secret"));
        }
        stream
            .write_all(&secret.mac(b"accepting", [&ours, theirs]))
            .await?;
        let inward = secret.mac(b"to the accepting end", [&ours, theirs]);
        let outward = secret.mac(b"to the connecting end", [&ours, theirs]);
        Ok(Link::new(stream, &inward, &outward))
    }

    fn new(stream: TcpStream, inward: &[u8], outward: &[u8]) -> Link {
        let (read, write) = stream.into_split();
        Link {
            read,
            write,
            inward: Direction::new(inward),
            outward: Direction::new(outward),
            buffer: Vec::new(),
        }
    }

    /// Sends a message as one frame.
    ///
    /// # Errors
    /// The connection is gone, or the message is longer than [`FRAME_BYTES_MAX`].
    pub async fn send(&mut self, message: &impl prost::Message) -> io::Result<()> {
        let length = message.encoded_len();
        if length > FRAME_BYTES_MAX {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("a message of {length} bytes is too long"),
            ));
        }
        let prefix = (length as u32).to_be_bytes();
        self.buffer.clear();
        self.buffer.extend_from_slice(&prefix);
        message
            .encode(&mut self.buffer)
            .map_err(|error| io::Error::other(error.to_string()))?;
        let tag = self
            .outward
            .next(&prefix, &self.buffer[prefix.len()..])
            .finalize()
            .into_bytes();
        self.buffer.extend_from_slice(&tag[..TAG_BYTES]);
        send_all(&mut self.write, &self.buffer).await?;
        if self.buffer.capacity() > 1 << 20 {
            self.buffer = Vec::new();
        }
        Ok(())
    }

    /// Receives a message; waits for its beginning as long as `patience`.
    ///
    /// # Errors
    /// The connection is gone, the frame is too long, too slow, or not from the other end.
    pub async fn receive<M: prost::Message + Default>(
        &mut self,
        patience: Duration,
    ) -> io::Result<M> {
        let mut prefix = [0; 4];
        timeout(patience, self.read.read_exact(&mut prefix))
            .await
            .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        let length = u32::from_be_bytes(prefix) as usize;
        if length > FRAME_BYTES_MAX {
            return Err(refused("a frame that is too long"));
        }
        let bytes = timeout(FRAME_TIME, receive_all(&mut self.read, length + TAG_BYTES))
            .await
            .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        let (body, tag) = bytes.split_at(length);
        self.inward
            .next(&prefix, body)
            .verify_truncated_left(tag)
            .map_err(|_| refused("a frame that was changed on its way"))?;
        M::decode(bytes::Bytes::from(bytes).slice(..length))
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.to_string()))
    }
}

async fn send_all(write: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> io::Result<()> {
    timeout(FRAME_TIME, write.write_all(bytes))
        .await
        .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
}

/// Memory grows with what has come, not with what was announced.
async fn receive_all(read: &mut (impl AsyncRead + Unpin), length: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(length.min(1 << 16));
    let mut limited = read.take(length as u64);
    while bytes.len() < length {
        if limited.read_buf(&mut bytes).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::{Link, Secret};
    use crate::wire::WirePosition;
    use std::time::Duration;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    const PATIENCE: Duration = Duration::from_secs(2);

    fn secret(text: &str) -> Secret {
        Secret::new(text.as_bytes()).unwrap()
    }

    async fn pair(ours: &str, theirs: &str) -> (std::io::Result<Link>, std::io::Result<Link>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap())
            .await
            .unwrap();
        let (accepted, _) = listener.accept().await.unwrap();
        let (ours, theirs) = (secret(ours), secret(theirs));
        tokio::join!(
            Link::connect(stream, &ours),
            Link::accept(accepted, &theirs)
        )
    }

    fn run(test: impl Future<Output = ()>) {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
            .block_on(test);
    }

    const KEY: &str = "0123456789abcdef0123456789abcdef";

    #[test]
    fn messages_go_both_ways_between_those_who_know_the_secret() {
        run(async {
            let (connected, accepted) = pair(KEY, KEY).await;
            let (mut connected, mut accepted) = (connected.unwrap(), accepted.unwrap());
            for index in 0..3 {
                let sent = WirePosition { term: 7, index };
                connected.send(&sent).await.unwrap();
                assert_eq!(
                    accepted.receive::<WirePosition>(PATIENCE).await.unwrap(),
                    sent
                );
                accepted.send(&sent).await.unwrap();
                assert_eq!(
                    connected.receive::<WirePosition>(PATIENCE).await.unwrap(),
                    sent
                );
            }
        });
    }

    #[test]
    fn another_secret_is_refused_on_both_ends() {
        run(async {
            let (connected, accepted) = pair(KEY, "another secret of 32 bytes......").await;
            assert!(accepted.unwrap_err().to_string().contains("another secret"));
            assert!(
                connected
                    .unwrap_err()
                    .to_string()
                    .contains("another secret")
            );
        });
    }

    #[test]
    fn a_recorded_handshake_is_worth_nothing() {
        run(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let key = secret(KEY);
            let mut recorded = Vec::new();
            for replay in [false, true] {
                let client = async {
                    let mut stream = TcpStream::connect(address).await.unwrap();
                    if replay {
                        let mut hello = [0; 40];
                        stream.read_exact(&mut hello).await.unwrap();
                        stream.write_all(&recorded).await.unwrap();
                        let mut rest = Vec::new();
                        drop(stream.read_to_end(&mut rest).await);
                        assert_eq!(rest, b"");
                        recorded.clone()
                    } else {
                        // A man in the middle records what a true replica says.
                        let middle = TcpListener::bind("127.0.0.1:0").await.unwrap();
                        let there = middle.local_addr().unwrap();
                        let honest = async {
                            let stream = TcpStream::connect(there).await.unwrap();
                            Link::connect(stream, &key).await.unwrap();
                        };
                        let relay = async {
                            let (mut from, _) = middle.accept().await.unwrap();
                            let mut hello = [0; 40];
                            stream.read_exact(&mut hello).await.unwrap();
                            from.write_all(&hello).await.unwrap();
                            let mut answer = vec![0; 72];
                            from.read_exact(&mut answer).await.unwrap();
                            stream.write_all(&answer).await.unwrap();
                            let mut proof = [0; 32];
                            stream.read_exact(&mut proof).await.unwrap();
                            from.write_all(&proof).await.unwrap();
                            answer
                        };
                        tokio::join!(honest, relay).1
                    }
                };
                let server = async {
                    let (stream, _) = listener.accept().await.unwrap();
                    Link::accept(stream, &key).await.is_ok()
                };
                let (said, accepted) = tokio::join!(client, server);
                assert_eq!(accepted, !replay);
                recorded = said;
            }
        });
    }

    #[test]
    fn a_changed_frame_and_a_frame_sent_twice_are_refused() {
        for twice in [false, true] {
            run(async {
                let (connected, accepted) = pair(KEY, KEY).await;
                let (mut connected, mut accepted) = (connected.unwrap(), accepted.unwrap());
                let message = WirePosition { term: 1, index: 2 };
                connected.send(&message).await.unwrap();
                let mut frame = connected.buffer.clone();
                accepted.receive::<WirePosition>(PATIENCE).await.unwrap();
                if !twice {
                    connected.send(&message).await.unwrap();
                    accepted.receive::<WirePosition>(PATIENCE).await.unwrap();
                    frame = connected.buffer.clone();
                    frame[5] ^= 1;
                }
                connected.write.write_all(&frame).await.unwrap();
                let error = accepted
                    .receive::<WirePosition>(PATIENCE)
                    .await
                    .unwrap_err();
                assert!(error.to_string().contains("changed on its way"), "{error}");
            });
        }
    }

    #[test]
    fn a_frame_that_is_too_long_is_refused_before_it_is_read() {
        run(async {
            let (connected, accepted) = pair(KEY, KEY).await;
            let (mut connected, mut accepted) = (connected.unwrap(), accepted.unwrap());
            connected.write.write_all(&[0xff; 4]).await.unwrap();
            let error = accepted
                .receive::<WirePosition>(PATIENCE)
                .await
                .unwrap_err();
            assert!(error.to_string().contains("too long"), "{error}");
        });
    }
}
