//! A minute's work as the samples of the charts (wire-admin §6.2).

use crate::server::Server;
use daemon::usage::ProcessUsage;

/// One sample for each series, in the order of the charts. The counters begin anew.
pub fn take(server: &Server, usage: ProcessUsage) -> Vec<u64> {
    let counters = &server.counters;
    vec![
        usage.user_cpu_micros,
        usage.system_cpu_micros,
        counters.master_in.take(),
        counters.master_out.take(),
        counters.servers_in.take(),
        counters.servers_out.take(),
        counters.clients_in.take(),
        counters.clients_out.take(),
        counters.header_bytes_read.take(),
        counters.header_bytes_written.take(),
        counters.header_reads.take(),
        counters.header_writes.take(),
        counters.data_bytes_read.take(),
        counters.data_bytes_written.take(),
        counters.data_reads.take(),
        counters.data_writes.take(),
        counters.reads.take(),
        counters.writes.take(),
        counters.read_ns.take(),
        counters.write_ns.take(),
        counters.replications.take(),
        counters.creations.take(),
        counters.deletions.take(),
        counters.versions.take(),
        counters.duplications.take(),
        counters.truncations.take(),
        counters.duplicate_truncations.take(),
        counters.tests.take(),
        server.take_load_max(),
        usage.memory,
        usage.virtual_memory,
        counters.moves_low.take(),
        counters.moves_high.take(),
        counters.changes.take(),
    ]
}
