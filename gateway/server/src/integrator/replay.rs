//! `billwire replay`.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::sleep;

use super::when::When;
use crate::{
    api_client::{Gateway, text},
    output::{Output, answer},
};

/// What to send again.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Id of the subscription
    subscription: String,
    /// The beginning of the window, such as 2027-01-04T09:30:00Z or 2h (ago)
    #[arg(long)]
    from: When,
    /// The end of the window; absent: now
    #[arg(long)]
    to: Option<When>,
    /// Only events of these types; patterns such as invoice.* too
    #[arg(long, value_delimiter = ',')]
    types: Vec<String>,
    /// Only count what would be sent
    #[arg(long)]
    dry_run: bool,
    /// Return once the replay is accepted, instead of waiting until it has looked at all events
    #[arg(long)]
    no_wait: bool,
    #[command(flatten)]
    gateway: Gateway,
}

/// How often the replay is asked how far it is.
const EVERY: Duration = Duration::from_millis(500);

/// Starts a replay, and waits until all events were looked at.
///
/// # Errors
/// One line that says what is wrong and what to do.
pub async fn run(options: Options, output: Output) -> Result<(), String> {
    let Options { subscription, from, to, types, dry_run, no_wait, gateway } = options;
    let api = gateway.api().await?;
    let mut order = json!({ "subscriptionId": subscription, "from": from.wire(), "dryRun": dry_run, "eventTypes": types });
    if let Some(to) = to {
        order["to"] = to.wire().into();
    }
    let mut replay = api.post("/v1/replays", order).await?;
    while !no_wait && replay["state"] == "collecting" {
        sleep(EVERY).await;
        replay = api.get(&format!("/v1/replays/{}", text(&replay, "id"))).await?;
    }
    answer(output, &told(&replay, dry_run), replay)
}

fn told(replay: &Value, dry_run: bool) -> String {
    let counts = format!("{} of {} events match", replay["matched"], replay["lookedAt"]);
    if dry_run {
        return format!("{counts}; nothing is sent");
    }
    let (id, state) = (text(replay, "id"), text(replay, "state"));
    format!("replay {id} is {state}: {counts}; `billwire deliveries list --subscription …` shows what becomes of them")
}
