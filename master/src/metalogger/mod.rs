//! Metaloggers on port 9419: the stream of changelog lines and the download of files
//! (metadata-and-changelog §4).

pub mod files;
mod recent;

use crate::core::Core;
use crate::links::{LinkId, Port};
use files::{Files, OpenFile};
use proto::common::{ConfigValue, GetConfig, GetVersion, Nop, VersionReply};
use proto::list::Rest;
use proto::metalogger::{
    DownloadData, DownloadFile, DownloadInfo, DownloadRequest, FromMetalogger, MetaChange,
    Register, TIMEOUT_S_DEFAULT, TIMEOUT_S_MIN,
};
use proto::version::Version;
use proto::{MetaVersion, wire::Malformed};
use recent::RecentLines;
use std::collections::HashMap;

/// Largest block of a download. Original metaloggers ask for a million bytes.
const BLOCK_MAX: u32 = 4 << 20;

/// One connection.
#[derive(Debug, Default)]
struct Logger {
    version: Option<Version>,
    timeout_ms: u64,
    /// The file that is being downloaded.
    download: Option<Box<dyn OpenFile>>,
    /// Changelogs opened together with the metadata, so that the three fit together.
    companions: [Option<Box<dyn OpenFile>>; 2],
}

/// State of the connections.
#[derive(Debug, Default)]
pub struct Loggers {
    links: HashMap<LinkId, Logger>,
    recent: RecentLines,
    files: Option<Box<dyn Files>>,
    swept_ms: u64,
}

impl Loggers {
    /// Gives the room the files that metaloggers may download.
    pub fn set_files(&mut self, files: Box<dyn Files>) {
        self.files = Some(files);
    }

    /// Takes the files that a predecessor was given.
    pub fn take_files_of(&mut self, other: &mut Loggers) {
        self.files = other.files.take();
    }

    /// Registered metaloggers and their versions, in no order.
    pub fn registered(&self) -> impl Iterator<Item = (LinkId, Version)> + '_ {
        self.links
            .iter()
            .filter_map(|(&link, logger)| Some((link, logger.version?)))
    }
}

/// A connection came in.
pub fn accepted(core: &mut Core, link: LinkId) {
    let logger = Logger {
        timeout_ms: u64::from(TIMEOUT_S_DEFAULT) * 1000,
        ..Logger::default()
    };
    core.loggers.links.insert(link, logger);
}

/// A frame came in.
pub fn frame(core: &mut Core, link: LinkId, kind: u32, payload: &[u8]) {
    let answered =
        FromMetalogger::decode(kind, payload).and_then(|message| answer(core, link, &message));
    if let Err(Malformed) = answered {
        tracing::info!(
            "master <-> metaloggers module: wrong packet (type:{kind} ; length:{}) from {} - closing connection",
            payload.len(),
            core.links.peer(link).ip()
        );
        core.links.close(link);
    }
}

fn answer(core: &mut Core, link: LinkId, message: &FromMetalogger<'_>) -> Result<(), Malformed> {
    match message {
        FromMetalogger::Nop(_) => Ok(()),
        FromMetalogger::GetVersion(GetVersion { msgid }) => {
            let reply = VersionReply {
                msgid: *msgid,
                version: crate::VERSION,
                text: Rest(crate::VERSION_TEXT.as_bytes()),
            };
            reply.encode(core.links.out(link));
            Ok(())
        }
        FromMetalogger::GetConfig(GetConfig { msgid, option }) => {
            let value = core.settings.raw(option);
            let reply = ConfigValue {
                msgid: *msgid,
                value: value.as_bytes(),
            };
            reply.encode(core.links.out(link));
            Ok(())
        }
        FromMetalogger::Register(register) => self::register(core, link, register),
        FromMetalogger::DownloadStart(start) => {
            download_start(core, link, start.file);
            Ok(())
        }
        FromMetalogger::DownloadRequest(request) => download_block(core, link, request),
        FromMetalogger::DownloadEnd(_) => {
            if let Some(logger) = core.loggers.links.get_mut(&link) {
                logger.download = None;
            }
            Ok(())
        }
    }
}

fn register(core: &mut Core, link: LinkId, register: &Register) -> Result<(), Malformed> {
    let logger = core.loggers.links.get_mut(&link).ok_or(Malformed)?;
    if logger.version.is_some() {
        return Err(Malformed);
    }
    logger.version = Some(register.version);
    let timeout_s = match register.timeout_s {
        0 => TIMEOUT_S_DEFAULT,
        seconds => seconds.max(TIMEOUT_S_MIN),
    };
    logger.timeout_ms = u64::from(timeout_s) * 1000;
    // Without the line the metalogger sees the gap by the numbers and downloads everything again.
    if let Some(lines) = register
        .first_wanted
        .and_then(|first| core.loggers.recent.from(first))
    {
        let out = core.links.out(link);
        for (version, text) in lines {
            put_line(out, version, text);
        }
    }
    Ok(())
}

fn put_line(out: &mut Vec<u8>, version: MetaVersion, text: &[u8]) {
    MetaChange::Line {
        version,
        text: Rest(text),
    }
    .encode(out);
}

fn download_start(core: &mut Core, link: LinkId, file: DownloadFile) {
    let Loggers { links, files, .. } = &mut core.loggers;
    let (Some(logger), Some(files)) = (links.get_mut(&link), files) else {
        return;
    };
    let opened = match file {
        DownloadFile::Metadata => {
            logger.companions = [
                files.open(DownloadFile::Changelog0),
                files.open(DownloadFile::Changelog1),
            ];
            files.open(file)
        }
        DownloadFile::Changelog0 => logger.companions[0].take().or_else(|| files.open(file)),
        DownloadFile::Changelog1 => logger.companions[1].take().or_else(|| files.open(file)),
        DownloadFile::Sessions => None,
    };
    let length = match (&opened, file) {
        (Some(opened), _) => Some(opened.length()),
        (None, DownloadFile::Changelog0 | DownloadFile::Changelog1) => Some(0),
        (None, _) => None,
    };
    logger.download = opened;
    DownloadInfo { length }.encode(core.links.out(link));
}

fn download_block(
    core: &mut Core,
    link: LinkId,
    request: &DownloadRequest,
) -> Result<(), Malformed> {
    let logger = core.loggers.links.get(&link).ok_or(Malformed)?;
    let file = logger.download.as_ref().ok_or(Malformed)?;
    let end = request
        .offset
        .checked_add(u64::from(request.length))
        .ok_or(Malformed)?;
    if end > file.length() || request.length > BLOCK_MAX {
        return Err(Malformed);
    }
    let mut block = vec![0; request.length as usize];
    if let Err(error) = file.read_at(request.offset, &mut block) {
        tracing::error!("can't read a file for a metalogger: {error}");
        return Err(Malformed);
    }
    DownloadData::new(request.offset, &block).encode(core.links.out(link));
    Ok(())
}

/// A connection is gone.
pub fn closed(core: &mut Core, link: LinkId) {
    if let Some(logger) = core.loggers.links.remove(&link)
        && logger.version.is_some()
    {
        tracing::info!(
            "connection with ML({}) has been closed by peer",
            core.links.peer(link).ip()
        );
    }
}

/// Time passed: signs of life, and the end of connections that give none.
pub fn tick(core: &mut Core) {
    let now_ms = core.now.mono_ms;
    if now_ms < core.loggers.swept_ms + 100 {
        return;
    }
    core.loggers.swept_ms = now_ms;
    core.loggers
        .recent
        .forget(now_ms, core.settings.changelog_preserve_ms);
    for (&link, logger) in &core.loggers.links {
        if core.links.silent_ms(link) > logger.timeout_ms {
            core.links.close(link);
        } else if core.links.mute_ms(link) > logger.timeout_ms / 3 {
            Nop {}.encode(core.links.out(link));
        }
    }
}

/// The lines of this turn go to the metaloggers, and leave when they are durable.
pub fn lines(core: &mut Core) {
    core.loggers.recent.push(&core.out.lines, core.now.mono_ms);
    for (&link, logger) in &core.loggers.links {
        if logger.version.is_none() {
            continue;
        }
        let out = core.links.out(link);
        for (version, text) in core.out.lines.iter() {
            put_line(out, version, text);
        }
    }
}

/// The changelogs are about to be rotated: metaloggers rotate theirs.
pub fn rotated(core: &mut Core) {
    let links: Vec<LinkId> = core
        .links
        .of_port(Port::Metalogger)
        .filter(|link| {
            core.loggers
                .links
                .get(link)
                .is_some_and(|logger| logger.version.is_some())
        })
        .collect();
    for link in links {
        MetaChange::Rotate.encode(core.links.out(link));
    }
}

#[cfg(test)]
mod tests;
