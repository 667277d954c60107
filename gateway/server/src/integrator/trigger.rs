//! `billwire trigger`.

use serde_json::{Value, json};

use crate::{
    api_client::{Api, Gateway, text},
    output::{Output, answer},
};

/// What to send, and where.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// The event type
    event_type: String,
    /// Send its example to this webhook endpoint, by id or name; absent: submit an event of a type of your own (custom.…), which goes the way of
    /// all events: to the stream, the queues and their subscriptions
    #[arg(long)]
    endpoint: Option<String>,
    /// The data of the submitted event, as JSON; absent: that of the type's example
    #[arg(long, conflicts_with = "endpoint")]
    data: Option<String>,
    /// The account of the submitted event, by id or external id
    #[arg(long, conflicts_with = "endpoint")]
    account: Option<String>,
    /// The ordering key of the submitted event, if it has no account
    #[arg(long, conflicts_with_all = ["endpoint", "account"])]
    ordering_key: Option<String>,
    #[command(flatten)]
    gateway: Gateway,
}

/// What a type of a tenant's own begins with. No event of another type is made up: operations alone cause them.
const OWN: &str = "custom.";

/// Sends an example, or submits an event.
///
/// # Errors
/// One line that says what is wrong and what to do.
pub async fn run(options: Options, output: Output) -> Result<(), String> {
    let api = options.gateway.api().await?;
    match &options.endpoint {
        Some(endpoint) => test(&api, endpoint, &options.event_type, output).await,
        None if options.event_type.starts_with(OWN) => submit(&api, &options, output).await,
        None => Err(format!(
            "{}: events of the platform's own types come from operations alone; --endpoint sends an example of one to a webhook endpoint",
            options.event_type
        )),
    }
}

async fn test(api: &Api, endpoint: &str, event_type: &str, output: Output) -> Result<(), String> {
    let known = api.list("/v1/webhook-endpoints").await?;
    let found = known.iter().find(|one| one["id"] == endpoint || one["name"] == endpoint);
    let id = found.map(|one| text(one, "id")).ok_or_else(|| format!("--endpoint: there is no webhook endpoint '{endpoint}'"))?;
    let tried = api.post(&format!("/v1/webhook-endpoints/{id}/test"), json!({ "eventType": event_type })).await?;
    let status = tried["status"].as_u64().map_or_else(|| "no answer".to_owned(), |status| status.to_string());
    let verdict = if tried["delivered"] == true { "delivered" } else { "not delivered" };
    answer(output, format!("{verdict}: {status} in {} ms {}", tried["latencyMs"], text(&tried, "detail")).trim_end(), tried)
}

async fn submit(api: &Api, options: &Options, output: Output) -> Result<(), String> {
    let kind = &options.event_type;
    let known = api.get(&format!("/v1/event-types/{kind}")).await?;
    let data = match &options.data {
        Some(data) => serde_json::from_str(data).map_err(|error| format!("--data: {error}"))?,
        None => known["example"]["data"]["after"].clone(),
    };
    if data.is_null() {
        return Err(format!("--data: give the data of the event; {kind} has no example"));
    }
    let mut item = json!({ "type": kind, "data": data });
    match (&options.account, &options.ordering_key) {
        (Some(account), _) => item["account"] = account.as_str().into(),
        (None, Some(key)) => item["key"] = key.as_str().into(),
        (None, None) if text(&known, "orderingKey") == "account" => return Err(format!("--account: {kind} is ordered by account")),
        (None, None) => item["key"] = "trigger".into(),
    }
    let done = api.post("/v1/events", json!({ "items": [item] })).await?;
    let event: &Value = &done["items"][0]["transaction"]["events"][0];
    let id = text(event, "id").to_owned();
    answer(output, &format!("submitted as event {id}; `billwire explain {id}` shows what becomes of it"), done)
}
