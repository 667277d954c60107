//! `billwire listen`: shows a tenant's events on a developer's machine, and forwards them, signed as in production.

use std::{io::IsTerminal, time::Duration};

use billwire_app::Signing;
use billwire_schemas::{
    clock::{Clock, SystemClock},
    events::selection::Selection,
    expression::{Expression, Scope},
    ids::{EventId, WebhookEndpointId, fresh},
};
use billwire_webhook::{Endpoint, Secret, request, unguarded_client::UnguardedClient};
use bytes::Bytes;
use chrono::Local;
use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};
use tokio::time::{Instant, sleep};
use url::Url;

use crate::{api_client::Gateway, cli::Signals, login::Profile, output::Output};

/// Which events, and where they are forwarded to.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Where each event is POSTed to, e.g. http://localhost:3000/hook; absent: events are only shown
    #[arg(long)]
    forward_to: Option<Url>,
    #[command(flatten)]
    gateway: Gateway,
    /// Only events of these types; patterns such as invoice.* too
    #[arg(long, value_delimiter = ',')]
    types: Vec<String>,
    /// Only events for which this CEL expression holds, e.g. "account.currency == 'EUR'"
    #[arg(long)]
    filter: Option<String>,
    /// Show each event whole, as JSON
    #[arg(long)]
    print: bool,
    /// The secret that forwarded events are signed with (whsec_… or whsk_…); absent: one is created and shown
    #[arg(long)]
    secret: Option<String>,
}

/// How long an API call waits for an event.
const WAIT_SECONDS: u64 = 20;
/// Timeout of a call to the developer's receiver: that of a delivery.
const FORWARD_MAX: Duration = Duration::from_secs(20);
/// Wait before the next call after the API could not be reached.
const AGAIN: Duration = Duration::from_secs(2);

/// One event that arrived.
struct Came {
    id: EventId,
    kind: String,
    about: String,
    body: Bytes,
}

struct Listener {
    options: Options,
    /// The address of the gateway.
    base: Url,
    output: Output,
    selection: Selection,
    filter: Option<Expression>,
    api: UnguardedClient,
    receiver: UnguardedClient,
    endpoint: Option<Endpoint>,
}

/// Listens until Ctrl-C.
///
/// # Errors
/// One line that says what is wrong and what to do.
pub async fn run(options: Options, output: Output) -> Result<(), String> {
    let Profile { api: base, .. } = options.gateway.profile().await?;
    for (name, url) in [("--api", Some(&base)), ("--forward-to", options.forward_to.as_ref())] {
        if url.is_some_and(|url| !["http", "https"].contains(&url.scheme()) || url.host().is_none()) {
            return Err(format!("{name} must be a complete URL, such as http://localhost:3000/hook"));
        }
    }
    let mut signals = Signals::catch()?;
    let compiled = |source: &str| {
        let compiled = Expression::compile(source).and_then(|compiled| compiled.ensure_known_functions().map(|()| compiled));
        compiled.map_err(|fault| format!("--filter: {}", fault.message))
    };
    let filter = options.filter.as_deref().map(compiled);
    let listener = Listener {
        selection: Selection { event_types: options.types.clone(), objects: Vec::new() },
        filter: filter.transpose()?,
        api: UnguardedClient::new(Duration::from_secs(WAIT_SECONDS + 10))?,
        receiver: UnguardedClient::new(FORWARD_MAX)?,
        endpoint: options.forward_to.clone().map(|url| endpoint(url, options.secret.clone(), output)).transpose()?,
        options,
        base,
        output,
    };
    tokio::select! {
        ended = listener.listen() => ended,
        () = signals.stopped() => Ok(()),
    }
}

fn endpoint(url: Url, secret: Option<String>, output: Output) -> Result<Endpoint, String> {
    let made = secret.is_none();
    let secret = match secret {
        Some(secret) => secret,
        None => Signing::Hmac.secret().map_err(|failure| failure.to_string())?.text,
    };
    if made && output == Output::Text {
        println!("events are signed with {secret} (of this run; --secret keeps one)");
    }
    let secrets = vec![Secret::parse(&secret, None).map_err(|unfit| format!("--secret: {unfit}"))?];
    Ok(Endpoint {
        id: WebhookEndpointId(fresh()),
        version: 1,
        url,
        path: None,
        secrets,
        enabled: true,
        auth: None,
        headers: Vec::new(),
        identity: None,
    })
}

impl Listener {
    async fn listen(&self) -> Result<(), String> {
        let mut cursor: Option<String> = None;
        loop {
            match self.next(cursor.as_deref()).await {
                Ok((events, next)) => {
                    if cursor.is_none() {
                        self.say(&format!("listening to {}", self.base), &json!({ "listening": true }));
                    }
                    for event in events {
                        self.handle(event).await;
                    }
                    cursor = Some(next);
                }
                Err(Fault::Refused(why)) => return Err(why),
                Err(Fault::Away(why)) => {
                    self.say(&format!("the API cannot be reached ({why}); trying again"), &json!({ "away": why }));
                    sleep(AGAIN).await;
                }
            }
        }
    }

    /// The events after `cursor`, and the next cursor.
    async fn next(&self, cursor: Option<&str>) -> Result<(Vec<Came>, String), Fault> {
        let mut url = self.base.join("/v1/events/tail").map_err(|e| Fault::Refused(format!("--api: {e}")))?;
        url.query_pairs_mut().append_pair("limit", "200").append_pair("waitSeconds", &WAIT_SECONDS.to_string());
        // The API filters by one type; several types are filtered here.
        if let [one] = self.options.types.as_slice() {
            url.query_pairs_mut().append_pair("type", one);
        }
        if let Some(cursor) = cursor {
            url.query_pairs_mut().append_pair("cursor", cursor);
        }
        // A token may have ended meanwhile.
        let Profile { key, .. } = self.options.gateway.profile().await.map_err(Fault::Away)?;
        let (status, body) = self.api.get(url, &key).await.map_err(Fault::Away)?;
        let page: Page = serde_json::from_slice(&body).unwrap_or_default();
        let detail = || page.detail.clone().unwrap_or_else(|| "no reason was given".to_owned());
        match status {
            200 => {}
            401 => return Err(Fault::Refused("the API key is not valid; give another with --key or BILLWIRE_ADMIN_KEY".to_owned())),
            status if status >= 500 || status == 429 => return Err(Fault::Away(format!("status {status}: {}", detail()))),
            status => return Err(Fault::Refused(format!("the API answered {status}: {}", detail()))),
        }
        let no_cursor = || Fault::Refused("this is not the API of a gateway: its answer has no cursor".to_owned());
        let next = page.next_cursor.ok_or_else(no_cursor)?;
        Ok((page.items.iter().filter_map(|event| self.wanted(event)).collect(), next))
    }

    fn wanted(&self, raw: &RawValue) -> Option<Came> {
        let event: Value = serde_json::from_str(raw.get()).ok()?;
        let kind = event["type"].as_str()?.to_owned();
        let chosen = self.selection.is_empty() || self.selection.takes(&kind);
        let holds = self.filter.as_ref().is_none_or(|filter| filter.holds(&Scope::of(&event)).unwrap_or(false));
        if !chosen || !holds {
            return None;
        }
        let about = event["data"]["parameters"]["account.name"].as_str().or(event["subject"].as_str()).unwrap_or_default().to_owned();
        Some(Came { id: event["id"].as_str()?.parse().ok()?, kind, about, body: raw.get().to_owned().into() })
    }

    async fn handle(&self, event: Came) {
        let Some(endpoint) = &self.endpoint else {
            return self.log(&event, None, Duration::ZERO);
        };
        let began = Instant::now();
        let answer = match request::headers(endpoint, None, event.id, &event.body, SystemClock.now()) {
            Ok(headers) => self.receiver.post(endpoint.url.clone(), headers, event.body.clone()).await.map(|(status, _)| status),
            Err(unfit) => Err(unfit.to_string()),
        };
        self.log(&event, Some(answer), began.elapsed());
    }

    fn log(&self, event: &Came, answer: Option<Result<u16, String>>, took: Duration) {
        let outcome = match &answer {
            None => String::new(),
            Some(Ok(status)) => format!("-> {status} in {} ms", took.as_millis()),
            Some(Err(why)) => format!("-> {why}"),
        };
        let good = answer.as_ref().is_none_or(|answer| answer.as_ref().is_ok_and(|status| (200..300).contains(status)));
        let outcome = match (std::io::stdout().is_terminal(), good) {
            (true, true) => format!("\x1b[32m{outcome}\x1b[0m"),
            (true, false) => format!("\x1b[31m{outcome}\x1b[0m"),
            (false, _) => outcome,
        };
        let mut line = format!("{}  {:32} {}  {}  {outcome}", Local::now().format("%H:%M:%S"), event.kind, event.id, event.about);
        let (status, error) = match answer {
            None => (None, None),
            Some(Ok(status)) => (Some(status), None),
            Some(Err(why)) => (None, Some(why)),
        };
        let mut result =
            json!({ "id": event.id, "type": event.kind, "status": status, "error": error, "latencyMs": took.as_millis() as u64 });
        line.truncate(line.trim_end().len());
        if self.options.print {
            // Every event was read as JSON before.
            let whole: Value = serde_json::from_slice(&event.body).unwrap_or_default();
            line.push_str(&format!("\n{whole:#}"));
            result["event"] = whole;
        }
        self.say(&line, &result);
    }

    fn say(&self, text: &str, value: &Value) {
        match self.output {
            Output::Text => println!("{text}"),
            Output::Json => println!("{value}"),
        }
    }
}

/// A page of the stream, or a problem.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    /// Unchanged, so that the signed and forwarded bytes are those that the gateway sends.
    #[serde(default)]
    items: Vec<Box<RawValue>>,
    next_cursor: Option<String>,
    detail: Option<String>,
}

/// Why there are no events.
enum Fault {
    /// Permanent.
    Refused(String),
    /// Temporary.
    Away(String),
}
