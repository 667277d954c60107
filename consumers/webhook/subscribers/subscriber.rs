//! Reads a stream subscription of Billwire: takes each event once, tells which events come late, goes on where it was.
//!
//! `subscriber URL API_KEY INBOX_PREFIX CONSUMER`; `getStreamSubscription` names the URL, the inbox prefix and the consumer. Needs async-nats,
//! futures, serde_json and tokio. Reads until it is stopped.

use std::{
    collections::{HashMap, HashSet},
    io::{self, Write},
    time::Duration,
};

use async_nats::{
    ConnectOptions,
    jetstream::{self, consumer::PullConsumer},
};
use futures::StreamExt;
use serde_json::{Value, json};

#[derive(Default)]
struct Events {
    /// In production: a table whose primary key is the id.
    seen: HashSet<String>,
    /// The highest sequence of each key.
    last: HashMap<String, String>,
}

impl Events {
    /// Takes an event once. Whoever stores events does all of this in one transaction: the effect, the id and the sequence.
    fn take(&mut self, event: &Value) -> io::Result<()> {
        let text = |name: &str| event[name].as_str().unwrap_or_default().to_owned();
        let (id, key, sequence) = (text("id"), text("partitionkey"), text("sequence"));
        if self.seen.contains(&id) {
            return Ok(());
        }
        let last = self.last.entry(key.clone()).or_default();
        // Sequences have leading zeros, so they compare as texts. A late event must not replace newer state.
        let late = sequence < *last;
        writeln!(io::stdout(), "{}", json!({ "id": id, "type": text("type"), "key": key, "sequence": sequence, "late": late }))?;
        if !late {
            *last = sequence;
        }
        self.seen.insert(id);
        Ok(())
    }
}

// [read]
async fn read([url, key, inbox_prefix, consumer]: &[String; 4], events: &mut Events) -> Result<(), async_nats::Error> {
    // Any user name will do: the key alone counts.
    let options = ConnectOptions::with_user_and_password("billing-events".to_owned(), key.to_owned()).custom_inbox_prefix(inbox_prefix);
    let stream = jetstream::new(options.connect(url).await?);
    let consumer: PullConsumer = stream.get_consumer_from_stream(consumer, "BILLING").await?;
    let mut messages = consumer.messages().await?;
    while let Some(message) = messages.next().await {
        let message = message?;
        events.take(&serde_json::from_slice::<Value>(&message.payload)?)?;
        // Only now: an event that is not acknowledged within 30 seconds comes again, also after a crash.
        message.ack().await?;
    }
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), async_nats::Error> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: [String; 4] = arguments.try_into().map_err(|_| "usage: subscriber URL API_KEY INBOX_PREFIX CONSUMER")?;
    let mut events = Events::default();
    loop {
        if let Err(error) = read(&arguments, &mut events).await {
            // Clients give up when the server ends their connection, which it does once a day, or refuses it, as while the gateway restarts.
            writeln!(io::stderr(), "NATS: {error}")?;
        }
        tokio::time::sleep(Duration::from_secs(5)).await;
    }
}
// [/read]
