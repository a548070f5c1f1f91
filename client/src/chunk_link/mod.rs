//! Connections to chunkservers' data ports, kept for the next request (client-behaviour §17.2).

mod connection;
mod load;
mod pool;
mod reading;

pub(crate) use connection::{Connection, Failure, NOP_AFTER, SILENCE_MAX};
pub(crate) use pool::Pool;
pub(crate) use reading::{ReadRequest, read};
