//! The socket through which the operator's commands reach the running master: `ha/control`, one
//! request and one reply a connection, readable by the master's user only.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::mpsc::{Receiver, Sender, channel};

/// Name of the socket in the replication directory.
const NAME: &str = "control";
/// Longest request, bytes.
const REQUEST_MAX: u64 = 1024;
/// How long a request may take to come, and a reply to go.
const PATIENCE: Duration = Duration::from_secs(5);

/// A request.
#[derive(Debug)]
pub struct Asked {
    /// Its words.
    pub words: Vec<String>,
    stream: UnixStream,
}

impl Asked {
    /// Replies with an exit code and a text.
    pub fn reply(mut self, code: u8, text: &str) {
        let reply = format!("{code}\n{text}");
        tokio::task::spawn_local(async move {
            // Who asked may be gone.
            drop(tokio::time::timeout(PATIENCE, self.stream.write_all(reply.as_bytes())).await);
        });
    }
}

/// The listening end.
#[derive(Debug)]
pub struct Control {
    asked: Receiver<Asked>,
    path: PathBuf,
}

impl Control {
    /// Listens in the replication directory.
    ///
    /// # Errors
    /// The socket cannot be made.
    pub fn listen(directory: &Path) -> Result<Control, String> {
        let path = directory.join(NAME);
        // What a killed predecessor left. The lock of the data directory says that it is gone.
        drop(std::fs::remove_file(&path));
        let listener = UnixListener::bind(&path)
            .and_then(|listener| {
                std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
                Ok(listener)
            })
            .map_err(|error| format!("{}: {error}", path.display()))?;
        let (sender, asked) = channel(16);
        tokio::task::spawn_local(async move {
            loop {
                let Ok((stream, _)) = listener.accept().await else {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                };
                tokio::task::spawn_local(read(stream, sender.clone()));
            }
        });
        Ok(Control { asked, path })
    }

    /// The next request.
    pub async fn next(&mut self) -> Asked {
        match self.asked.recv().await {
            Some(asked) => asked,
            None => std::future::pending().await,
        }
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        drop(std::fs::remove_file(&self.path));
    }
}

async fn read(mut stream: UnixStream, sender: Sender<Asked>) {
    let mut text = String::new();
    let request = async {
        let (half, _) = stream.split();
        half.take(REQUEST_MAX).read_to_string(&mut text).await
    };
    if let Ok(Ok(_)) = tokio::time::timeout(PATIENCE, request).await {
        let words = text.split_whitespace().map(str::to_owned).collect();
        // The master ends.
        drop(sender.send(Asked { words, stream }).await);
    }
}

/// Asks a running master; gives the exit code and the text.
///
/// # Errors
/// No master listens.
pub fn ask(data_path: &Path, words: &[String]) -> Result<(u8, String), String> {
    use std::io::{Read as _, Write as _};
    let path = data_path.join("ha").join(NAME);
    let talk = || -> std::io::Result<String> {
        let mut stream = std::os::unix::net::UnixStream::connect(&path)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(words.join(" ").as_bytes())?;
        stream.shutdown(std::net::Shutdown::Write)?;
        let mut reply = String::new();
        stream.read_to_string(&mut reply)?;
        Ok(reply)
    };
    let reply = talk().map_err(|error| {
        format!(
            "{}: {error} - is mfsmaster running, with HA_PEERS set?",
            path.display()
        )
    })?;
    let (code, text) = reply.split_once('\n').unwrap_or(("1", ""));
    Ok((code.parse().unwrap_or(1), text.to_owned()))
}
