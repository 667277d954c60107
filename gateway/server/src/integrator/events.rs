//! `billwire events` and `billwire explain`.

use std::num::NonZeroUsize;

use clap::Subcommand;
use serde_json::{Value, json};

use super::{table::table, when::When};
use crate::{
    api_client::{Gateway, text},
    output::{Output, answer, print_json},
};

/// What to do with events.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List events, newest first
    List(Box<List>),
    /// Show an event whole
    Show {
        /// Id of the event
        event: String,
        #[command(flatten)]
        gateway: Gateway,
    },
}

/// Which events to list.
#[derive(Debug, clap::Args)]
pub struct List {
    /// Only events of this type, or of a pattern such as 'invoice.*'
    #[arg(long = "type")]
    kind: Option<String>,
    /// Only events of this account, by id or external id
    #[arg(long)]
    account: Option<String>,
    /// Only events with this ordering key
    #[arg(long)]
    ordering_key: Option<String>,
    /// Only events of this object, by id
    #[arg(long)]
    object: Option<String>,
    /// Only events at or after this time, such as 2027-01-04T09:30:00Z or 2h (ago)
    #[arg(long)]
    from: Option<When>,
    /// Only events before this time
    #[arg(long)]
    to: Option<When>,
    /// How many events at most
    #[arg(long, default_value = "50")]
    limit: NonZeroUsize,
    #[command(flatten)]
    gateway: Gateway,
}

/// Which event to explain.
#[derive(Debug, clap::Args)]
pub struct Explain {
    /// Id of the event
    event: String,
    #[command(flatten)]
    gateway: Gateway,
}

/// The query parameters that are given.
pub(super) fn given<'g>(parameters: &'g [(&'g str, Option<String>)]) -> Vec<(&'g str, &'g str)> {
    parameters.iter().filter_map(|(name, value)| Some((*name, value.as_deref()?))).collect()
}

/// Runs a command.
///
/// # Errors
/// One line that says what is wrong and what to do.
pub async fn run(command: Command, output: Output) -> Result<(), String> {
    match command {
        Command::List(list) => {
            let List { kind, account, ordering_key, object, from, to, limit, gateway } = *list;
            let (from, to) = (from.map(When::wire), to.map(When::wire));
            let query = [("type", kind), ("account", account), ("key", ordering_key), ("objectId", object), ("from", from), ("to", to)];
            let items = gateway.api().await?.first("/v1/events", &given(&query), limit.get()).await?;
            let rows: Vec<Vec<String>> = items.iter().map(row).collect();
            answer(output, &table(&["TIME", "TYPE", "ID", "ABOUT"], &rows), json!({ "items": items }))
        }
        Command::Show { event, gateway } => print_json(&gateway.api().await?.get(&format!("/v1/events/{event}")).await?),
    }
}

fn row(event: &Value) -> Vec<String> {
    let about = event["data"]["parameters"]["account.name"].as_str().unwrap_or(text(event, "subject"));
    [text(event, "time"), text(event, "type"), text(event, "id"), about].map(str::to_owned).to_vec()
}

/// Shows what an event met.
///
/// # Errors
/// One line that says what is wrong and what to do.
pub async fn explain(Explain { event, gateway }: Explain, output: Output) -> Result<(), String> {
    let told = gateway.api().await?.get(&format!("/v1/events/{event}/explanation")).await?;
    answer(output, &explained(&told), told)
}

fn explained(told: &Value) -> String {
    let not = |member: &str| if told[member] == true { "" } else { "not " };
    let (on_stream, in_warehouse) = (not("onStream"), not("inWarehouse"));
    let (kind, id) = (text(told, "eventType"), text(told, "eventId"));
    let mut lines = vec![format!("{kind}  {id}: {on_stream}on the stream, {in_warehouse}in the warehouse")];
    if told["setAside"] == true {
        lines.push("set aside: it, or an earlier event of its ordering key, is too large for the stream".to_owned());
    }
    for queue in told["queues"].as_array().into_iter().flatten() {
        let registered = if queue["registered"] == true { "" } else { ", which does not carry the type" };
        let paused = if queue["paused"] == true { ", paused" } else { "" };
        lines.push(format!("queue '{}'{registered}{paused}", text(queue, "name")));
        for one in queue["subscriptions"].as_array().into_iter().flatten() {
            let reason = one["reason"].as_str().map(|reason| format!(": {reason}")).unwrap_or_default();
            let delivery = &one["delivery"];
            let delivered = if delivery.is_null() {
                String::new()
            } else {
                format!("; delivery {} {} (attempts: {})", text(delivery, "id"), text(delivery, "state"), delivery["attemptCount"])
            };
            lines.push(format!("  subscription '{}': {}{reason}{delivered}", text(one, "name"), text(one, "verdict")));
        }
    }
    for delivery in told["furtherDeliveries"].as_array().into_iter().flatten() {
        lines.push(format!("further delivery {}: {}", text(delivery, "id"), text(delivery, "state")));
    }
    lines.join("\n")
}
