//! `replayEvents`, `getReplay`, `listReplays`, `cancelReplay`: past events, delivered to a subscription again.

use std::sync::Arc;

use async_trait::async_trait;
use billwire_domain::{Rejected, Violation, delivery::subscription::Subscription};
use billwire_schemas::{
    clock::{Clock, ShiftedClock, Timestamp},
    ids::{OrderingKey, ReplayId, TenantId, fresh},
    refusal::Code,
};
use billwire_store::{
    Tx,
    commit::{Failure, Unit},
    delivery::replays::{Replay, State, Tally},
    idempotency::{Claim, Reply},
    page::{Page, PageRequest},
};
use serde::Serialize;

use crate::{App, Purgeable, RequestContext, configuration::referenced, events::catalogue, execute::json};

/// The replay to start.
#[derive(Debug, Clone)]
pub struct NewReplay {
    /// Id of the subscription, as the client sent it.
    pub subscription: String,
    /// Start of the window (inclusive).
    pub from: Timestamp,
    /// End of the window (exclusive); absent: now.
    pub to: Option<Timestamp>,
    /// Only events of these types; empty: all types that the subscription selects.
    pub event_types: Vec<String>,
    /// Whether to only count the events.
    pub dry_run: bool,
}

/// A replay with its progress, as the API returns it.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ReplayStatus {
    id: ReplayId,
    subscription_id: String,
    from: Timestamp,
    to: Timestamp,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    event_types: Vec<String>,
    dry_run: bool,
    state: &'static str,
    progress: f64,
    looked_at: u64,
    matched: u64,
    delivered: u64,
    waiting: u64,
    dead: u64,
    discarded: u64,
    created_at: Timestamp,
}

impl ReplayStatus {
    fn of(replay: Replay, tally: Tally) -> Self {
        let left = replay.last_position - replay.cursor;
        let all = replay.last_position - replay.cursor + i64::try_from(replay.looked_at).unwrap_or(0);
        let state = match replay.state {
            State::Cancelled => "cancelled",
            State::Collecting => "collecting",
            State::Collected if tally.waiting > 0 => "delivering",
            State::Collected => "completed",
        };
        let owed = if replay.dry_run { 0 } else { replay.matched };
        Self {
            id: replay.id,
            subscription_id: replay.subscription.to_string(),
            from: replay.from,
            to: replay.to,
            event_types: replay.event_types,
            dry_run: replay.dry_run,
            state,
            progress: if replay.state == State::Collecting && all > 0 { 1.0 - left as f64 / all as f64 } else { 1.0 },
            looked_at: replay.looked_at,
            matched: replay.matched,
            delivered: owed.saturating_sub(tally.waiting + tally.dead + tally.discarded),
            waiting: tally.waiting,
            dead: tally.dead,
            discarded: tally.discarded,
            created_at: replay.created_at,
        }
    }
}

enum What {
    Start(NewReplay),
    Cancel(String),
}

struct Order {
    context: RequestContext,
    clock: Arc<ShiftedClock>,
    what: What,
}

#[async_trait]
impl Unit for Order {
    fn tenant(&self) -> &TenantId {
        &self.context.caller.tenant
    }
    fn keys(&self) -> Vec<OrderingKey> {
        vec![OrderingKey::CONFIGURATION]
    }
    fn claim(&self) -> Option<&Claim> {
        self.context.claim.as_ref()
    }
    async fn decide(&self, tx: &mut Tx<'_>) -> Result<Reply, Failure> {
        let now = self.clock.now();
        let replay = match &self.what {
            What::Start(new) => start(tx, new, now).await?,
            What::Cancel(id) => cancel(tx, id, now).await?,
        };
        let body = serde_json::to_string(&ReplayStatus::of(replay, Tally::default())).map_err(json)?;
        Ok(Reply { status: 202, body, entity: None, secret: false, replayed: false })
    }
}

async fn start(tx: &mut Tx<'_>, new: &NewReplay, now: Timestamp) -> Result<Replay, Failure> {
    let subscription: Subscription = referenced(tx, "/subscriptionId", Code::SubscriptionUnknown, &new.subscription).await?;
    let to = new.to.unwrap_or(now);
    let mut broken = catalogue::of(tx).await?.unknown_types(&new.event_types);
    if new.from >= to {
        broken.push(Violation::new("/from", Code::WindowEmpty, format!("The window ends at {to} and must start before that.")));
    }
    if let Some(rejected) = Rejected::from_violations(broken) {
        return Err(rejected.into());
    }
    if let Some(first) = tx.events_purged_before().await?.filter(|first| new.from < *first) {
        return Err(Rejected::window_purged(first).into());
    }
    let replay = Replay {
        id: ReplayId(fresh()),
        tenant: tx.tenant().clone(),
        subscription: subscription.id,
        from: new.from,
        to,
        event_types: new.event_types.clone(),
        dry_run: new.dry_run,
        state: State::Collecting,
        cursor: 0,
        last_position: 0,
        looked_at: 0,
        matched: 0,
        created_at: now,
    };
    Ok(tx.start_replay(replay).await?)
}

async fn cancel(tx: &mut Tx<'_>, id: &str, now: Timestamp) -> Result<Replay, Failure> {
    let missing = || Failure::from(missing(id));
    let found = tx.replay(id.parse().map_err(|_| missing())?).await?.ok_or_else(missing)?;
    if found.state == State::Cancelled {
        return Err(Rejected::conflict(Code::ReplayCancelled, "The replay is already cancelled.").into());
    }
    tx.cancel_replay(found.id, now).await?;
    Ok(Replay { state: State::Cancelled, ..found })
}

fn missing(id: &str) -> Rejected {
    Rejected::not_found(Code::ReplayNotFound, "replay", id)
}

impl App {
    /// Starts a replay.
    ///
    /// # Errors
    /// `subscription_unknown`, `event_type_unknown`, `window_empty`, `purged`, or a database failure.
    pub async fn start_replay(&self, context: RequestContext, new: NewReplay) -> Result<Reply, Failure> {
        self.store.commit(Arc::new(Order { context, clock: self.clock.clone(), what: What::Start(new) })).await
    }

    /// Cancels a replay.
    ///
    /// # Errors
    /// `replay_not_found`, `purged`, `replay_cancelled`, or a database failure.
    pub async fn cancel_replay(&self, context: RequestContext, id: &str) -> Result<Reply, Failure> {
        let tenant = context.caller.tenant.clone();
        match self.store.commit(Arc::new(Order { context, clock: self.clock.clone(), what: What::Cancel(id.to_owned()) })).await {
            Err(Failure::Rejected(refused)) if refused.code == Code::ReplayNotFound => {
                Err(self.absent(&tenant, Purgeable::Replays, id).await?.into())
            }
            done => done,
        }
    }

    /// A replay with its progress.
    ///
    /// # Errors
    /// `replay_not_found`, `purged`, or a database failure.
    pub async fn replay(&self, tenant: &TenantId, id: &str) -> Result<ReplayStatus, Failure> {
        let found = match id.parse() {
            Ok(id) => self.store.replay(tenant, id).await?,
            Err(_) => None,
        };
        let Some(found) = found else { return Err(self.absent(tenant, Purgeable::Replays, id).await?.into()) };
        let tally = self.store.tallies(&[found.id]).await?.remove(&found.id).unwrap_or_default();
        Ok(ReplayStatus::of(found, tally))
    }

    /// A page of replays, newest first.
    ///
    /// # Errors
    /// A database failure.
    pub async fn list_replays(&self, tenant: &TenantId, page_request: PageRequest) -> Result<Page<ReplayStatus>, Failure> {
        let page = self.store.list_replays(tenant, page_request).await?;
        let ids: Vec<ReplayId> = page.items.iter().map(|one| one.id).collect();
        let mut tallies = self.store.tallies(&ids).await?;
        let status = |one: Replay| {
            let tally = tallies.remove(&one.id).unwrap_or_default();
            ReplayStatus::of(one, tally)
        };
        Ok(Page { items: page.items.into_iter().map(status).collect(), next: page.next })
    }
}
