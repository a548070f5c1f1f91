//! Version gates of the 9420 and 9422 protocols (chunkserver §7).
//!
//! An unknown type or form costs the connection, so each side asks about the other's version.

use crate::version::Version;

macro_rules! gates {
    ($what:literal; $($(#[$doc:meta])* $name:ident($major:literal, $middle:literal, $minor:literal);)*) => {
        #[doc = $what]
        impl Version {
            $(
                $(#[$doc])*
                #[inline]
                pub const fn $name(self) -> bool {
                    self.0 >= Version::new($major, $middle, $minor).0
                }
            )*
        }
    };
}

gates! {
    "Gates on the version that a *chunkserver* announced: what the master may send to it.";
    /// Understands MASTER_ACK; older servers close on it.
    server_takes_ack(1, 6, 28);
    /// Waits for an ACK after each batch of chunks.
    server_takes_batch_acks(2, 0, 0);
    /// Understands the metaid in the ACK.
    server_takes_metaid(2, 0, 33);
    /// Understands FORCE_TIMEOUT.
    server_takes_force_timeout(4, 12, 0);
    /// LOCALSPLIT tells the number of parts.
    server_takes_split_parts(4, 25, 0);
    /// Understands REGISTER_FIRST.
    server_takes_register_first(4, 30, 0);
    /// Understands CHUNK_STATUS.
    server_takes_chunk_status(4, 32, 0);
    /// Tolerates NOPs, sends WRITE_FINISH and reuses connections (the protocol byte of
    /// chunkserver §3.2); the byte may be used only when all servers of a chain have this.
    server_takes_protocol_byte(1, 7, 32);
}

gates! {
    "Gates on the version that a *master* announced: what a chunkserver may send to it.";
    /// Understands CURRENT_LOAD.
    master_takes_load(1, 6, 28);
    /// Answers each batch of chunks.
    master_acks_batches(2, 0, 0);
    /// Understands LABELS.
    master_takes_labels(2, 1, 0);
    /// CURRENT_LOAD has the load state.
    master_takes_load_state(3, 0, 7);
    /// Knows the state "internal rebalance".
    master_knows_rebalance(3, 0, 62);
    /// Understands the announced end of a server.
    master_takes_disconnect(3, 0, 75);
    /// CURRENT_LOAD has the transferring mask; CHUNK_DOESNT_EXIST is understood.
    master_takes_transfer_state(4, 32, 0);
    /// Knows the state "internal rebalance, high speed".
    master_knows_fast_rebalance(4, 37, 0);
}

#[cfg(test)]
mod tests {
    use crate::version::Version;

    #[test]
    fn gates_of_known_masters() {
        let gates = |text: &str| {
            let master: Version = text.parse().unwrap();
            [
                master.master_takes_load(),
                master.master_takes_labels(),
                master.master_takes_load_state(),
                master.master_takes_disconnect(),
                master.master_takes_transfer_state(),
            ]
        };
        assert_eq!(gates("1.6.27"), [false; 5]);
        assert_eq!(gates("2.0.91"), [true, false, false, false, false]);
        assert_eq!(gates("3.0.6"), [true, true, false, false, false]);
        assert_eq!(gates("3.0.74"), [true, true, true, false, false]);
        assert_eq!(gates("3.0.117"), [true, true, true, true, false]);
        assert_eq!(gates("4.59.2"), [true; 5]);
    }
}
