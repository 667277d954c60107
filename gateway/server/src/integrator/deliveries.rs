//! `billwire deliveries` and `billwire dead-letters`.

use std::num::NonZeroUsize;

use clap::Subcommand;
use serde_json::{Value, json};

use super::{events::given, table::table, when::When};
use crate::{
    api_client::{Gateway, text},
    output::{Output, answer},
};

/// What to do with deliveries.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List deliveries, newest first
    List(Box<List>),
    /// Show a delivery with each attempt: what was sent and what came back
    Show {
        /// Id of the delivery
        delivery: String,
        #[command(flatten)]
        gateway: Gateway,
    },
    /// Try a delivery again now
    Retry {
        /// Id of the delivery
        delivery: String,
        #[command(flatten)]
        gateway: Gateway,
    },
}

/// Which deliveries to list.
#[derive(Debug, clap::Args)]
pub struct List {
    /// Only deliveries in this state: waiting, succeeded, dead, blocking or discarded
    #[arg(long)]
    state: Option<String>,
    /// Only deliveries of this event, by id
    #[arg(long)]
    event: Option<String>,
    /// Only deliveries whose latest attempt got this status code
    #[arg(long)]
    status: Option<u16>,
    #[command(flatten)]
    of: Of,
    /// How many deliveries at most
    #[arg(long, default_value = "50")]
    limit: NonZeroUsize,
    #[command(flatten)]
    gateway: Gateway,
}

/// Of what, and from when.
#[derive(Debug, clap::Args)]
pub struct Of {
    /// Only of this subscription, by id
    #[arg(long)]
    subscription: Option<String>,
    /// Only of this queue, by id
    #[arg(long)]
    queue: Option<String>,
    /// Only of events of this type, or of a pattern such as 'invoice.*'
    #[arg(long = "type")]
    kind: Option<String>,
    /// Only those first recorded at or after this time, such as 2027-01-04T09:30:00Z or 2h (ago)
    #[arg(long)]
    from: Option<When>,
    /// Only those first recorded before this time
    #[arg(long)]
    to: Option<When>,
}

impl Of {
    /// By the names of the API.
    fn named(self) -> [(&'static str, Option<String>); 5] {
        let (from, to) = (self.from.map(When::wire), self.to.map(When::wire));
        [("subscriptionId", self.subscription), ("queueId", self.queue), ("eventType", self.kind), ("from", from), ("to", to)]
    }
}

/// What to do with deliveries that were given up.
#[derive(Debug, Subcommand)]
pub enum DeadLetters {
    /// List them, newest first
    List {
        #[command(flatten)]
        of: Of,
        /// How many at most
        #[arg(long, default_value = "50")]
        limit: NonZeroUsize,
        #[command(flatten)]
        gateway: Gateway,
    },
    /// Deliver them again: those with these ids, or those that the options choose
    Redrive(Choice),
    /// Give them up for good: those with these ids, or those that the options choose
    Discard(Choice),
}

/// Dead letters.
#[derive(Debug, clap::Args)]
pub struct Choice {
    /// Ids of deliveries
    ids: Vec<String>,
    #[command(flatten)]
    of: Of,
    /// All of them
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    gateway: Gateway,
}

/// Dead letters that one call of the API handles.
const ONCE: u64 = 10_000;

/// Runs a command.
///
/// # Errors
/// One line that says what is wrong and what to do.
pub async fn run(command: Command, output: Output) -> Result<(), String> {
    match command {
        Command::List(list) => {
            let List { state, event, status, of, limit, gateway } = *list;
            let mut query = vec![("state", state), ("eventId", event), ("status", status.map(|status| status.to_string()))];
            query.extend(of.named());
            let items = gateway.api().await?.first("/v1/deliveries", &given(&query), limit.get()).await?;
            listed(items, output)
        }
        Command::Show { delivery, gateway } => {
            let shown = gateway.api().await?.get(&format!("/v1/deliveries/{delivery}")).await?;
            answer(output, &told(&shown), shown)
        }
        Command::Retry { delivery, gateway } => {
            let done = gateway.api().await?.post(&format!("/v1/deliveries/{delivery}/retry"), json!({})).await?;
            answer(output, "it is tried again now", done)
        }
    }
}

/// Runs a command.
///
/// # Errors
/// One line that says what is wrong and what to do.
pub async fn dead_letters(command: DeadLetters, output: Output) -> Result<(), String> {
    match command {
        DeadLetters::List { of, limit, gateway } => {
            let query = of.named();
            let items = gateway.api().await?.first("/v1/dead-letters", &given(&query), limit.get()).await?;
            listed(items, output)
        }
        DeadLetters::Redrive(choice) => handle(choice, "redrive", "redriven", output).await,
        DeadLetters::Discard(choice) => handle(choice, "discard", "discarded", output).await,
    }
}

/// Redrives or discards: as often as the API has to be called.
async fn handle(Choice { ids, of, all, gateway }: Choice, how: &str, done: &str, output: Output) -> Result<(), String> {
    let mut body = json!({});
    for (name, value) in of.named() {
        if let Some(value) = value {
            body[name] = value.into();
        }
    }
    if !ids.is_empty() {
        body["ids"] = ids.into();
    }
    if body == json!({}) && !all {
        return Err("which dead letters? Give their ids, an option such as --subscription, or --all".to_owned());
    }
    let (api, mut handled) = (gateway.api().await?, 0);
    loop {
        let count = api.post(&format!("/v1/dead-letters/{how}"), body.clone()).await?["deliveries"].as_u64().unwrap_or(0);
        handled += count;
        if count < ONCE {
            return answer(output, &format!("{handled} {done}"), json!({ "deliveries": handled }));
        }
    }
}

fn listed(items: Vec<Value>, output: Output) -> Result<(), String> {
    let rows: Vec<Vec<String>> = items.iter().map(row).collect();
    let headings = ["CREATED", "STATE", "TYPE", "ATTEMPTS", "LAST", "ID", "DETAIL"];
    answer(output, &table(&headings, &rows), json!({ "items": items }))
}

fn row(delivery: &Value) -> Vec<String> {
    let last = &delivery["lastAttempt"];
    let status = last["status"].as_u64().map(|status| status.to_string()).unwrap_or_default();
    let cells = [text(delivery, "createdAt"), text(delivery, "state"), text(delivery, "eventType")].map(str::to_owned);
    [&cells[..], &[delivery["attemptCount"].to_string(), status, text(delivery, "id").to_owned(), one_line(text(last, "detail"))]].concat()
}

/// Characters of a detail in a table.
const DETAIL_CHARS: usize = 60;

fn one_line(detail: &str) -> String {
    let short: String = detail.chars().take(DETAIL_CHARS).collect();
    if short.len() < detail.len() { format!("{short}…") } else { short }
}

/// A delivery and its attempts, for people.
fn told(delivery: &Value) -> String {
    let mut lines = vec![format!(
        "{}  {}: {} (attempts: {}), event {}, ordering key {}, sequence {}",
        text(delivery, "eventType"),
        text(delivery, "id"),
        text(delivery, "state"),
        delivery["attemptCount"],
        text(delivery, "eventId"),
        text(delivery, "orderingKey"),
        delivery["sequence"]
    )];
    if let Some(next) = delivery["nextAttemptAt"].as_str() {
        lines.push(format!("next attempt at {next}"));
    }
    for attempt in delivery["attempts"].as_array().into_iter().flatten() {
        let status = attempt["status"].as_u64().map_or_else(|| "no answer".to_owned(), |status| status.to_string());
        let latency = attempt["latencyMs"].as_f64().unwrap_or(0.0);
        lines.push(format!(
            "\nattempt {} at {}: {status} in {latency:.0} ms {}",
            attempt["number"],
            text(attempt, "at"),
            text(attempt, "detail")
        ));
        if let Some(url) = attempt["request"]["url"].as_str() {
            lines.push(format!("> POST {url}"));
        }
        let headers = |message: &Value| message["headers"].as_array().cloned().unwrap_or_default();
        let shown = |sign: char| move |header: &Value| format!("{sign} {}: {}", text(header, "name"), text(header, "value"));
        lines.extend(headers(&attempt["request"]).iter().map(shown('>')));
        lines.extend(headers(&attempt["response"]).iter().map(shown('<')));
        let body = text(&attempt["response"], "body");
        lines.extend(body.lines().map(|line| format!("< {line}")));
    }
    for one in delivery["recipients"].as_array().into_iter().flatten() {
        lines.push(format!("{}: {} {}", text(one, "address"), text(one, "state"), text(one, "detail")));
    }
    lines.join("\n")
}
