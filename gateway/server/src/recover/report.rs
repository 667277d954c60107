//! What `billwire recover` says.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::found::Found;

/// What was found and done.
pub(super) struct Report {
    pub found: Found,
    /// The file with the events that a new epoch leaves out.
    pub left_out: Option<PathBuf>,
    /// What was done, if anything was.
    pub taken_back: Option<TakenBack>,
}

/// What was taken back.
pub(super) struct TakenBack {
    pub transactions: u64,
    /// Objects that were not restored.
    pub not_restored: usize,
    /// The file with them, and with what the stream lacks.
    pub list: PathBuf,
}

/// What no event carries.
const NEVER_TAKEN_BACK: &[&str] = &[
    "configuration (queues, subscriptions, endpoints, accounts of SMTP, templates, event types, data sources, billing settings, API keys)",
    "business transactions without events",
    "replies to idempotency keys: a request that is repeated is performed again",
    "deliveries with their attempts, dead letters, and retries that were waiting: `replayEvents` delivers a time window again",
    "parameters for e-mail only, such as contacts",
    "which accounts a bill run found nothing to bill for: the run looks at them again",
];

impl Report {
    /// For people.
    pub fn text(&self) -> String {
        let found = &self.found;
        if found.is_nothing() {
            return "the stream and the warehouse have nothing that the database lacks; there is nothing to recover".to_owned();
        }
        let mut lines = vec![format!(
            "the stream has {} events of {} business transactions that the database lacks:",
            found.events,
            found.transactions()
        )];
        for (tenant, lack) in &found.tenants {
            let time = |at: Option<billwire_schemas::clock::Timestamp>| at.map(|at| at.to_rfc3339()).unwrap_or_default();
            lines.push(format!(
                "  tenant {tenant}: {} business transactions, {} events, from {} to {}",
                lack.transactions,
                lack.events,
                time(lack.first),
                time(lack.last)
            ));
        }
        if !found.gaps.is_empty() {
            lines.push(format!("the stream itself lacks some of them: {} gaps", found.gaps.len()));
        }
        if let Some(known) = found.known_once {
            lines.push(format!("the database has known the stream up to sequence {known}, and knows it up to {} now", found.after));
        }
        if !found.batches.is_empty() {
            lines.push(format!("the warehouse has {} batches that the database does not know", found.batches.len()));
        }
        if found.only_loaded > 0 {
            lines.push(format!(
                "the warehouse has {} events that neither the database nor the stream has; they cannot be taken back",
                found.only_loaded
            ));
        }
        lines.push(format!("the database has {} events that are not published; they are kept and published later", found.unpublished));
        match (&self.taken_back, &self.left_out) {
            (Some(taken), _) => {
                lines.push(format!("taken back: {} business transactions with their events and objects", taken.transactions));
                lines.push(format!(
                    "objects that were not restored, and gaps: {}, see {}",
                    taken.not_restored + found.gaps.len(),
                    taken.list.display()
                ));
                lines.push("not taken back, since no event carries it:".to_owned());
                lines.extend(NEVER_TAKEN_BACK.iter().map(|what| format!("  {what}")));
                lines.push("start the gateway".to_owned());
            }
            (None, Some(list)) => {
                lines.push(format!(
                    "a new epoch has begun; the events that are left out stay at receivers and in the warehouse: {}",
                    list.display()
                ));
                lines.push("start the gateway".to_owned());
            }
            (None, None) => {
                lines.push("nothing was changed. Choose one:".to_owned());
                lines.push(
                    "  billwire recover --take-back   stores them again from the stream, with their objects; it cannot take back:"
                        .to_owned(),
                );
                lines.extend(NEVER_TAKEN_BACK.iter().map(|what| format!("    {what}")));
                lines.push(
                    "  billwire recover --new-epoch   leaves them out and lists them; all numbers go on past those that were used"
                        .to_owned(),
                );
            }
        }
        lines.join("\n")
    }

    /// For programs.
    pub fn json(&self) -> Value {
        let found = &self.found;
        let tenants = found.tenants.iter().map(|(tenant, lack)| {
            json!({ "tenant": tenant, "transactions": lack.transactions, "events": lack.events, "from": lack.first, "to": lack.last })
        });
        json!({
            "missing": {
                "transactions": found.transactions(), "events": found.events, "tenants": tenants.collect::<Vec<_>>(), "gaps": found.gaps.len(),
                "afterStreamSequence": found.after, "toStreamSequence": found.end,
            },
            "onlyInWarehouse": found.only_loaded,
            "unknownBatches": found.batches.len(),
            "unpublishedEvents": found.unpublished,
            "takenBack": self.taken_back.as_ref().map(|taken| json!({
                "transactions": taken.transactions, "objectsNotRestored": taken.not_restored, "list": taken.list,
            })),
            "newEpoch": self.left_out.as_ref().map(|list| json!({ "list": list })),
            "neverTakenBack": NEVER_TAKEN_BACK,
        })
    }
}
