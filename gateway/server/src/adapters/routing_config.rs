//! The configuration as the delivery engine needs it. Pure.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use billwire_delivery::{
    channel::Action,
    event::{self, CalculatedMember},
    limits::{limiters::Target, retry_plan::RetryPlan},
    store::Queue,
};
use billwire_schemas::{
    expression::Expression,
    ids::{QueueId, SmtpAccountId, TenantId},
};
use billwire_store::Stored;
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

fn target_of(tenant: &TenantId, endpoint: &WebhookEndpoint, limits: &Limits, partitions: u32) -> Target {
    let waits = |waits: &Vec<u32>| RetryPlan::of_waits(waits.iter().map(|wait| Duration::from_secs(u64::from(*wait))));
    Target {
        id: endpoint.id.0,
        tenant: tenant.clone(),
        enabled: endpoint.enabled,
        in_flight_max: endpoint.max_in_flight.map_or(limits.endpoint_in_flight, |max| max as usize),
        per_second: endpoint.max_per_second,
        retry_plan: endpoint.retry_waits.as_ref().map(waits),
        disable_when_failing: true,
        partitions,
    }
}

fn target_of_account(tenant: &TenantId, account: &SmtpAccount, partitions: u32) -> Target {
    Target {
        id: account.id.0,
        tenant: tenant.clone(),
        enabled: true,
        in_flight_max: account.connections as usize,
        per_second: account.max_per_second,
        retry_plan: None,
        disable_when_failing: false,
        partitions,
    }
}

/// The queues, each with its subscriptions and their targets.
pub fn queues(
    queues: Vec<Stored<domain::delivery::queue::Queue>>,
    mut by_queue: HashMap<QueueId, Vec<Arc<event::Subscription>>>,
    endpoints: &[Stored<WebhookEndpoint>],
    accounts: &[Stored<SmtpAccount>],
    limits: &Limits,
) -> Vec<Arc<Queue>> {
    // The number of partitions that share the limits of each tenant and of each target.
    let mut of_tenants: HashMap<TenantId, u32> = HashMap::new();
    let mut of_targets: HashMap<Uuid, u32> = HashMap::new();
    let called = |queue: QueueId| -> HashSet<Uuid> {
        by_queue.get(&queue).into_iter().flatten().filter_map(|subscription| subscription.action.target).collect()
    };
    let called: Vec<HashSet<Uuid>> = queues.iter().map(|queue| called(queue.body.id)).collect();
    for (queue, called) in queues.iter().zip(&called) {
        *of_tenants.entry(queue.tenant.clone()).or_default() += queue.body.partitions;
        for target in called {
            *of_targets.entry(*target).or_default() += queue.body.partitions;
        }
    }
    let partitions = |target: Uuid| of_targets.get(&target).copied().unwrap_or(0);
    let endpoints = endpoints.iter().map(|stored| target_of(&stored.tenant, &stored.body, limits, partitions(stored.body.id.0)));
    let accounts = accounts.iter().map(|stored| target_of_account(&stored.tenant, &stored.body, partitions(stored.body.id.0)));
    let targets: HashMap<Uuid, Arc<Target>> = endpoints.chain(accounts).map(|target| (target.id, Arc::new(target))).collect();
    let tenant_limits = |tenant: &TenantId| Target {
        id: Uuid::nil(),
        tenant: tenant.clone(),
        enabled: true,
        in_flight_max: limits.tenant_in_flight,
        per_second: limits.tenant_per_second,
        retry_plan: None,
        disable_when_failing: false,
        partitions: of_tenants.get(tenant).copied().unwrap_or(1),
    };
    let tenants: HashMap<TenantId, Arc<Target>> =
        of_tenants.keys().map(|tenant| (tenant.clone(), Arc::new(tenant_limits(tenant)))).collect();
    queues
        .into_iter()
        .zip(called)
        .map(|(stored, called)| {
            let body = stored.body;
            Arc::new(Queue {
                id: body.id,
                tenant_limits: tenants.get(&stored.tenant).cloned().unwrap_or_else(|| Arc::new(tenant_limits(&stored.tenant))),
                tenant: stored.tenant,
                in_order: body.mode == domain::delivery::queue::Mode::InOrder,
                registered: body.registered,
                paused: body.paused,
                partitions: body.partitions,
                created_at: stored.created_at,
                subscriptions: by_queue.remove(&body.id).unwrap_or_default(),
                targets: called.iter().filter_map(|target| targets.get(target).cloned()).collect(),
            })
        })
        .collect()
}
