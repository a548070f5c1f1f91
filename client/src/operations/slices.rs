//! Sharing chunks between files.

use proto::Inode;
use proto::client::kind;
use proto::client::snapshot::{AppendSlice, Slice};

use crate::caller::Caller;
use crate::error::Result;
use crate::session::Session;

/// Behind the last chunk of every file.
const ALL_CHUNKS: u32 = 0x8000_0000;

impl Session {
    /// Appends all chunks of `source` to a file, which shares them from then on (APPEND_SLICE).
    pub async fn append_chunks(&self, inode: Inode, source: Inode, caller: &Caller) -> Result<()> {
        let version = self.version();
        self.ask(kind::APPEND_SLICE, |msgid| AppendSlice {
            msgid,
            inode,
            source,
            slice: version.has_slices().then_some(Slice {
                flags: 0,
                from: 0,
                to: ALL_CHUNKS,
            }),
            caller: caller.credentials(),
        })
        .await?
        .status()
    }
}
