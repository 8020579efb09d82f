//! What the end-to-end tests stand on: a real control plane, real Git servers, and Weir as a process.
