//! The predefined templates: one per lifecycle event, in plain text and HTML.
//!
//! All are generated from tables of one form, one per subject, so they share one form: a subject, a sentence, and the relevant values, each omitted if the event
//! does not have it. They report in the third person, for a tenant's staff and customers alike.

mod accounts;
mod billing;
mod services;

use std::{fmt::Write, sync::LazyLock};

use super::Template;

/// The template of one event type.
#[derive(Debug)]
pub struct Predefined {
    /// The event type the template is for.
    pub event_type: &'static str,
    /// The parts, in English.
    pub template: Template,
}

/// The predefined templates, in the order of the tables.
pub fn all() -> &'static [Predefined] {
    static ALL: LazyLock<Vec<Predefined>> = LazyLock::new(|| facts().map(made).collect());
    &ALL
}

/// The contents for one event type: event type, subject, sentence, and labelled parameters.
struct Facts(&'static str, &'static str, &'static str, &'static [(&'static str, &'static str)]);

/// The contents for all event types.
fn facts() -> impl Iterator<Item = &'static Facts> {
    [accounts::FACTS, billing::FACTS, services::FACTS].into_iter().flatten()
}

/// The template expression that prints a parameter, with its filter if it needs one.
fn expression(parameter: &str) -> String {
    let group = parameter.split('.').next().unwrap_or_default();
    let filter = match parameter {
        "invoice.total"
        | "invoice.amountDue"
        | "invoice.amountPaid"
        | "payment.amount"
        | "payment.unallocated"
        | "refund.amount"
        | "credit.amount"
        | "credit.remaining"
        | "contract.commit"
        | "contract.spend"
        | "contract.shortfall"
        | "package.recurringFee"
        | "chargeableEvent.amount" => format!("|money({group}.currency)"),
        name if name.ends_with("On") || name.ends_with("Date") || name.ends_with("From") || name.ends_with("periodStart") => "|date".into(),
        name if name.ends_with("periodEnd") || name == "billRun.billingDate" => "|date".to_owned(),
        name if name.ends_with("At") || name.ends_with("Since") || name.ends_with("dateTime") => "|datetime".to_owned(),
        "bucket.size" | "bucket.used" | "bucket.remaining" | "billRun.accounts" | "billRun.invoices" | "billRun.failed" => "|number".into(),
        _ => String::new(),
    };
    format!("{{{{ {parameter}{filter} }}}}")
}

fn made(Facts(event_type, subject, sentence, values): &Facts) -> Predefined {
    let mut text = format!("{sentence}\n\n");
    let mut rows = String::new();
    for (label, parameter) in *values {
        let value = expression(parameter);
        // Writing to a string cannot fail.
        let _ = write!(text, "{{% if {parameter} is defined %}}{label}: {value}\n{{% endif %}}");
        let _ = writeln!(
            rows,
            "{{% if {parameter} is defined %}}<tr><td style=\"padding:8px 12px 8px 0;color:#5b6472;vertical-align:top;width:40%\">{label}</td>\
             <td style=\"padding:8px 0;color:#1c2430;font-weight:600;word-break:break-word\">{value}</td></tr>{{% endif %}}"
        );
    }
    let text = format!("{text}\n-- \n{{{{ event.name }}}}, {{{{ current.dateTime|datetime }}}}\n{{{{ tenant.name }}}}\n");
    let html = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{subject}</title>\n</head>\n\
         <body style=\"margin:0;padding:0;background:#eef1f5\">\n\
         <table role=\"presentation\" width=\"100%\" cellpadding=\"0\" cellspacing=\"0\" style=\"background:#eef1f5\"><tr>\
         <td align=\"center\" style=\"padding:24px 12px\">\n\
         <table role=\"presentation\" width=\"100%\" cellpadding=\"0\" cellspacing=\"0\" style=\"max-width:600px;background:#ffffff;\
         border-radius:8px;font-family:Helvetica,Arial,sans-serif;font-size:15px;line-height:1.5\">\n\
         <tr><td style=\"padding:24px 28px 0;color:#5b6472;font-size:13px\">{{{{ tenant.name }}}}</td></tr>\n\
         <tr><td style=\"padding:4px 28px 0\"><h1 style=\"margin:0;font-size:20px;line-height:1.3;color:#1c2430\">{subject}</h1></td></tr>\n\
         <tr><td style=\"padding:12px 28px 4px;color:#1c2430\">{sentence}</td></tr>\n\
         <tr><td style=\"padding:8px 28px 20px\"><table role=\"presentation\" width=\"100%\" cellpadding=\"0\" cellspacing=\"0\" \
         style=\"border-top:1px solid #dfe4ea;font-size:14px\">\n{rows}</table></td></tr>\n\
         <tr><td style=\"padding:14px 28px 20px;border-top:1px solid #dfe4ea;color:#5b6472;font-size:12px\">{{{{ event.name }}}}, \
         {{{{ current.dateTime|datetime }}}}</td></tr>\n</table>\n</td></tr></table>\n</body>\n</html>\n"
    );
    Predefined { event_type, template: Template { subject: (*subject).to_owned(), text, html: Some(html) } }
}

#[cfg(test)]
mod tests {
    use chrono_tz::Tz;

    use super::*;
    use crate::{
        events::{
            catalogue::{self, Family},
            envelope::Parameters,
        },
        template::{Locale, check, render},
    };

    #[test]
    fn every_lifecycle_event_has_one_that_suits_it() {
        for event in catalogue::all().filter(|event| event.family == Family::Lifecycle) {
            let found = all().iter().find(|one| one.event_type == event.name).unwrap_or_else(|| panic!("{} has none", event.name));
            let offered: Vec<&str> = event.offers().map(|(parameter, _)| parameter.name).collect();
            assert_eq!(check(&found.template, &offered), Ok(()), "{}", event.name);
        }
        assert!(all().iter().all(|one| catalogue::find(one.event_type).is_some_and(|event| event.family == Family::Lifecycle)));
    }

    #[test]
    fn each_can_be_read_with_all_values_and_with_none_but_those_its_subject_names() {
        for (one, facts) in all().iter().zip(facts()) {
            let event = catalogue::find(one.event_type).expect("known");
            let offered: Parameters = event.offers().map(|(parameter, _)| (parameter.name.to_owned(), parameter.value())).collect();
            let told = Template { subject: facts.1.to_owned(), text: facts.2.to_owned(), html: None }.names();
            let always = |name: &str| told.contains(name) || matches!(name, "event.name" | "current.dateTime" | "tenant.name");
            let few: Parameters =
                offered.iter().filter(|(name, _)| always(name)).map(|(name, value)| (name.clone(), value.clone())).collect();
            for (parameters, rows) in
                [(&offered, facts.3.len()), (&few, facts.3.iter().filter(|(_, name)| few.contains_key(*name)).count())]
            {
                let read = render(&one.template, parameters, &Locale::new("en-GB", Tz::Europe__London)).expect(one.event_type);
                assert!(!read.text.contains("{{") && !read.text.contains("\n\n\n\n"), "{}:\n{}", one.event_type, read.text);
                assert_eq!(read.html.unwrap_or_default().matches("<tr><td style=\"padding:8px 12px").count(), rows, "{}", one.event_type);
            }
        }
    }
}
