//! `git-receive-pack` over SSH: a program on a channel, which is told all and then that this was all.

use std::io::{self, Read, Write};

use super::protocol::Receiver;
use crate::source::failure::{Failure, Noted};
use crate::source::ssh::{Incoming, Outgoing, Patience, Program, SshServer};

/// A server's program.
pub(super) struct SshReceiver {
    incoming: Incoming,
    outgoing: Outgoing,
}

impl SshReceiver {
    /// Starts the program.
    pub(super) fn open(
        server: &SshServer,
        patience: &Patience,
        failure: Noted,
    ) -> Result<Self, Failure> {
        let (incoming, outgoing) = server.start(Program::ReceivePack, patience, failure)?;
        Ok(Self { incoming, outgoing })
    }
}

impl Read for SshReceiver {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.incoming.read(buffer)
    }
}

impl Receiver for SshReceiver {
    fn request(&mut self, request: Vec<u8>) -> Result<(), Failure> {
        let sent = self.outgoing.write_all(&request);
        sent.map_err(|error| Failure::Network(error.to_string()))?;
        self.outgoing.end()
    }
}
