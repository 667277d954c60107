//! Waits until every event of the story has arrived everywhere, and prints a table of the arrivals.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use billwire_schemas::{
    clock::{Clock, SystemClock, Timestamp},
    ids::EventId,
};
use chrono::TimeDelta;
use console::style;
use tokio::time::{Instant, sleep};

use crate::{Gateway, mail::Mail, receiver::Call, ring_buffer::RingBuffer, story::ExpectedEvent, terminal};

/// How long to wait without any new arrival. Longer than the leases of a killed process last and than a busy machine pauses.
const WAIT_MAX: Duration = Duration::from_secs(60);
/// How often the places are checked.
const CHECK_EVERY: Duration = Duration::from_millis(20);

/// The places where events arrive.
pub struct Places<'a, G> {
    /// The calls that the receiver took.
    pub calls: RingBuffer<Call>,
    /// The mails in the mailbox.
    pub mails: RingBuffer<Mail>,
    /// The gateway, which knows the warehouse's batches.
    pub gateway: &'a G,
}

/// Whether one event has arrived at one place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seen {
    NotExpected,
    Missing,
    /// Only calls without a valid signature arrived.
    Unsigned,
    /// It arrived this long after the operation.
    After(TimeDelta),
}

struct Row {
    kind: String,
    webhook: Seen,
    mail: Seen,
    warehouse: Seen,
}

/// What arrived of all events.
pub struct Arrivals {
    rows: Vec<Row>,
    repeats: usize,
}

impl<G: Gateway> Places<'_, G> {
    /// Waits until everything has arrived, or nothing new has arrived for [`WAIT_MAX`].
    ///
    /// # Errors
    /// When the database fails.
    pub async fn wait(&self, expected: &[ExpectedEvent]) -> Result<Arrivals, String> {
        let ids: Vec<EventId> = expected.iter().filter_map(|event| event.id.parse().ok()).collect();
        let spinner = terminal::spinner("waiting for the events to arrive");
        let (mut last, mut deadline) = (String::new(), Instant::now() + WAIT_MAX);
        let mut loaded: HashMap<EventId, Timestamp> = HashMap::new();
        loop {
            let open: Vec<EventId> = ids.iter().copied().filter(|id| !loaded.contains_key(id)).collect();
            let found = self.gateway.loaded(&open).await?;
            let now = SystemClock.now();
            loaded.extend(found.into_iter().map(|id| (id, now)));
            let arrivals = self.arrivals(expected, &loaded);
            if arrivals.missing().is_empty() || Instant::now() >= deadline {
                return Ok(arrivals);
            }
            let totals = arrivals.totals();
            if totals != last {
                spinner.set_message(totals.clone());
                (last, deadline) = (totals, Instant::now() + WAIT_MAX);
            }
            sleep(CHECK_EVERY).await;
        }
    }

    fn arrivals(&self, expected: &[ExpectedEvent], loaded: &HashMap<EventId, Timestamp>) -> Arrivals {
        let (mut calls, mails) = (self.calls.all(), self.mails.all());
        // Deliveries that an earlier run left pending arrive too. They do not belong to this story.
        let own: HashSet<&str> = expected.iter().map(|event| event.id.as_str()).collect();
        calls.retain(|call| own.contains(call.id.as_str()));
        let (mut first, mut repeats) = (HashMap::new(), 0);
        let mut unsigned = HashSet::new();
        for call in &calls {
            if call.verdict.is_err() {
                unsigned.insert(call.id.as_str());
            } else if first.contains_key(call.id.as_str()) {
                repeats += 1;
            } else {
                first.insert(call.id.as_str(), call.received_at);
            }
        }
        let mut mailed = HashMap::new();
        for mail in &mails {
            if let Some(event) = mail.event() {
                mailed.entry(event).or_insert(mail.received_at);
            }
        }
        let mut by_arrival: Vec<&ExpectedEvent> = expected.iter().collect();
        // The sort is stable: events that arrived in the same microsecond, or not at all, stay in the order of the story.
        by_arrival.sort_by_key(|event| first.get(event.id.as_str()).copied().unwrap_or(Timestamp::MAX_UTC));
        let after = |event: &ExpectedEvent, at: Option<&Timestamp>| at.map(|at| Seen::After(*at - event.at));
        let rows = by_arrival.into_iter().map(|event| {
            let bad = if unsigned.contains(event.id.as_str()) { Seen::Unsigned } else { Seen::Missing };
            let loaded_at = event.id.parse().ok().and_then(|id: EventId| loaded.get(&id));
            Row {
                kind: event.kind.clone(),
                webhook: after(event, first.get(event.id.as_str())).unwrap_or(bad),
                mail: if event.mailed { after(event, mailed.get(event.id.as_str())).unwrap_or(Seen::Missing) } else { Seen::NotExpected },
                warehouse: after(event, loaded_at).unwrap_or(Seen::Missing),
            }
        });
        Arrivals { rows: rows.collect(), repeats }
    }
}

impl Arrivals {
    /// What is expected and has not arrived, as text: place, then event. Empty if everything has arrived.
    pub fn missing(&self) -> Vec<String> {
        let at = |place: &'static str, of: fn(&Row) -> Seen| {
            self.rows.iter().filter_map(move |row| match of(row) {
                Seen::Missing => Some(format!("{place}: {}", row.kind)),
                Seen::Unsigned => Some(format!("{place}: {}, arrived without a valid signature", row.kind)),
                Seen::NotExpected | Seen::After(_) => None,
            })
        };
        at("webhook", |r| r.webhook).chain(at("e-mail", |r| r.mail)).chain(at("warehouse", |r| r.warehouse)).collect()
    }

    /// `17 of 17 webhooks, …`.
    pub fn totals(&self) -> String {
        let count = |of: fn(&Row) -> Seen| {
            let expected = self.rows.iter().filter(|row| of(row) != Seen::NotExpected).count();
            let arrived = self.rows.iter().filter(|row| matches!(of(row), Seen::After(_))).count();
            format!("{arrived} of {expected}")
        };
        let repeats = match self.repeats {
            0 => String::new(),
            n => format!(" ({n} more than once)"),
        };
        format!(
            "{} webhooks with a valid signature{repeats}, {} e-mails, {} events in the warehouse",
            count(|r| r.webhook),
            count(|r| r.mail),
            count(|r| r.warehouse)
        )
    }

    /// Prints the table, in order of arrival.
    pub fn show(&self) {
        terminal::heading("What arrived, in order of arrival (time since the operation was accepted)");
        let heading = format!("  {:<38} {:<14} {:<14} {:<14}", "event", "webhook", "e-mail", "warehouse");
        terminal::line(&style(heading.trim_end()).dim().to_string());
        for row in &self.rows {
            let cells = [row.webhook, row.mail, row.warehouse].map(cell).join(" ");
            terminal::line(format!("  {:<38} {cells}", row.kind).trim_end());
        }
        let (missing, totals) = (self.missing(), style(self.totals()));
        terminal::line("");
        terminal::line(&format!("  {}", if missing.is_empty() { totals.green() } else { totals.red() }));
        if !missing.is_empty() {
            terminal::line(&format!(
                "  Nothing new arrived for {} s. Still missing (GET /v1/deliveries shows the state of webhooks and e-mails):",
                WAIT_MAX.as_secs()
            ));
            missing.iter().for_each(|one| terminal::line(&format!("    {} {one}", style("✗").red())));
        }
    }
}

/// A cell of 14 columns.
fn cell(seen: Seen) -> String {
    let (sign, text) = match seen {
        Seen::NotExpected => (style("–").dim(), String::new()),
        Seen::Missing => (style("✗").red(), "missing".to_owned()),
        Seen::Unsigned => (style("✗").red(), "signature".to_owned()),
        Seen::After(time) => (style("✓").green(), duration(time)),
    };
    format!("{sign} {text:<12}")
}

/// Right-aligned, so that the numbers in a column line up.
fn duration(time: TimeDelta) -> String {
    match time.num_milliseconds() {
        // The clock was set in between, so the number would be wrong.
        ms if ms < 0 => String::new(),
        ms if ms < 10_000 => format!("{ms:>5} ms"),
        ms => format!("{:>5} s", ms / 1000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_arrivals_are_named_and_counted() {
        let ms = |n| Seen::After(TimeDelta::milliseconds(n));
        let row = |kind: &str, webhook, mail, warehouse| Row { kind: kind.to_owned(), webhook, mail, warehouse };
        let whole = Arrivals { rows: vec![row("a", ms(1), Seen::NotExpected, ms(2)), row("b", ms(1), ms(2), ms(3))], repeats: 0 };
        assert!(whole.missing().is_empty());
        assert_eq!(whole.totals(), "2 of 2 webhooks with a valid signature, 1 of 1 e-mails, 2 of 2 events in the warehouse");
        let torn = Arrivals { rows: vec![row("a", Seen::Unsigned, Seen::Missing, ms(2))], repeats: 1 };
        assert_eq!(torn.missing(), ["webhook: a, arrived without a valid signature", "e-mail: a"]);
        assert!(torn.totals().starts_with("0 of 1 webhooks with a valid signature (1 more than once), 0 of 1 e-mails"));
    }

    #[test]
    fn durations_are_short_and_never_negative() {
        assert_eq!(duration(TimeDelta::milliseconds(7)), "    7 ms");
        assert_eq!(duration(TimeDelta::milliseconds(12_345)), "   12 s");
        assert_eq!(duration(TimeDelta::milliseconds(-5)), "");
    }
}
