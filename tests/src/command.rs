//! Running a program to its end, bounded in time.

use anyhow::{Context, Result, bail};
use std::io::Read;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Longest run of a command without a bound of its own.
const DEFAULT_LIMIT: Duration = Duration::from_secs(120);

/// What a finished command left.
#[derive(Clone, Debug)]
pub struct Output {
    /// Exit code; -1 when a signal ended it.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Output {
    /// Standard output of a command that has to succeed.
    pub fn success(self) -> Result<String> {
        if self.code != 0 {
            bail!(
                "exit code {}\n--- stdout\n{}--- stderr\n{}",
                self.code,
                self.stdout,
                self.stderr
            );
        }
        Ok(self.stdout)
    }
}

/// Runs a command to its end, at most two minutes.
pub fn run(command: &mut Command) -> Result<Output> {
    run_for(DEFAULT_LIMIT, command)
}

/// Runs a command to its end; kills it after `limit`.
pub fn run_for(limit: Duration, command: &mut Command) -> Result<Output> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("can't run {command:?}"))?;
    let stdout = child.stdout.take().map(drain);
    let stderr = child.stderr.take().map(drain);
    let deadline = Instant::now() + limit;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if Instant::now() >= deadline {
            child.kill()?;
            child.wait()?;
            bail!("{command:?} did not end within {limit:?}");
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    // A daemon that was started inherits the pipes: what it has said so far is enough.
    let text = |pipe: Option<std::sync::mpsc::Receiver<Vec<u8>>>| {
        let mut bytes = Vec::new();
        if let Some(pipe) = pipe {
            while let Ok(chunk) = pipe.recv_timeout(Duration::from_millis(200)) {
                bytes.extend(chunk);
            }
        }
        String::from_utf8_lossy(&bytes).into_owned()
    };
    Ok(Output {
        code: status.code().unwrap_or(-1),
        stdout: text(stdout),
        stderr: text(stderr),
    })
}

fn drain(mut pipe: impl Read + Send + 'static) -> std::sync::mpsc::Receiver<Vec<u8>> {
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut chunk = [0; 4096];
        while let Ok(count @ 1..) = pipe.read(&mut chunk) {
            if sender.send(chunk[..count].to_vec()).is_err() {
                return;
            }
        }
    });
    receiver
}
