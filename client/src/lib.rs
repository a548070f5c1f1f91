//! The client: a library, mfsmount and the tools over it.
