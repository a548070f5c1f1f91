//! The files beside the configuration: exports and topology.

use crate::core::Core;
use crate::exports::{self, Export, SystemNames};
use crate::settings::Settings;
use crate::topology::Topology;
use daemon::log;
use std::path::Path;

/// What the files say.
#[derive(Debug)]
pub struct Companions {
    /// `None`: keep the present ones.
    exports: Option<Vec<Export>>,
    topology: Option<Topology>,
}

/// Reads the files. At the start there have to be usable exports; at a reload a file that cannot be
/// read leaves everything as it is (master-behaviour §15.3).
pub fn load(settings: &Settings, start: bool) -> Result<Companions, String> {
    let exports = match read(&settings.exports_file) {
        Ok(text) => {
            let parsed = exports::parse(&text, &SystemNames);
            for warning in &parsed.warnings {
                tracing::warn!("{warning}");
            }
            if parsed.entries.is_empty() && start {
                return Err("no exports defined !!!\ninit: exports manager failed !!!".to_owned());
            }
            say(start, "exports file has been loaded");
            Some(parsed.entries)
        }
        Err(error) => {
            let path = settings.exports_file.display();
            let message = match error.kind() {
                std::io::ErrorKind::NotFound => format!(
                    "mfsexports configuration file ({path}) not found - please create one (you can copy {path}.sample to get a base configuration)"
                ),
                _ => format!("can't open mfsexports configuration file ({path}): {error}"),
            };
            if start {
                return Err(format!(
                    "{message}\nno exports defined !!!\ninit: exports manager failed !!!"
                ));
            }
            tracing::error!("{message} - exports stay as they are");
            None
        }
    };
    let topology = match read(&settings.topology_file) {
        Ok(text) => {
            let (topology, warnings) = Topology::parse(&text);
            for warning in warnings {
                tracing::warn!("{warning}");
            }
            say(start, "topology file has been loaded");
            Some(topology)
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let path = settings.topology_file.display();
            say(
                start,
                &format!("mfstopology configuration file ({path}) not found - using defaults"),
            );
            start.then(Topology::default)
        }
        Err(error) => {
            let path = settings.topology_file.display();
            tracing::error!("can't read {path}: {error} - topology stays as it is");
            None
        }
    };
    Ok(Companions { exports, topology })
}

/// Largest file that makes sense; a device or a mistake may be endless.
const BYTES_MAX: u64 = 64 << 20;

fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    use std::io::Read as _;
    let mut text = Vec::new();
    std::fs::File::open(path)?
        .take(BYTES_MAX)
        .read_to_end(&mut text)?;
    Ok(text)
}

fn say(start: bool, text: &str) {
    if start {
        log::say(text);
    } else {
        tracing::info!("{text}");
    }
}

impl Companions {
    /// Hands over what was read. Clients whose exports changed are cut off and register anew.
    pub fn give_to(self, core: &mut Core) {
        if let Some(topology) = self.topology {
            core.chunks.set_places(Box::new(topology));
        }
        if let Some(exports) = self.exports {
            crate::client::set_exports(core, exports);
        }
    }
}
