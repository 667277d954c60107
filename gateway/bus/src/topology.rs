//! The stream's configuration, as data, and applying it.

use std::{collections::HashMap, time::Duration};

use async_nats::jetstream::{
    response::Response,
    stream::{Config, DiscardPolicy, RetentionPolicy, StorageType},
};
use billwire_schemas::{events::envelope::subjects_of, ids::TenantId};
use serde::Deserialize;

use crate::{Bus, Error};

/// The stream's name.
pub const STREAM: &str = "BILLING";
/// Its subjects.
pub const SUBJECTS: &str = "billing.>";
/// How long the server recognises a repeated event id. The relay repeats a publish within seconds; consumers drop later
/// repeats by event id, so this only saves work.
const DUPLICATE_WINDOW: Duration = Duration::from_secs(120);
/// How long messages stay unless the operator says otherwise.
pub(crate) const MAX_AGE: Duration = Duration::from_secs(30 * 24 * 3600);
/// The metadata key of the epoch.
const EPOCH: &str = "billwire-epoch";

/// The metadata key of the mark.
const MARK: &str = "billwire-published";

/// Which stream this is, and which sequences it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// A random mark, set when the stream is created: a stream that was lost and created again has another.
    pub epoch: String,
    /// The first sequence that is still there, or the next one if there is none.
    pub first_sequence: u64,
    /// The last sequence stored.
    pub last_sequence: u64,
    /// Sequences between those two that were deleted.
    pub deleted: Vec<u64>,
    /// The mark that [`Bus::set_mark`] has left.
    pub mark: Option<u64>,
    /// Whether settings of the stream differed and were put back.
    pub put_back: bool,
}

/// The server's answer to a question for the stream with the sequences that were deleted, which the client library does not read.
#[derive(Deserialize)]
struct Info {
    config: Config,
    state: Sequences,
}

#[derive(Deserialize)]
struct Sequences {
    first_seq: u64,
    last_seq: u64,
    #[serde(default)]
    deleted: Option<Vec<u64>>,
}

/// Which stream this is: its mark, empty if it has none.
pub(crate) fn epoch_of(config: &Config) -> String {
    config.metadata.get(EPOCH).cloned().unwrap_or_default()
}

fn config(replicas: usize, epoch: &str) -> Config {
    Config {
        name: STREAM.to_owned(),
        subjects: vec![SUBJECTS.to_owned()],
        storage: StorageType::File,
        // Limits, not interest or work queue: those forget consumed ids and drop messages without a consumer.
        retention: RetentionPolicy::Limits,
        discard: DiscardPolicy::Old,
        max_age: MAX_AGE,
        duplicate_window: DUPLICATE_WINDOW,
        num_replicas: replicas,
        allow_direct: true,
        allow_atomic_publish: true,
        deny_delete: false,
        description: Some("Billing events. Made and kept in shape by Billwire.".to_owned()),
        metadata: HashMap::from([(EPOCH.to_owned(), epoch.to_owned())]),
        ..Config::default()
    }
}

impl Bus {
    /// Creates the stream if it is missing, with `fresh_epoch` as its mark; otherwise puts its configuration back.
    ///
    /// # Errors
    /// When NATS is away, or the configuration cannot be updated.
    pub async fn ensure_stream(&self, fresh_epoch: &str) -> Result<State, Error> {
        // Looked up before it is created: a repeated create has made clusters take a stream for a new one (reliability notes, 1.1).
        match self.stream().await {
            Ok(_) => {}
            Err(Error::Missing(_)) => {
                let config = Config { max_age: self.max_age, ..config(self.replicas, fresh_epoch) };
                self.jetstream.create_stream(config).await.map_err(|e| Error::Unavailable(e.to_string()))?;
            }
            Err(error) => return Err(error),
        };
        let question = serde_json::json!({ "deleted_details": true });
        let info: Response<Info> =
            self.jetstream.request(format!("STREAM.INFO.{STREAM}"), &question).await.map_err(|e| Error::Unavailable(e.to_string()))?;
        let info = match info {
            Response::Ok(info) => info,
            Response::Err { error } => return Err(Error::Unavailable(error.to_string())),
        };
        let epoch = info.config.metadata.get(EPOCH).cloned().unwrap_or_else(|| fresh_epoch.to_owned());
        let put_back = self.restore_config(&info.config, Config { max_age: self.max_age, ..config(self.replicas, &epoch) }).await?;
        let mark = info.config.metadata.get(MARK).and_then(|mark| mark.parse().ok());
        let Sequences { first_seq, last_seq, deleted } = info.state;
        Ok(State { epoch, first_sequence: first_seq, last_sequence: last_seq, deleted: deleted.unwrap_or_default(), mark, put_back })
    }

    /// Deletes the messages of a tenant from the stream; gives how many there were.
    ///
    /// # Errors
    /// When NATS is away, or the stream is missing.
    pub async fn delete_messages(&self, tenant: &TenantId) -> Result<u64, Error> {
        let all = self.stream().await?.purge().filter(subjects_of(tenant)).await.map_err(|e| Error::Unavailable(e.to_string()))?;
        Ok(all.purged)
    }

    /// Leaves on the stream up to which of its sequences SQL knows what it holds.
    ///
    /// # Errors
    /// When NATS is away, or the stream is missing.
    pub async fn set_mark(&self, mark: u64) -> Result<(), Error> {
        let mut config = self.stream().await?.cached_info().config.clone();
        config.metadata.insert(MARK.to_owned(), mark.to_string());
        self.jetstream.update_stream(config).await.map_err(|e| Error::Unavailable(e.to_string()))?;
        Ok(())
    }

    /// Puts back what differs from the configuration that the gateway needs: limits that somebody set would delete messages, or refuse them. Gives
    /// whether anything did.
    async fn restore_config(&self, have: &Config, want: Config) -> Result<bool, Error> {
        if have.retention != want.retention || have.storage != want.storage {
            return Err(Error::Unsuitable(format!("stream {STREAM} exists with other storage or retention; rename or remove it")));
        }
        let unlimited = |limit: i64| limit <= 0;
        let mut differs = Vec::new();
        for (name, same) in [
            ("subjects", have.subjects == want.subjects),
            ("num_replicas", have.num_replicas == want.num_replicas),
            ("duplicate_window", have.duplicate_window == want.duplicate_window),
            ("max_age", have.max_age == want.max_age),
            ("max_msgs", unlimited(have.max_messages)),
            ("max_msgs_per_subject", unlimited(have.max_messages_per_subject)),
            ("max_bytes", unlimited(have.max_bytes)),
            ("max_msg_size", unlimited(have.max_message_size.into())),
            ("discard", have.discard == want.discard),
            ("allow_atomic", have.allow_atomic_publish),
            ("allow_direct", have.allow_direct),
            ("metadata", have.metadata.get(EPOCH) == want.metadata.get(EPOCH)),
        ] {
            if !same {
                differs.push(name);
            }
        }
        if differs.is_empty() {
            return Ok(false);
        }
        // Keeps other metadata, such as the server's own, and the limit of consumers, which a server does not change.
        let mut metadata = have.metadata.clone();
        metadata.extend(want.metadata.clone());
        let update = Config { metadata, max_consumers: have.max_consumers, ..want };
        self.jetstream.update_stream(update).await.map_err(|e| Error::Unsuitable(format!("stream {STREAM}: {e}")))?;
        tracing::warn!(settings = differs.join(", "), "the stream's configuration was changed by somebody else; it is put back");
        Ok(true)
    }
}
