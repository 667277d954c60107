//! The events that reach a queue: those registered on it, and those that subscriptions of other queues forward to it.

use std::collections::{BTreeSet, HashSet};

use billwire_schemas::{events::selection::Selection, ids::QueueId, refusal::Code};

use crate::{
    delivery::{
        queue::Queue,
        subscription::{Action, Subscription},
    },
    events::catalogue::Catalogue,
    rejected::Rejected,
};

/// A tenant's queues and subscriptions after a planned change.
#[derive(Debug, Clone, Copy)]
pub struct Routing<'r> {
    /// All queues.
    pub queues: &'r [Queue],
    /// All subscriptions.
    pub subscriptions: &'r [Subscription],
    /// All event types.
    pub catalogue: &'r Catalogue,
}

impl Routing<'_> {
    /// The event types that can reach a queue.
    pub fn carried(&self, queue: QueueId) -> BTreeSet<String> {
        let mut carried = BTreeSet::new();
        self.collect(queue, &mut carried, &mut HashSet::new());
        carried
    }

    fn collect(&self, id: QueueId, carried: &mut BTreeSet<String>, seen: &mut HashSet<QueueId>) {
        let Some(queue) = self.queues.iter().find(|queue| queue.id == id).filter(|_| seen.insert(id)) else { return };
        carried.extend(self.catalogue.names().filter(|name| queue.registered.takes(name)).map(str::to_owned));
        for forwarding in self.subscriptions.iter().filter(|one| one.action.forwards_to() == Some(id)) {
            let mut above = BTreeSet::new();
            self.collect(forwarding.queue_id, &mut above, seen);
            carried.extend(above.into_iter().filter(|name| chosen(&forwarding.chosen, name)));
        }
    }

    /// The queues that events of `queue` are forwarded to, directly or indirectly.
    pub fn downstream(&self, queue: QueueId) -> HashSet<QueueId> {
        let mut reached = HashSet::new();
        let mut todo = vec![queue];
        while let Some(from) = todo.pop() {
            let next = self.subscriptions.iter().filter(|one| one.queue_id == from).filter_map(|one| one.action.forwards_to());
            todo.extend(next.filter(|to| reached.insert(*to)));
        }
        reached
    }

    /// The event types that can reach a subscription.
    pub fn types_of(&self, subscription: &Subscription) -> Vec<String> {
        self.carried(subscription.queue_id).into_iter().filter(|name| chosen(&subscription.chosen, name)).collect()
    }
}

/// Whether a selection includes an event type; an empty selection includes all.
pub fn chosen(choice: &Selection, kind: &str) -> bool {
    choice.is_empty() || choice.takes(kind)
}

/// Refuses an action that forwards events back to the queue they come from, directly or indirectly.
///
/// # Errors
/// `forward_cycle`.
pub fn ensure_no_cycle(routing: &Routing<'_>, from: QueueId, action: &Action) -> Result<(), Rejected> {
    let Some(to) = action.forwards_to() else { return Ok(()) };
    if to == from || routing.downstream(to).contains(&from) {
        let message = "Events forwarded to that queue would return to this queue.";
        return Err(Rejected::violation("/action/queueId", Code::ForwardCycle, message));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::{queue::tests::queue, subscription::tests::subscription};

    fn forward(from: &Queue, to: &Queue, types: &[&str]) -> Subscription {
        Subscription { chosen: Selection::of_types(types), ..subscription(from, Action::Forward { queue_id: to.id }) }
    }

    #[test]
    fn a_queue_carries_what_is_registered_and_what_is_forwarded_to_it_over_any_number_of_steps() {
        let queues = [queue("a", &["invoice.*", "account.created"]), queue("b", &["payment.created"]), queue("c", &["refund.created"])];
        let subscriptions =
            [forward(&queues[0], &queues[1], &["invoice.posted", "invoice.paid"]), forward(&queues[1], &queues[2], &["invoice.*"])];
        let catalogue = Catalogue::default();
        let routing = Routing { queues: &queues, subscriptions: &subscriptions, catalogue: &catalogue };
        let carried = |queue: &Queue| routing.carried(queue.id).into_iter().collect::<Vec<_>>();
        assert_eq!(carried(&queues[1]), ["invoice.paid", "invoice.posted", "payment.created"]);
        assert_eq!(carried(&queues[2]), ["invoice.paid", "invoice.posted", "refund.created"]);
        assert_eq!(routing.downstream(queues[0].id).len(), 2);
    }

    #[test]
    fn a_forwarding_that_leads_back_is_refused() {
        let queues = [queue("a", &["invoice.*"]), queue("b", &["payment.created"]), queue("c", &["refund.created"])];
        let subscriptions = [forward(&queues[0], &queues[1], &[]), forward(&queues[1], &queues[2], &[])];
        let catalogue = Catalogue::default();
        let routing = Routing { queues: &queues, subscriptions: &subscriptions, catalogue: &catalogue };
        let refused =
            |from: usize, to: usize| ensure_no_cycle(&routing, queues[from].id, &Action::Forward { queue_id: queues[to].id }).is_err();
        assert!(refused(0, 0) && refused(1, 0) && refused(2, 0) && refused(2, 1));
        assert!(!refused(0, 2) && !refused(0, 1));
    }
}
