//! How a revision of a Git repository becomes a snapshot: look up refs, fetch, read, verify, archive.
