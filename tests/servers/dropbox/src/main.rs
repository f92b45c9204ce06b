//! `onitu-test-dropbox`: the server by itself, for a look at it by hand.

use std::net::SocketAddr;
use std::process::ExitCode;

use clap::Parser;
use onitu_test_dropbox::Server;

/// A server that speaks Dropbox's API from memory.
#[derive(Parser)]
struct Arguments {
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
}

#[expect(clippy::print_stdout, clippy::print_stderr, reason = "a command tells where it is")]
fn main() -> ExitCode {
    let server = match Server::start_at(Arguments::parse().listen) {
        Ok(server) => server,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::FAILURE;
        }
    };
    println!("{}", server.base());
    server.join();
    ExitCode::SUCCESS
}
