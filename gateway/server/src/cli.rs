//! The command line.

use std::{io::Write, path::PathBuf, process::ExitCode};

use clap::{CommandFactory, Parser, Subcommand};
use clap_complete::Shell;
use serde_json::json;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::{
    audit,
    config::{self, Settings},
    data_dir, database, integrator, keys, listen, login,
    nats_access::{self, NatsAccess},
    output::{Output, answer, print_json},
    recover,
    roles::{self, Role},
    stream, telemetry, tenants,
};

/// The integration gateway of a billing platform.
#[derive(Debug, Parser)]
#[command(name = "billwire", version, propagate_version = true)]
pub struct Cli {
    /// Configuration file (default: billwire.toml, if it is there)
    #[arg(long, global = true)]
    config: Option<PathBuf>,
    /// Output format
    #[arg(long, global = true, value_enum, default_value_t = Output::Text)]
    output: Output,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the gateway
    Serve {
        /// The roles of this process (default: all)
        #[arg(long, value_enum, value_delimiter = ',')]
        roles: Vec<Role>,
        /// HTTP address
        #[arg(long)]
        listen: Option<std::net::SocketAddr>,
    },
    /// Run everything on this machine, play a short story through the public API, and stay up
    #[cfg_attr(not(feature = "dev"), command(hide = true))]
    Dev {
        /// HTTP address
        #[arg(long)]
        listen: Option<std::net::SocketAddr>,
        /// Stop after the story instead of staying up
        #[arg(long)]
        once: bool,
    },
    /// Bring a tenant's events to this machine: show them, and forward them to a URL, signed as in production
    Listen(listen::Options),
    /// Migrate the database's tables to this version
    Migrate,
    /// Recover a database that was restored to an older moment than the stream knows; the gateway must not run
    Recover(recover::Options),
    /// Print the OpenAPI document
    Openapi {
        /// As OpenAPI 3.1, with the outgoing webhooks
        #[arg(long = "v31")]
        three_one: bool,
    },
    /// Print the AsyncAPI document: the messages on the stream
    Asyncapi,
    /// Manage API keys
    Keys {
        #[command(subcommand)]
        command: keys::Command,
    },
    /// Manage tenants
    Tenants {
        #[command(subcommand)]
        command: tenants::Command,
    },
    /// Keep the address and API key of a gateway for later commands
    Login(login::Options),
    /// Forget them
    Logout(login::Forget),
    #[command(flatten)]
    Integrator(integrator::Command),
    /// Read the stream over NATS
    Stream {
        #[command(subcommand)]
        command: stream::Command,
    },
    /// Verify and export the audit
    Audit {
        #[command(subcommand)]
        command: audit::Command,
    },
    /// Render templates from standard input; the gateway starts itself with this command
    #[command(hide = true)]
    Sandbox {
        /// Memory limit of a template, in MiB
        #[arg(long)]
        memory_mb: u64,
    },
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: Shell,
    },
}

/// Prints why the command failed.
pub fn fail(error: &str) -> ExitCode {
    // If it cannot be printed, the exit status still says that it failed.
    let _ = writeln!(std::io::stderr(), "billwire: {error}");
    ExitCode::FAILURE
}

impl Cli {
    /// The memory limit of a template in bytes, if this process is a sandbox. A sandbox needs no runtime, no configuration, and none of
    /// the secrets in it.
    pub fn sandbox(&self) -> Option<u64> {
        match self.command {
            Command::Sandbox { memory_mb } => Some(memory_mb << 20),
            _ => None,
        }
    }
}

/// Runs a command.
///
/// # Errors
/// One line that says what is wrong and what to do.
pub async fn run(cli: Cli) -> Result<(), String> {
    match cli.command {
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "billwire", &mut std::io::stdout());
            Ok(())
        }
        Command::Openapi { three_one } => {
            let document = if three_one { billwire_api::openapi_31() } else { billwire_api::openapi() };
            print_json(&document)
        }
        Command::Asyncapi => print_json(&billwire_api::asyncapi(&billwire_api::openapi(), billwire_app::PUBLIC_URL)),
        Command::Serve { roles, listen } => {
            let settings = settings(cli.config.as_deref(), listen)?;
            let log = telemetry::start(&settings.log)?;
            serve(settings, &log, if roles.is_empty() { roles::ALL.to_vec() } else { roles }).await
        }
        Command::Dev { listen, once } => {
            let settings = settings(cli.config.as_deref(), listen)?;
            dev(settings, once).await
        }
        // `main` handles it before the runtime starts.
        Command::Sandbox { .. } => Ok(()),
        Command::Listen(options) => listen::run(options, cli.output).await,
        Command::Migrate => {
            let settings = settings(cli.config.as_deref(), None)?;
            database::open(&settings).await?;
            answer(cli.output, "the database is migrated to this version", json!({ "migrated": true }))
        }
        Command::Recover(options) => recover::run(&settings(cli.config.as_deref(), None)?, options, cli.output).await,
        Command::Tenants { command } => tenants::run(command, cli.output).await,
        Command::Login(options) => login::run(options, cli.output).await,
        Command::Logout(options) => login::forget(&options, cli.output),
        Command::Integrator(command) => integrator::run(command, cli.output).await,
        Command::Stream { command } => stream::run(command, cli.output).await,
        Command::Audit { command } => audit::run(&settings(cli.config.as_deref(), None)?, command, cli.output).await,
        Command::Keys { command } => keys::run(|| settings(cli.config.as_deref(), None), command, cli.output).await,
    }
}

fn settings(file: Option<&std::path::Path>, listen: Option<std::net::SocketAddr>) -> Result<Settings, String> {
    let mut settings = config::read(file)?;
    if let Some(listen) = listen {
        settings.listen = listen;
    }
    Ok(settings)
}

async fn serve(settings: Settings, log: &telemetry::Log, roles: Vec<Role>) -> Result<(), String> {
    let mut signals = Signals::catch()?;
    let lock = data_dir::lock(&settings.data_dir)?;
    let needs_nats = roles.contains(&Role::Relay) || roles.contains(&Role::Consumers);
    // The API alone uses a configured NATS server to read the stream. It does not start a private one.
    let uses_nats = needs_nats || (roles.contains(&Role::Api) && settings.nats_url.is_some());
    let (nats, child) = if uses_nats { nats_access::configured_or_private(&settings).await? } else { (NatsAccess::default(), None) };
    if let Some(child) = &child {
        tracing::info!(url_file = %child.url_file.display(), "a private nats-server runs");
    }
    let running = roles::start(&settings, &roles, nats, log.lines.clone(), lock).await?;
    if let Some(key) = &running.new_admin_key
        && writeln!(std::io::stdout(), "admin API key (shown once): {key}").is_err()
    {
        tracing::error!("the admin API key could not be printed; create another one with `billwire keys create`");
    }
    if let Some(address) = running.address {
        tracing::info!(%address, "listening");
    }
    signals.stopped().await;
    tracing::info!("stopping");
    let lock = running.stop().await;
    if let Some(child) = child {
        child.stop().await;
    }
    // Only now may another process use the data directory.
    drop(lock);
    Ok(())
}

#[cfg(feature = "dev")]
use crate::dev::run as dev;

#[cfg(not(feature = "dev"))]
async fn dev(_: Settings, _: bool) -> Result<(), String> {
    Err("`billwire dev` is not part of this build; use a build with the cargo feature `dev`, which is on by default".to_owned())
}

/// Ctrl-C and SIGTERM, caught from the moment of creation: a stop during the start is a clean stop too.
pub struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    /// Starts to catch the signals.
    ///
    /// # Errors
    /// When the operating system refuses.
    pub fn catch() -> Result<Self, String> {
        let catch = |kind| signal(kind).map_err(|e| format!("signals: {e}"));
        Ok(Self { interrupt: catch(SignalKind::interrupt())?, terminate: catch(SignalKind::terminate())? })
    }

    /// Resolves when one of the signals arrives.
    pub async fn stopped(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
