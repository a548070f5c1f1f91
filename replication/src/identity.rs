//! Who this node is, and which cluster it belongs to: the file `identity`, written before the node
//! says anything that others rely on.

use crate::store::files;
use crate::types::NodeId;
use std::io;
use std::path::Path;

/// What the file says.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Identity {
    /// This node; drawn at random in an empty directory.
    #[prost(fixed64, tag = "1")]
    pub node: u64,
    /// The cluster, drawn by the node that founded it; 0 before.
    #[prost(fixed64, tag = "2")]
    pub cluster: u64,
}

/// A random number that is not 0.
pub(crate) fn random() -> io::Result<NodeId> {
    loop {
        let number = getrandom::u64()
            .map_err(|error| io::Error::other(format!("random numbers: {error}")))?;
        if number != 0 {
            return Ok(number);
        }
    }
}

impl Identity {
    /// Reads the identity, or draws one.
    pub fn load(directory: &Path) -> io::Result<Identity> {
        if let Some(identity) = files::read::<Identity>(directory, "identity")? {
            return Ok(identity);
        }
        let identity = Identity {
            node: random()?,
            cluster: 0,
        };
        identity.save(directory)?;
        Ok(identity)
    }

    pub fn save(&self, directory: &Path) -> io::Result<()> {
        files::replace(directory, "identity", self)
    }
}
