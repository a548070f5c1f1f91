//! mfsmetalogger and mfsmetarestore: a copy of the changelog on another machine, and what is made of it.
