//! The predefined templates: one per lifecycle event, in plain text and HTML.
//!
//! All are generated from one table, so they share one form: a subject, a sentence, and the relevant values, each omitted if the event
//! does not have it. They report in the third person, for a tenant's staff and customers alike.

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

/// The predefined templates, in the order of the table.
pub fn all() -> &'static [Predefined] {
    static ALL: LazyLock<Vec<Predefined>> = LazyLock::new(|| FACTS.iter().map(made).collect());
    &ALL
}

/// The contents for one event type: event type, subject, sentence, and labelled parameters.
struct Facts(&'static str, &'static str, &'static str, &'static [(&'static str, &'static str)]);

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

const FACTS: &[Facts] = &[
    Facts(
        "account.status_changed",
        "{{ account.name }} is now {{ account.status }}",
        "The status of account {{ account.name }} has changed to {{ account.status }}.",
        &[
            ("Account", "account.name"),
            ("Account id", "account.externalId"),
            ("Status", "account.status"),
            ("Reason", "account.statusReason"),
        ],
    ),
    Facts(
        "account.cancelled",
        "Account {{ account.name }} was cancelled",
        "The account {{ account.name }} was cancelled.",
        &[("Account", "account.name"), ("Account id", "account.externalId"), ("Reason", "account.statusReason")],
    ),
    Facts(
        "account.bill_cycle_change_planned",
        "{{ account.name }} changes its bill cycle",
        "The account {{ account.name }} will be billed in another cycle.",
        &[("Current bill cycle", "account.billCycle"), ("Next bill cycle", "account.plannedBillCycle"), ("From", "account.plannedFrom")],
    ),
    Facts(
        "account.bill_cycle_change_cancelled",
        "{{ account.name }} keeps its bill cycle",
        "The planned change of bill cycle of account {{ account.name }} was cancelled.",
        &[("Bill cycle", "account.billCycle"), ("Billing period ends on", "account.periodEnd")],
    ),
    Facts(
        "account.bill_cycle_changed",
        "{{ account.name }} has a new bill cycle",
        "The account {{ account.name }} is now billed in another cycle.",
        &[
            ("Bill cycle", "account.billCycle"),
            ("Billing period begins on", "account.periodStart"),
            ("Billing period ends on", "account.periodEnd"),
        ],
    ),
    Facts(
        "account.billing_failed",
        "{{ account.name }} could not be billed",
        "The bill run could not bill the account {{ account.name }}.",
        &[
            ("Account", "account.name"),
            ("Account id", "account.externalId"),
            ("Bill run", "billRun.id"),
            ("Error", "billingError.message"),
            ("Code", "billingError.code"),
        ],
    ),
    Facts(
        "bill_run.started",
        "A bill run of {{ billRun.billCycle }} has started",
        "The bill run of {{ billRun.billCycle }} has started.",
        &[
            ("Bill cycle", "billRun.billCycle"),
            ("Billing date", "billRun.billingDate"),
            ("Accounts", "billRun.accounts"),
            ("Started", "billRun.startedAt"),
        ],
    ),
    Facts(
        "bill_run.completed",
        "The bill run of {{ billRun.billCycle }} is complete",
        "The bill run of {{ billRun.billCycle }} is complete.",
        &[
            ("Bill cycle", "billRun.billCycle"),
            ("Billing date", "billRun.billingDate"),
            ("Accounts", "billRun.accounts"),
            ("Invoices", "billRun.invoices"),
            ("Accounts that failed", "billRun.failed"),
            ("Completed", "billRun.completedAt"),
        ],
    ),
    Facts(
        "invoice.posted",
        "Invoice {{ invoice.number }} for {{ invoice.total|money(invoice.currency) }}",
        "An invoice was posted for {{ account.name }}.",
        INVOICE,
    ),
    Facts(
        "invoice.delivered",
        "Invoice {{ invoice.number }} was delivered",
        "The invoice {{ invoice.number }} of {{ account.name }} was delivered.",
        INVOICE,
    ),
    Facts(
        "invoice.delivery_offset_reached",
        "Invoice {{ invoice.number }}: {{ invoice.offsetDays }} days since delivery",
        "The invoice {{ invoice.number }} of {{ account.name }} was delivered {{ invoice.offsetDays }} days ago and is open.",
        INVOICE,
    ),
    Facts(
        "invoice.overdue",
        "Invoice {{ invoice.number }} is overdue: {{ invoice.amountDue|money(invoice.currency) }}",
        "The invoice {{ invoice.number }} of {{ account.name }} was not paid in time.",
        INVOICE,
    ),
    Facts(
        "invoice.paid",
        "Invoice {{ invoice.number }} is paid",
        "The invoice {{ invoice.number }} of {{ account.name }} is paid in full. Thank you.",
        INVOICE,
    ),
    Facts(
        "invoice.cancelled",
        "Invoice {{ invoice.number }} was cancelled",
        "The invoice {{ invoice.number }} of {{ account.name }} was cancelled; no payment is due.",
        INVOICE,
    ),
    Facts(
        "payment.processed",
        "Payment of {{ payment.amount|money(payment.currency) }} received",
        "A payment for {{ account.name }} was received. Thank you.",
        &[
            ("Account", "account.name"),
            ("Amount", "payment.amount"),
            ("Method", "payment.method"),
            ("Received", "payment.receivedAt"),
            ("Not yet allocated", "payment.unallocated"),
        ],
    ),
    Facts(
        "payment.failed",
        "Payment of {{ payment.amount|money(payment.currency) }} failed",
        "A payment for {{ account.name }} could not be processed.",
        &[
            ("Account", "account.name"),
            ("Amount", "payment.amount"),
            ("Method", "payment.method"),
            ("Error", "paymentError.message"),
            ("Code", "paymentError.code"),
        ],
    ),
    Facts("refund.processed", "{{ refund.amount|money(refund.currency) }} refunded", "A refund was paid to {{ account.name }}.", REFUND),
    Facts(
        "credit.processed",
        "A credit of {{ credit.amount|money(credit.currency) }}",
        "The account {{ account.name }} received a credit.",
        &[("Account", "account.name"), ("Credit", "credit.amount"), ("Not yet used", "credit.remaining"), ("Reason", "credit.reason")],
    ),
    Facts(
        "contract.under_commit",
        "{{ account.name }} is below its contract commitment",
        "The period of contract {{ contract.name }} has ended with less spend than committed.",
        &[
            ("Account", "account.name"),
            ("Contract", "contract.name"),
            ("Period begins on", "contract.periodStart"),
            ("Period ends on", "contract.periodEnd"),
            ("Commitment", "contract.commit"),
            ("Spent", "contract.spend"),
            ("Shortfall", "contract.shortfall"),
        ],
    ),
    Facts(
        "package.status_changed",
        "{{ package.name }} is now {{ package.status }}",
        "The package {{ package.name }} of {{ account.name }} is now {{ package.status }}.",
        PACKAGE,
    ),
    Facts(
        "package.cancelled",
        "{{ package.name }} was cancelled",
        "The package {{ package.name }} of {{ account.name }} was cancelled.",
        PACKAGE,
    ),
    Facts(
        "service.state_changed",
        "{{ service.name|default('A service') }} is now {{ service.status }}",
        "A service of {{ account.name }} is now {{ service.status }}.",
        &[
            ("Account", "account.name"),
            ("Service", "service.name"),
            ("Type", "service.type"),
            ("Status", "service.status"),
            ("Previous status", "service.previousStatus"),
            ("Reason", "service.statusReason"),
            ("Package", "package.name"),
        ],
    ),
    Facts(
        "usage_threshold.exceeded",
        "{{ account.name }} has exceeded a threshold of {{ bucket.name }}",
        "The account {{ account.name }} has exceeded a threshold of {{ bucket.name }}.",
        &[
            ("Account", "account.name"),
            ("Allowance", "bucket.name"),
            ("Used", "bucket.used"),
            ("Of", "bucket.size"),
            ("Remaining", "bucket.remaining"),
            ("Unit", "bucket.unit"),
            ("Package", "package.name"),
        ],
    ),
    Facts(
        "usage_identifier.dormant",
        "{{ usageIdentifier.value }} has not been used for {{ usageIdentifier.dormantAfterDays }} days",
        "A usage identifier of {{ account.name }} has not been used for some time.",
        &[
            ("Account", "account.name"),
            ("Usage identifier", "usageIdentifier.value"),
            ("Kind", "usageIdentifier.kind"),
            ("Last used on", "usageIdentifier.lastUsageOn"),
            ("Service", "service.name"),
        ],
    ),
    Facts(
        "chargeable_event.adjusted",
        "A charge of {{ account.name }} was adjusted",
        "A charge of {{ account.name }} was adjusted.",
        &[
            ("Account", "account.name"),
            ("Charge", "chargeableEvent.description"),
            ("Type", "chargeableEvent.type"),
            ("Amount", "chargeableEvent.amount"),
            ("Charged", "chargeableEvent.occurredAt"),
        ],
    ),
    Facts(
        "webhook_endpoint.disabled",
        "The webhook endpoint {{ webhookEndpoint.name }} was disabled",
        "The webhook endpoint {{ webhookEndpoint.name }} no longer receives events. Its events wait; enable the endpoint again when its \
         receiver works again.",
        &[("Endpoint", "webhookEndpoint.name"), ("URL", "webhookEndpoint.url"), ("Reason", "webhookEndpoint.disabledBecause")],
    ),
];

const INVOICE: &[(&str, &str)] = &[
    ("Account", "account.name"),
    ("Invoice", "invoice.number"),
    ("Total", "invoice.total"),
    ("Paid", "invoice.amountPaid"),
    ("Amount due", "invoice.amountDue"),
    ("Issued on", "invoice.issuedOn"),
    ("Due on", "invoice.dueOn"),
];

const REFUND: &[(&str, &str)] =
    &[("Account", "account.name"), ("Refund", "refund.amount"), ("Reason", "refund.reason"), ("Method of the payment", "payment.method")];

const PACKAGE: &[(&str, &str)] = &[
    ("Account", "account.name"),
    ("Package", "package.name"),
    ("Status", "package.status"),
    ("Reason", "package.statusReason"),
    ("Begins on", "package.startDate"),
    ("Ends on", "package.endDate"),
];

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
        for (one, facts) in all().iter().zip(FACTS) {
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
