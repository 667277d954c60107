//! Reading the stream from a position on, without a durable consumer: for a person who watches it.

use std::time::Duration;

use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, PullConsumer, pull};
use futures::StreamExt;

use crate::{Bus, Error, Received};

/// How long the server keeps a consumer whose reader is gone.
const INACTIVE: Duration = Duration::from_secs(10);

impl Bus {
    /// Messages after the stream sequence `after` whose subjects match `filter`, up to `limit` in number and, if given, in bytes but one at
    /// least, waiting up to `wait` for the first. Gives them, authentic or not, with the sequence to continue after. Without `after`: no message, and the current end of
    /// the stream.
    ///
    /// # Errors
    /// When NATS is away or the stream is missing.
    pub async fn after(
        &self,
        filter: String,
        after: Option<u64>,
        (limit, bytes): (usize, Option<usize>),
        wait: Duration,
    ) -> Result<(Vec<Received>, u64), Error> {
        let unavailable = |text: String| Error::Unavailable(text);
        let mut stream = self.stream().await?;
        let end = stream.info().await.map_err(|e| unavailable(e.to_string()))?.state.last_sequence;
        let Some(after) = after else { return Ok((Vec::new(), end)) };
        if wait.is_zero() && end <= after {
            return Ok((Vec::new(), after.max(end)));
        }
        let config = pull::Config {
            filter_subject: filter,
            deliver_policy: DeliverPolicy::ByStartSequence { start_sequence: after + 1 },
            ack_policy: AckPolicy::None,
            inactive_threshold: INACTIVE,
            memory_storage: true,
            num_replicas: 1,
            ..pull::Config::default()
        };
        let consumer: PullConsumer = stream.create_consumer(config).await.map_err(|e| unavailable(e.to_string()))?;
        let (mut found, mut last) = (Vec::new(), after);
        let take = |message: async_nats::jetstream::Message, found: &mut Vec<Received>, last: &mut u64| {
            *last = message.info().map_or(*last, |info| info.stream_sequence);
            found.push(Received::open(message, &self.seal));
        };
        let first = if wait.is_zero() {
            consumer.fetch().max_messages(1).messages().await
        } else {
            consumer.batch().max_messages(1).expires(wait).messages().await
        };
        let mut first = first.map_err(|e| unavailable(e.to_string()))?;
        while let Some(message) = first.next().await {
            take(message.map_err(|e| unavailable(e.to_string()))?, &mut found, &mut last);
        }
        let left = bytes.map(|bytes| bytes.saturating_sub(found.iter().map(|message| message.body.len()).sum()));
        if !found.is_empty() && limit > 1 && left != Some(0) {
            let rest = consumer.fetch().max_messages(limit - 1);
            let rest = if let Some(left) = left { rest.max_bytes(left) } else { rest };
            let mut rest = rest.messages().await.map_err(|e| unavailable(e.to_string()))?;
            while let Some(message) = rest.next().await {
                match message {
                    Ok(message) => take(message, &mut found, &mut last),
                    // The server reports a message that exceeds the bytes as an error; the next call begins with it.
                    Err(_) if left.is_some() => break,
                    Err(error) => return Err(unavailable(error.to_string())),
                }
            }
        }
        // If nothing matched, the next call continues after the current end.
        let next = if found.is_empty() { after.max(end) } else { last };
        Ok((found, next))
    }
}
