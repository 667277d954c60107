//! The program `billwire`: command line, configuration, telemetry, and the wiring of roles.
//!
//! The only crate that knows all the others. It decides nothing about billing or delivery; it gives each part what it stands on
//! and starts and stops it.
#![expect(clippy::print_stdout, reason = "a command's answer goes to standard output")]

mod adapters;
mod admin;
mod cli;
mod config;
mod connections;
mod data_dir;
#[cfg(feature = "dev")]
mod dev;
mod listen;
mod nats_child;
mod random;
mod roles;
mod seal_keys;
mod telemetry;

use std::process::ExitCode;

use billwire_app::domain;

use clap::Parser;

/// Draining a backlog spent an eighth of the machine in the system's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // Named once for every crate in the tree, before anything opens a TLS connection.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let cli = cli::Cli::parse();
    if let Some(memory) = cli.sandbox() {
        return adapters::sandbox::worker::serve(memory);
    }
    data_dir::make_files_private();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return cli::fail(&format!("cannot start: {error}")),
    };
    let done = runtime.block_on(cli::run(cli));
    runtime.shutdown_timeout(std::time::Duration::from_secs(5));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => cli::fail(&error),
    }
}
