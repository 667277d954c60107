//! Deliveries for the API: page by page, and one with all its attempts.

use billwire_schemas::{
    clock::Timestamp,
    delivery::{AttemptRecord, Delivery},
    events::selection::like,
    ids::{DeliveryId, EventId, OrderingKey, QueueId, ReplayId, SubscriptionId, TenantId},
};
use sea_orm::{
    ColumnTrait, Condition, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
    sea_query::{ExprTrait, LikeExpr},
};

use crate::{
    Error, Store,
    delivery::deliveries::{attempt_record, parse},
    entity::{attempt, delivery},
    micros,
    page::{After, Page, PageRequest},
};

/// Which deliveries a list contains.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Only in one of these states; empty: in any.
    pub states: Vec<String>,
    /// Only of this queue.
    pub queue: Option<QueueId>,
    /// Only of this subscription.
    pub subscription: Option<SubscriptionId>,
    /// Only of this replay.
    pub replay: Option<ReplayId>,
    /// Only of this event.
    pub event: Option<EventId>,
    /// Only of events of this type, or of types that match this pattern.
    pub event_type: Option<String>,
    /// Only of this ordering key.
    pub key: Option<OrderingKey>,
    /// Only those whose latest attempt was answered with this status code.
    pub status: Option<u16>,
    /// Only those created from this moment on.
    pub from: Option<Timestamp>,
    /// Only those created before this moment.
    pub to: Option<Timestamp>,
}

impl Filter {
    fn condition(self, tenant: &TenantId) -> Condition {
        use delivery::Column as C;
        let mut wanted = Condition::all().add(C::Tenant.eq(tenant.as_str()));
        if !self.states.is_empty() {
            wanted = wanted.add(C::State.is_in(self.states));
        }
        if let Some(event) = self.event {
            // The ids of an event's deliveries are a range.
            let (first, last) = DeliveryId::all_of(event);
            wanted = wanted.add(C::Id.between(first.0, last.0)).add(C::EventId.eq(event.0));
        }
        wanted
            .add_option(self.queue.map(|id| C::QueueId.eq(id.0)))
            .add_option(self.subscription.map(|id| C::SubscriptionId.eq(id.0)))
            .add_option(self.replay.map(|id| C::LaneId.eq(id.0)))
            .add_option(self.event_type.and_then(|kind| like(&kind)).map(|kind| C::EventType.like(LikeExpr::new(kind).escape('\\'))))
            .add_option(self.key.map(|key| C::OrderingKey.eq(key.as_str())))
            .add_option(self.status.map(|status| C::LastStatus.eq(i32::from(status))))
            .add_option(self.from.map(|from| C::CreatedAt.gte(micros(from))))
            .add_option(self.to.map(|to| C::CreatedAt.lt(micros(to))))
    }
}

impl Store {
    /// A page of deliveries, newest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn list_deliveries(&self, tenant: &TenantId, filter: Filter, page_request: PageRequest) -> Result<Page<Delivery>, Error> {
        use delivery::Column as C;
        let mut wanted = filter.condition(tenant);
        if let Some(after) = page_request.after {
            wanted = wanted.add(C::CreatedAt.lt(after.sort).or(C::CreatedAt.eq(after.sort).and(C::Id.lt(after.id))));
        }
        let find = delivery::Entity::find().filter(wanted).order_by_desc(C::CreatedAt).order_by_desc(C::Id).limit(page_request.limit + 1);
        Page::cut(find.all(&self.0.read).await?, page_request, |row| After { sort: row.created_at, id: row.id }, parse)
    }

    /// One delivery with all its attempts, oldest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn delivery(&self, tenant: &TenantId, id: DeliveryId) -> Result<Option<(Delivery, Vec<AttemptRecord>)>, Error> {
        let same = delivery::Column::Tenant.eq(tenant.as_str());
        let read = self.0.read.begin().await?;
        let Some(row) = delivery::Entity::find_by_id(id.0).filter(same).one(&*read).await? else { return Ok(None) };
        let found = parse(row)?;
        let kept =
            attempt::Entity::find().filter(attempt::Column::DeliveryId.eq(id.0)).order_by_asc(attempt::Column::Number).all(&*read).await?;
        let kept = kept.into_iter().map(|a| attempt_record(a.number, a.at, a.latency_us, a.status, a.detail, a.exchange.as_deref()));
        let mut attempts: Vec<AttemptRecord> = kept.collect::<Result<_, _>>()?;
        // A successful attempt is in the delivery's own row only.
        if let Some(last) = found.last.clone().filter(|last| attempts.iter().all(|a| a.number != last.number)) {
            attempts.push(last);
        }
        Ok(Some((found, attempts)))
    }
}
