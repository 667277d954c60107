//! The promises, tested from outside with real processes, databases, nats-servers and peers.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "test code: a failed expectation is the report; the number of kills comes from the environment"
)]

mod account_ending;
mod audit;
mod bad_input;
mod bill_cycle;
mod bill_run;
mod catalogue;
mod clients;
mod console;
mod custom_events;
mod delivery;
mod docs_page;
mod drills;
mod end_to_end;
mod endpoints;
mod event_size;
mod explain;
mod faults;
mod forged;
mod fuzz;
mod fuzz_api;
mod integrator;
mod keys;
mod large_pages;
mod large_transactions;
mod listen;
mod lowered_limit;
mod mail;
mod monitoring;
mod operations;
mod private;
mod process;
mod receivers_guide;
mod redrive;
mod replays;
mod retention;
mod routing;
mod sample_tenant;
mod second_run;
mod sign_in;
mod slots;
mod slow_clients;
mod soak;
mod stream;
mod tenants;
mod tidy;
mod untrusted;
mod upgrade;
mod warehouse_charges;

use billwire_tests::{
    api::Api,
    gateway::{Database, Gateway, Setup},
};

/// A gateway on `database` without a receiver.
async fn plain(name: &str, database: Database) -> (Setup, Gateway, Api) {
    let setup = Setup::new(name, database);
    let gateway = setup.start().await;
    let api = setup.api();
    (setup, gateway, api)
}
