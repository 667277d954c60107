//! The configuration as the delivery engine needs it. Pure.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use billwire_delivery::{
    channel::Action,
    event::{self, CalculatedMember},
    limits::{limiter::Target, retry_plan::RetryPlan},
    routing::{Queue, TenantRouting},
};
use billwire_schemas::{
    expression::Expression,
    ids::{QueueId, SmtpAccountId, TenantId},
};
use uuid::Uuid;

use crate::domain::{
    self,
    delivery::{subscription::Action as Configured, webhook_endpoint::WebhookEndpoint},
    email::smtp_account::SmtpAccount,
};

/// What a channel is asked to do for a configured action, with the tenant's default SMTP account.
pub type ActionOf = fn(Configured, Option<SmtpAccountId>) -> Action;

/// The limits of calls where the configuration sets none.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Concurrent calls to one endpoint.
    pub endpoint_in_flight: usize,
    /// Concurrent calls of one tenant, to all its targets together.
    pub tenant_in_flight: usize,
    /// Calls of one tenant started in a second; `None`: no limit.
    pub tenant_per_second: Option<u32>,
}

fn compiled(source: &str) -> Result<Expression, String> {
    Expression::compile(source).map_err(|fault| fault.message)
}

pub(crate) fn calculated(named: BTreeMap<String, String>) -> Vec<CalculatedMember> {
    named.into_iter().map(|(name, source)| (name, compiled(&source))).collect()
}

/// A subscription, compiled.
pub fn subscription_of(
    tenant: TenantId,
    start_position: i64,
    body: domain::delivery::subscription::Subscription,
    default: Option<SmtpAccountId>,
    action_of: ActionOf,
) -> event::Subscription {
    event::Subscription {
        id: body.id,
        tenant,
        chosen: body.chosen,
        enabled: body.enabled,
        filter: body.filter.as_deref().map(compiled),
        parameters: calculated(body.parameters),
        blocks: body.when_given_up == domain::delivery::subscription::GivenUp::Block,
        start_position,
        action: action_of(body.action, default),
    }
}

fn target_of(tenant: &TenantId, endpoint: &WebhookEndpoint, limits: &Limits) -> Target {
    let waits = |waits: &Vec<u32>| RetryPlan::of_waits(waits.iter().map(|wait| Duration::from_secs(u64::from(*wait))));
    Target {
        id: endpoint.id.0,
        tenant: tenant.clone(),
        enabled: endpoint.enabled,
        in_flight_max: endpoint.max_in_flight.map_or(limits.endpoint_in_flight, |max| max as usize),
        per_second: endpoint.max_per_second,
        retry_plan: endpoint.retry_waits.as_ref().map(waits),
        disable_when_failing: true,
    }
}

fn target_of_account(tenant: &TenantId, account: &SmtpAccount) -> Target {
    Target {
        id: account.id.0,
        tenant: tenant.clone(),
        enabled: true,
        in_flight_max: account.connections as usize,
        per_second: account.max_per_second,
        retry_plan: None,
        disable_when_failing: false,
    }
}

/// The routing of a tenant: its queues, each with its subscriptions, and the targets that they call. `held` are the queues that are held.
pub fn tenant_routing(
    tenant: &TenantId,
    queues: Vec<domain::delivery::queue::Queue>,
    mut by_queue: HashMap<QueueId, Vec<Arc<event::Subscription>>>,
    (endpoints, accounts): (&[WebhookEndpoint], &[SmtpAccount]),
    held: &HashSet<QueueId>,
    limits: &Limits,
) -> TenantRouting {
    let called: HashSet<Uuid> = by_queue.values().flatten().filter_map(|subscription| subscription.action.target).collect();
    let endpoints = endpoints.iter().map(|endpoint| target_of(tenant, endpoint, limits));
    let accounts = accounts.iter().map(|account| target_of_account(tenant, account));
    let targets = endpoints.chain(accounts).filter(|target| called.contains(&target.id)).map(Arc::new).collect();
    let tenant_limits = Target {
        id: Uuid::new_v5(&Uuid::NAMESPACE_URL, format!("urn:billwire:tenant:{tenant}").as_bytes()),
        tenant: tenant.clone(),
        enabled: true,
        in_flight_max: limits.tenant_in_flight,
        per_second: limits.tenant_per_second,
        retry_plan: None,
        disable_when_failing: false,
    };
    let queue = |body: domain::delivery::queue::Queue| {
        Arc::new(Queue {
            id: body.id,
            tenant: tenant.clone(),
            in_order: body.mode == domain::delivery::queue::Mode::InOrder,
            registered: body.registered,
            paused: body.paused,
            held: held.contains(&body.id),
            subscriptions: by_queue.remove(&body.id).unwrap_or_default(),
        })
    };
    TenantRouting::new(queues.into_iter().map(queue).collect(), targets, Arc::new(tenant_limits))
}
