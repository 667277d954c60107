//! The program `billwire`: command line, configuration, telemetry, and the wiring of roles.
//!
//! The only crate that imports all others. It has no logic of billing or delivery: it creates each part with its dependencies, starts it
//! and stops it.
#![expect(clippy::print_stdout, reason = "the output of a command goes to standard output")]

mod adapters;
mod admin;
mod api_client;
mod audit;
mod cli;
mod config;
mod connections;
mod data_dir;
mod database;
#[cfg(feature = "dev")]
mod dev;
mod integrator;
mod keys;
mod listen;
mod login;
mod nats_access;
mod nats_child;
mod output;
mod random;
mod recover;
mod redirect;
mod roles;
mod seal_keys;
mod shared_places;
mod sign_in;
mod stream;
mod telemetry;
mod tenants;

use std::process::ExitCode;

use billwire_app::domain;

use clap::Parser;

/// With the system's allocator, draining a backlog spent an eighth of the CPU time in it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // The default for all crates; it must be installed before the first TLS connection.
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
