//! Hundreds of servers, thousands of chunks, random failures.
