use billwire_schemas::{events::selection::Selection, ids::fresh};
use serde_json::json;

use super::*;
use crate::{
    delivery::queue::{Queue, tests::queue},
    events::{
        catalogue::Catalogue,
        custom_event_type::{self, CustomEventType, OrderedBy},
    },
};

pub(crate) fn subscription(queue: &Queue, action: Action) -> Subscription {
    Subscription {
        id: SubscriptionId(fresh()),
        version: 1,
        name: "s".into(),
        queue_id: queue.id,
        chosen: Selection::default(),
        filter: None,
        parameters: BTreeMap::new(),
        action,
        when_given_up: GivenUp::Skip,
        enabled: true,
        created_at: Timestamp::UNIX_EPOCH,
    }
}

fn webhook(path: Option<&str>) -> Action {
    Action::Webhook { webhook_endpoint_id: WebhookEndpointId(fresh()), path: path.map(str::to_owned) }
}

fn custom(name: &str, ordering_key: Option<OrderedBy>) -> CustomEventType {
    let register = custom_event_type::Register {
        id: billwire_schemas::ids::EventTypeId(fresh()),
        version: 1,
        name: name.into(),
        title: name.into(),
        description: None,
        ordering_key,
        schema: json!({ "type": "object", "properties": { "total": { "type": "string" } }, "required": ["total"] }),
    };
    custom_event_type::register(register, None, 0, vec![], Timestamp::UNIX_EPOCH).expect("registered").after
}

/// Pointers and codes of the violations of a subscription, modified by `change`, on a queue of these types.
fn wrong(types: &[&str], change: impl FnOnce(&mut Subscription)) -> Vec<(String, &'static str)> {
    let queues = [queue("q", types)];
    let catalogue = Catalogue::new(vec![custom("sum", Some(OrderedBy::Account)), custom("note", None)], vec![]);
    let mut one = subscription(&queues[0], webhook(None));
    change(&mut one);
    let routing = Routing { queues: &queues, subscriptions: &[], catalogue: &catalogue };
    faults(&one, None, &routing).into_iter().map(|broken| (broken.pointer.into_owned(), broken.code.as_str())).collect()
}

fn one(pointer: &str, code: &'static str) -> Vec<(String, &'static str)> {
    vec![(pointer.to_owned(), code)]
}

#[test]
fn a_filter_names_only_what_every_type_that_can_come_offers() {
    let filter = |types: &[&str], source: &str| wrong(types, |one| one.filter = Some(source.to_owned()));
    assert_eq!(filter(&["invoice.posted"], "decimal(invoice.total) > decimal('100') && event.type == 'invoice.posted'"), []);
    assert_eq!(filter(&["invoice.*"], "invoice.totl == '1'"), one("/filter", "expression_unknown_parameter"));
    assert_eq!(filter(&["invoice.posted", "account.created"], "invoice.total == '1'"), one("/filter", "expression_unknown_parameter"));
    assert_eq!(filter(&["invoice.posted"], "invoice.total =="), one("/filter", "expression_syntax"));
    assert_eq!(filter(&["account.created"], "contact.email == 'x'"), one("/filter", "expression_unknown_parameter"), "e-mail only");
}

#[test]
fn added_parameters_have_names_of_their_own() {
    let adds =
        |name: &str, source: &str| wrong(&["account.created"], |one| drop(one.parameters.insert(name.to_owned(), source.to_owned())));
    assert_eq!(adds("sales.region", "account.currency == 'EUR' ? 'EU' : 'other'"), []);
    assert_eq!(adds("account.name", "'x'"), one("/parameters/account.name", "parameter_name_taken"));
    assert_eq!(adds("Bad Name", "'x'"), one("/parameters/Bad Name", "parameter_name_invalid"));
    assert_eq!(adds("x", "nothing.here"), one("/parameters/x", "expression_unknown_parameter"));
    let many = wrong(&["account.created"], |one| one.parameters.extend((0..=EXPRESSIONS_MAX).map(|n| (format!("p{n}"), "1".to_owned()))));
    assert_eq!(many, one("/parameters", "too_many_expressions"));
}

#[test]
fn a_path_names_parameters_between_braces() {
    let path = |path: &str| wrong(&["account.created"], |one| one.action = webhook(Some(path)));
    assert_eq!(path("/accounts/{account.id}/events?type={event.type}"), []);
    assert_eq!(path("/accounts/{account.di}"), one("/action/path", "expression_unknown_parameter"));
    for broken in ["/a/{account.id", "/a/}", "/a/{{account.id}}"] {
        assert_eq!(path(broken), one("/action/path", "path_invalid"), "{broken}");
    }
}

#[test]
fn a_calculation_publishes_a_custom_type_with_all_it_requires() {
    let gives = |types: &[&str], event_type: &str, members: &[&str]| {
        let data = members.iter().map(|name| ((*name).to_owned(), "event.id".to_owned())).collect();
        wrong(types, |one| one.action = Action::Calculate { event_type: event_type.to_owned(), data })
    };
    assert_eq!(gives(&["invoice.posted"], "custom.sum", &["total"]), []);
    assert_eq!(gives(&["invoice.posted"], "custom.sum", &[]), one("/action/data", "data_incomplete"));
    assert_eq!(gives(&["bill_run.completed"], "custom.sum", &["total"]), one("/action/eventType", "ordering_key_required"));
    assert_eq!(gives(&["bill_run.completed"], "custom.note", &["total"]), []);
    assert_eq!(gives(&["invoice.posted"], "invoice.paid", &[]), one("/action/eventType", "event_type_not_custom"));
    assert_eq!(gives(&["invoice.posted"], "custom.som", &[]), one("/action/eventType", "event_type_unknown"));
}

#[test]
fn what_is_chosen_must_be_able_to_come() {
    let chosen = |entries: &[&str]| wrong(&["invoice.*", "account.created"], |one| one.chosen = Selection::of_types(entries));
    assert_eq!(chosen(&["invoice.posted", "*.created", "invoice.*"]), []);
    assert_eq!(chosen(&["payment.created"]), one("/eventTypes/0", "event_type_not_on_queue"));
    assert_eq!(chosen(&["invoice.postet"]), one("/eventTypes/0", "event_type_unknown"));
}

#[test]
fn what_an_update_does_not_name_stays_and_an_empty_filter_takes_it_away() {
    let queues = [queue("q", &["account.created"])];
    let catalogue = Catalogue::default();
    let before = Subscription { filter: Some("account.name == 'A'".into()), ..subscription(&queues[0], webhook(None)) };
    let subscriptions = [before.clone()];
    let routing = Routing { queues: &queues, subscriptions: &subscriptions, catalogue: &catalogue };
    let renamed = update(before.clone(), Update { name: Some("r".into()), ..Update::default() }, None, &routing).expect("updated").after;
    assert_eq!((renamed.version, &renamed.filter, &renamed.action), (2, &before.filter, &before.action));
    let bare = update(renamed, Update { filter: Some(String::new()), ..Update::default() }, None, &routing).expect("updated").after;
    assert_eq!(bare.filter, None);
    let cycle = Update { action: Some(Action::Forward { queue_id: queues[0].id }), ..Update::default() };
    assert_eq!(update(bare, cycle, None, &routing).unwrap_err().violations[0].code.as_str(), "forward_cycle");
}

#[test]
fn a_subscription_is_disabled_and_enabled_in_turn() {
    let made = subscription(&queue("q", &["account.created"]), webhook(None));
    assert_eq!(enable(made.clone(), true).unwrap_err().code.as_str(), "already_enabled");
    let disabled = enable(made, false).expect("disabled").after;
    assert_eq!(enable(disabled.clone(), false).unwrap_err().code.as_str(), "already_disabled");
    assert!(enable(disabled, true).expect("enabled").after.enabled);
}
