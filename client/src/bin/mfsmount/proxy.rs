//! The listener through which tools reach the master over this mount (client-behaviour §6.7).

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::sync::Arc;
use std::time::Duration;

use client::FileSystem;
use proto::Status;
use proto::client::kind;
use proto::client::message::{Message as _, StatusReply};
use proto::client::register::Register;
use proto::frame::{HEADER_LEN, put_frame, split_frame};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

/// Limit of each read and write.
const PATIENCE: Duration = Duration::from_secs(20);
/// Data of a request, and of an answer.
const REQUEST_MAX: u32 = 50_000;
const ANSWER_MAX: usize = 4_000_000 - 12;
/// Tools that are connected at the same time.
const TOOLS_MAX: usize = 1000;

/// Listens at a port that the system chooses, and serves tools. The address.
pub async fn start(ip: Ipv4Addr, fs: Arc<FileSystem>) -> std::io::Result<SocketAddrV4> {
    let listener = TcpListener::bind((ip, 0)).await?;
    let SocketAddr::V4(address) = listener.local_addr()? else {
        return Err(std::io::ErrorKind::AddrNotAvailable.into());
    };
    let room = Arc::new(tokio::sync::Semaphore::new(TOOLS_MAX));
    tokio::spawn(async move {
        loop {
            let Ok(permit) = Arc::clone(&room).acquire_owned().await else {
                return;
            };
            match listener.accept().await {
                Ok((stream, _)) => {
                    let fs = Arc::clone(&fs);
                    tokio::spawn(async move {
                        serve(stream, &fs).await;
                        drop(permit);
                    });
                }
                // No descriptors left, perhaps: some will be free again.
                Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        }
    });
    Ok(address)
}

/// Passes requests on until something is wrong.
async fn serve(mut stream: TcpStream, fs: &FileSystem) -> Option<()> {
    // Without it answers are only slower.
    let _ = stream.set_nodelay(true);
    let mut input = bytes::BytesMut::new();
    loop {
        let (kind, payload) = loop {
            if let Some(frame) = split_frame(&input, REQUEST_MAX).ok()? {
                let (kind, consumed) = (frame.kind, frame.consumed);
                let payload = input.split_to(consumed).freeze().slice(HEADER_LEN..);
                break (kind, payload);
            }
            let count = timeout(PATIENCE, stream.read_buf(&mut input))
                .await
                .ok()?
                .ok()?;
            if count == 0 {
                return None;
            }
        };
        let mut out = Vec::new();
        match kind {
            kind::REGISTER => {
                let is_tool = matches!(Register::decode(&payload), Ok(Register::Tools { .. }));
                if !is_tool {
                    return None;
                }
                put_frame(&mut out, kind::reply(kind::REGISTER), |out| {
                    out.push(Status::Ok.wire());
                });
            }
            kind::NOP => continue,
            _ => {
                let (msgid, request) = payload.split_first_chunk::<4>()?;
                let reply = fs.session().ask_raw(kind, request).await;
                match reply {
                    Ok(reply) if reply.payload().len() <= ANSWER_MAX => {
                        if kind == kind::SNAPSHOT {
                            fs.names_changed();
                        }
                        put_frame(&mut out, kind::reply(kind), |out| {
                            out.extend_from_slice(msgid);
                            out.extend_from_slice(reply.payload().get(4..).unwrap_or_default());
                        });
                    }
                    Err(client::Error::Status(status)) => {
                        put_frame(&mut out, kind::reply(kind), |out| {
                            StatusReply {
                                msgid: u32::from_be_bytes(*msgid),
                                status,
                            }
                            .encode(fs.session().version(), out);
                        });
                    }
                    _ => return None,
                }
            }
        }
        timeout(PATIENCE, stream.write_all(&out)).await.ok()?.ok()?;
    }
}
