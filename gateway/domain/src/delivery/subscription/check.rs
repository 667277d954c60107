//! Validates a subscription against the events that can reach it. Reports all violations.

use std::collections::BTreeMap;

use billwire_schemas::{
    destination,
    events::{
        parameters::{did_you_mean, is_offered},
        selection::{is_pattern, means},
    },
    expression::Expression,
    recipient::Recipient,
    refusal::Code,
    template::{self, FAULTS_MAX, Reading, Template},
};
use serde_json::Value;

use super::{Action, EXPRESSIONS_MAX, Subscription};
use crate::{
    delivery::routing::Routing,
    email::notification_template::NotificationTemplate,
    events::{
        catalogue::{Catalogue, Known},
        custom_event_type::{OrderedBy, PREFIX},
    },
    rejected::Violation,
};

/// An event type that can arrive: the parameters open to webhooks and expressions, and all parameters, which e-mail can use.
struct Coming {
    name: String,
    open: Vec<String>,
    all: Vec<String>,
}

/// All violations of a subscription, given the events that can reach its queue: `event_type_unknown`, `event_object_unknown`,
/// `event_type_not_on_queue`, `expression_syntax`, `expression_too_complex`, `expression_unknown_parameter`, `too_many_expressions`,
/// `parameter_name_invalid`, `parameter_name_taken`, `event_type_not_custom`, `ordering_key_required`, `data_incomplete`,
/// `path_invalid`, and those of [`template::check()`], at most [`FAULTS_MAX`].
pub fn faults(subscription: &Subscription, template: Option<&NotificationTemplate>, routing: &Routing<'_>) -> Vec<Violation> {
    let mut broken = not_carried(subscription, routing);
    let coming: Vec<Coming> = routing.types_of(subscription).into_iter().filter_map(|name| offers(routing.catalogue, name)).collect();
    if let Some(filter) = &subscription.filter {
        expression("/filter".to_owned(), filter, &coming, &mut broken);
    }
    added(subscription, &coming, &mut broken);
    match &subscription.action {
        Action::Webhook { path: Some(path), .. } => path_names(path, subscription, &coming, &mut broken),
        Action::Calculate { event_type, data } => {
            if data.len() > EXPRESSIONS_MAX {
                broken.push(too_many("/action/data"));
            }
            for (name, source) in data {
                expression(format!("/action/data/{name}"), source, &coming, &mut broken);
            }
            published(event_type, data.keys().map(String::as_str), &coming, routing.catalogue, &mut broken);
        }
        Action::Email { .. } => recipient_names(subscription, &coming, &mut broken),
        _ => {}
    }
    if let Some(template) = template {
        let own: Vec<String> = subscription.parameters.keys().cloned().collect();
        let parts: Vec<Template> = template.all_parts().map(|(_, parts)| parts).collect();
        let read: Vec<Reading<'_>> = parts.iter().map(Reading::of).collect();
        broken.extend(coming.iter().flat_map(|coming| template_faults(template, &read, coming, &own)).take(FAULTS_MAX));
    }
    broken
}

fn offers(catalogue: &Catalogue, name: String) -> Option<Coming> {
    let offers = catalogue.offers(catalogue.find(&name)?);
    let open = offers.iter().filter(|offer| !offer.email_only).map(|offer| offer.name.clone()).collect();
    Some(Coming { name, open, all: offers.into_iter().map(|offer| offer.name).collect() })
}

/// Checks expressions on their own, without event types: `expression_syntax`, `expression_too_complex`.
pub fn syntax(filter: Option<&str>, parameters: &BTreeMap<String, String>, action: Option<&BTreeMap<String, String>>) -> Vec<Violation> {
    let named = |place: &'static str, named: &BTreeMap<String, String>| -> Vec<(String, String)> {
        named.iter().map(|(name, source)| (format!("{place}/{name}"), source.clone())).collect()
    };
    let filter = filter.filter(|filter| !filter.is_empty()).map(|filter| ("/filter".to_owned(), filter.to_owned()));
    let all = filter
        .into_iter()
        .chain(named("/parameters", parameters))
        .chain(action.map(|data| named("/action/data", data)).unwrap_or_default());
    let mut broken = Vec::new();
    for (pointer, source) in all {
        expression(pointer, &source, &[], &mut broken);
    }
    broken
}

/// Selected events that do not exist or cannot arrive.
fn not_carried(subscription: &Subscription, routing: &Routing<'_>) -> Vec<Violation> {
    let mut broken = routing.catalogue.unknown(&subscription.chosen);
    let carried = routing.carried(subscription.queue_id);
    let queue = routing.queues.iter().find(|queue| queue.id == subscription.queue_id).map_or("", |queue| queue.name.as_str());
    for (index, entry) in subscription.chosen.event_types.iter().enumerate() {
        if is_pattern(entry) || routing.catalogue.find(entry).is_none() || carried.iter().any(|kind| means(entry, kind)) {
            continue;
        }
        let hint = did_you_mean(entry, carried.iter().map(String::as_str));
        let message = format!("Queue '{queue}' does not carry '{entry}'.{hint}");
        broken.push(Violation::new(format!("/eventTypes/{index}"), Code::EventTypeNotOnQueue, message));
    }
    broken
}

fn too_many(pointer: &'static str) -> Violation {
    Violation::new(pointer, Code::TooManyExpressions, format!("At most {EXPRESSIONS_MAX} expressions are allowed."))
}

/// Compiles an expression and checks it against every type that can arrive; reports each unknown parameter once.
fn expression(pointer: String, source: &str, coming: &[Coming], broken: &mut Vec<Violation>) {
    let known = |compiled: Expression| compiled.ensure_known_functions().map(|()| compiled);
    let compiled = match Expression::compile(source).and_then(known) {
        Ok(compiled) => compiled,
        Err(fault) => return broken.push(Violation::new(pointer, fault.code, format!("Invalid expression: {}.", fault.message))),
    };
    let mut codes = Vec::new();
    for coming in coming {
        for fault in compiled.check(&coming.name, &coming.open).err().unwrap_or_default() {
            let name = fault.message.split('\'').nth(1).unwrap_or_default().to_owned();
            if !codes.contains(&name) {
                codes.push(name);
                broken.push(Violation::new(pointer.clone(), fault.code, format!("{}.", fault.message)));
            }
        }
    }
}

/// `name` or `group.name`.
fn is_name(name: &str) -> bool {
    let word = |word: &str| {
        let mut bytes = word.bytes();
        bytes.next().is_some_and(|first| first.is_ascii_lowercase()) && bytes.all(|byte| byte.is_ascii_alphanumeric())
    };
    name.len() <= 64 && name.split('.').count() <= 2 && name.split('.').all(word)
}

/// Checks the parameters that the subscription adds.
fn added(subscription: &Subscription, coming: &[Coming], broken: &mut Vec<Violation>) {
    if subscription.parameters.len() > EXPRESSIONS_MAX {
        broken.push(too_many("/parameters"));
    }
    for (name, source) in &subscription.parameters {
        let pointer = format!("/parameters/{name}");
        if !is_name(name) {
            let message = format!("'{name}' is not a parameter name, such as 'region' or 'sales.region'.");
            broken.push(Violation::new(pointer.clone(), Code::ParameterNameInvalid, message));
        } else if let Some(has) = coming.iter().find(|coming| coming.all.contains(name)) {
            let message = format!("{} already offers '{name}'.", has.name);
            broken.push(Violation::new(pointer.clone(), Code::ParameterNameTaken, message));
        }
        expression(pointer, source, coming, broken);
    }
}

/// The names between braces in a path; `None` if the braces are unbalanced.
pub(super) fn placeholders(path: &str) -> Option<Vec<&str>> {
    let (mut names, mut rest) = (Vec::new(), path);
    while let Some((before, after)) = rest.split_once('{') {
        let (name, left) = after.split_once('}')?;
        if before.contains('}') || name.contains('{') {
            return None;
        }
        names.push(name);
        rest = left;
    }
    (!rest.contains('}')).then_some(names)
}

fn path_names(path: &str, subscription: &Subscription, coming: &[Coming], broken: &mut Vec<Violation>) {
    if let Some(fault) = destination::path_fault(path) {
        broken.push(Violation::new("/action/path", Code::PathInvalid, format!("Invalid path: {fault}.")));
    }
    let Some(names) = placeholders(path) else {
        return broken.push(Violation::new("/action/path", Code::PathInvalid, "Unbalanced braces; write a parameter as {name}."));
    };
    for name in names.into_iter().filter(|name| !subscription.parameters.contains_key(*name)) {
        if let Some(lacking) = coming.iter().find(|coming| !is_offered(&coming.open, name)) {
            let hint = did_you_mean(name, lacking.open.iter().map(String::as_str));
            let message = format!("{} does not offer '{name}'.{hint}", lacking.name);
            broken.push(Violation::new("/action/path", Code::ExpressionUnknownParameter, message));
        }
    }
}

/// Checks that every event type that can arrive offers the parameters that name recipients; e-mail-only parameters count.
fn recipient_names(subscription: &Subscription, coming: &[Coming], broken: &mut Vec<Violation>) {
    for (pointer, recipient) in subscription.action.recipients() {
        let Recipient::Parameter(name) = recipient else { continue };
        if subscription.parameters.contains_key(name) {
            continue;
        }
        if let Some(lacking) = coming.iter().find(|coming| !is_offered(&coming.all, name)) {
            let hint = did_you_mean(name, lacking.all.iter().map(String::as_str));
            let message = format!("{} does not offer '{name}'.{hint}", lacking.name);
            broken.push(Violation::new(pointer, Code::ExpressionUnknownParameter, message));
        }
    }
}

/// Checks the custom type that a calculation publishes.
fn published<'d>(
    event_type: &str,
    members: impl Iterator<Item = &'d str> + Clone,
    coming: &[Coming],
    catalogue: &Catalogue,
    broken: &mut Vec<Violation>,
) {
    let pointer = "/action/eventType";
    let kind = match catalogue.find(event_type) {
        Some(Known::Custom(kind)) => kind,
        Some(Known::BuiltIn(_)) => {
            let message = format!("Only the platform publishes '{event_type}'; a calculation must publish a {PREFIX}* type.");
            return broken.push(Violation::new(pointer, Code::EventTypeNotCustom, message));
        }
        None => return broken.push(catalogue.unknown_type(pointer.to_owned(), event_type)),
    };
    if kind.ordering_key == Some(OrderedBy::Account)
        && let Some(without) = coming.iter().find(|coming| !coming.open.iter().any(|name| name == "account.id"))
    {
        let message = format!("Events of '{event_type}' need an account, but {} has none.", without.name);
        broken.push(Violation::new(pointer, Code::OrderingKeyRequired, message));
    }
    let required = kind.schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    for lacking in required.filter(|name| !members.clone().any(|member| member == *name)) {
        let message = format!("'{event_type}' requires the member '{lacking}'.");
        broken.push(Violation::new("/action/data", Code::DataIncomplete, message));
    }
}

fn template_faults(template: &NotificationTemplate, read: &[Reading<'_>], coming: &Coming, own: &[String]) -> Vec<Violation> {
    let offered: Vec<&str> = coming.all.iter().chain(own).map(String::as_str).collect();
    let faults: Vec<template::Fault> = read.iter().flat_map(|parts| parts.faults(&offered)).collect();
    let violation = |fault: template::Fault| {
        let message = format!("Template '{}' does not fit {}: {}", template.name, coming.name, fault.message);
        Violation::new("/action/notificationTemplateId", fault.code, message)
    };
    faults.into_iter().map(violation).collect()
}
