//! Programs of others that tests stand on: built by `make -C tests/stores`, started on a free port, ended with the test.

use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::eventually;
use crate::scene::PATIENCE;

/// A program that serves on a port. It is ended when this value is dropped.
#[derive(Debug)]
pub(crate) struct Program {
    process: Child,
    /// Host and port.
    pub(crate) address: String,
}

impl Program {
    /// Starts a program whose arguments depend on where it is to listen, and waits until it does.
    pub(crate) async fn start(
        name: &str,
        log: &Path,
        configure: impl Fn(&mut Command, &str),
    ) -> Program {
        let program = folder().join(name);
        assert!(
            program.exists(),
            "{} is missing: build it with `make -C tests/stores`",
            program.display()
        );
        let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        let address = port.expect("find a free port").to_string();
        let mut command = Command::new(program);
        configure(&mut command, &address);
        let output = std::fs::File::create(log).expect("create a log");
        let errors = output.try_clone().expect("share a log");
        command.stdin(Stdio::null()).stdout(output).stderr(errors);
        let process = command.spawn().expect("start a program");
        let program = Program { process, address };
        eventually(PATIENCE, &format!("{name} listens"), async || {
            let connected = TcpStream::connect_timeout(
                &program.address.parse().expect("an address"),
                Duration::from_secs(1),
            );
            connected.map(drop).map_err(|error| {
                format!(
                    "{error}: {}",
                    std::fs::read_to_string(log).unwrap_or_default()
                )
            })
        })
        .await;
        program
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Where the control plane's program lies.
fn folder() -> PathBuf {
    let control_plane = crate::control_plane::program();
    control_plane
        .parent()
        .map(Path::to_owned)
        .unwrap_or_default()
}
