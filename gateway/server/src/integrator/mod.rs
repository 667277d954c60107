//! Commands for who integrates: what happened, what became of it, and again, please. All of them call the public API.

mod deliveries;
mod events;
mod replay;
mod table;
mod trigger;
mod when;

use clap::Subcommand;

use crate::output::Output;

/// What to do with events and their deliveries.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List events, and show one
    Events {
        #[command(subcommand)]
        command: events::Command,
    },
    /// Show which queues and subscriptions an event met, and what became of each delivery
    Explain(events::Explain),
    /// List deliveries, show one with its attempts, and retry one
    Deliveries {
        #[command(subcommand)]
        command: deliveries::Command,
    },
    /// List deliveries that were given up, and redrive or discard them
    DeadLetters {
        #[command(subcommand)]
        command: deliveries::DeadLetters,
    },
    /// Send the events of a time window to a subscription again
    Replay(replay::Options),
    /// Send an example of an event type to a webhook endpoint, or an event of a type of your own through the whole gateway
    Trigger(trigger::Options),
}

/// Runs a command.
///
/// # Errors
/// One line that says what is wrong and what to do.
pub async fn run(command: Command, output: Output) -> Result<(), String> {
    match command {
        Command::Events { command } => events::run(command, output).await,
        Command::Explain(options) => events::explain(options, output).await,
        Command::Deliveries { command } => deliveries::run(command, output).await,
        Command::DeadLetters { command } => deliveries::dead_letters(command, output).await,
        Command::Replay(options) => replay::run(options, output).await,
        Command::Trigger(options) => trigger::run(options, output).await,
    }
}
