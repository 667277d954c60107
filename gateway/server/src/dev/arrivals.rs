//! What arrived where: waits until every event of the story did, and shows it as a table.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use billwire_schemas::{
    clock::{Clock, SystemClock, Timestamp},
    ids::EventId,
};
use billwire_store::Store;
use chrono::TimeDelta;
use tokio::time::{Instant, sleep};

use super::{
    mail::Mail,
    receiver::Call,
    ring_buffer::RingBuffer,
    story::Told,
    terminal::{Terminal, Tone},
};

/// Longest the story waits without anything new arriving. Longer than a killed process's leases hold and than a busy machine pauses.
const WAIT_MAX: Duration = Duration::from_secs(60);
/// How often it looks.
const LOOK: Duration = Duration::from_millis(20);

/// Where arrivals are looked up.
pub struct Places {
    /// The receiver's memory.
    pub calls: RingBuffer<Call>,
    /// The mailbox.
    pub mails: RingBuffer<Mail>,
    /// The database, which knows the warehouse's batches.
    pub store: Store,
}

/// One place, one event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seen {
    NotOwed,
    Missing,
    Unsigned,
    After(TimeDelta),
}

struct Row {
    kind: String,
    webhook: Seen,
    mail: Seen,
    warehouse: Seen,
}

/// What became of all of them.
pub struct Arrivals {
    rows: Vec<Row>,
    repeats: usize,
}

impl Places {
    /// Waits until everything arrived, or nothing new did for [`WAIT_MAX`].
    ///
    /// # Errors
    /// When the database fails.
    pub async fn wait(&self, told: &[Told], terminal: Terminal) -> Result<Arrivals, String> {
        let ids: Vec<EventId> = told.iter().filter_map(|event| event.id.parse().ok()).collect();
        let progress = std::sync::Mutex::new(String::from("waiting for the events to arrive"));
        let doing = || progress.lock().map(|text| text.clone()).unwrap_or_default();
        let waiting = async {
            let (mut last, mut deadline) = (String::new(), Instant::now() + WAIT_MAX);
            let mut loaded: HashMap<EventId, Timestamp> = HashMap::new();
            loop {
                let open: Vec<EventId> = ids.iter().copied().filter(|id| !loaded.contains_key(id)).collect();
                let found = self.store.in_written_batches(&open).await.map_err(|e| e.to_string())?;
                let now = SystemClock.now();
                loaded.extend(found.into_iter().map(|id| (id, now)));
                let arrivals = self.look(told, &loaded);
                if arrivals.missing().is_empty() || Instant::now() >= deadline {
                    return Ok(arrivals);
                }
                let totals = arrivals.totals();
                if totals != last {
                    (last, deadline) = (totals.clone(), Instant::now() + WAIT_MAX);
                }
                if let Ok(mut text) = progress.lock() {
                    *text = totals;
                }
                sleep(LOOK).await;
            }
        };
        terminal.during(doing, waiting).await
    }

    fn look(&self, told: &[Told], loaded: &HashMap<EventId, Timestamp>) -> Arrivals {
        let (mut calls, mails) = (self.calls.all(), self.mails.all());
        // What an earlier run left to be delivered arrives too, and is not of this story.
        let own: HashSet<&str> = told.iter().map(|event| event.id.as_str()).collect();
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
        let mut by_arrival: Vec<&Told> = told.iter().collect();
        // A stable sort: what came in the same microsecond, or not at all, stays in the order of the story.
        by_arrival.sort_by_key(|event| first.get(event.id.as_str()).copied().unwrap_or(Timestamp::MAX_UTC));
        let after = |event: &Told, at: Option<&Timestamp>| at.map(|at| Seen::After(*at - event.at));
        let rows = by_arrival.into_iter().map(|event| {
            let bad = if unsigned.contains(event.id.as_str()) { Seen::Unsigned } else { Seen::Missing };
            let held = event.id.parse().ok().and_then(|id: EventId| loaded.get(&id));
            Row {
                kind: event.kind.clone(),
                webhook: after(event, first.get(event.id.as_str())).unwrap_or(bad),
                mail: if event.mailed { after(event, mailed.get(event.id.as_str())).unwrap_or(Seen::Missing) } else { Seen::NotOwed },
                warehouse: after(event, held).unwrap_or(Seen::Missing),
            }
        });
        Arrivals { rows: rows.collect(), repeats }
    }
}

impl Arrivals {
    /// What is owed and did not arrive, in words: place, then event; empty: everything did.
    pub fn missing(&self) -> Vec<String> {
        let at = |place: &'static str, of: fn(&Row) -> Seen| {
            self.rows.iter().filter_map(move |row| match of(row) {
                Seen::Missing => Some(format!("{place}: {}", row.kind)),
                Seen::Unsigned => Some(format!("{place}: {}, came without a valid signature", row.kind)),
                Seen::NotOwed | Seen::After(_) => None,
            })
        };
        at("webhook", |r| r.webhook).chain(at("e-mail", |r| r.mail)).chain(at("warehouse", |r| r.warehouse)).collect()
    }

    /// `17 of 17 webhooks, …`.
    pub fn totals(&self) -> String {
        let count = |of: fn(&Row) -> Seen| {
            let owed = self.rows.iter().filter(|row| of(row) != Seen::NotOwed).count();
            let there = self.rows.iter().filter(|row| matches!(of(row), Seen::After(_))).count();
            format!("{there} of {owed}")
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
    pub fn show(&self, terminal: Terminal) {
        terminal.heading("What arrived, in order of arrival (time since the operation was accepted)");
        let heading = format!("  {:<38} {:<14} {:<14} {:<14}", "event", "webhook", "e-mail", "warehouse");
        terminal.line(&terminal.paint(Tone::Faint, heading.trim_end()));
        for row in &self.rows {
            let cells = [row.webhook, row.mail, row.warehouse].map(|seen| cell(terminal, seen)).join(" ");
            terminal.line(format!("  {:<38} {cells}", row.kind).trim_end());
        }
        let tone = if self.missing().is_empty() { Tone::Good } else { Tone::Bad };
        terminal.line("");
        terminal.line(&format!("  {}", terminal.paint(tone, &self.totals())));
        let missing = self.missing();
        if !missing.is_empty() {
            terminal.line(&format!(
                "  Nothing new came for {} s, and these are still missing; GET /v1/deliveries says how far webhooks and e-mails got:",
                WAIT_MAX.as_secs()
            ));
            missing.iter().for_each(|one| terminal.line(&format!("    {} {one}", terminal.paint(Tone::Bad, "✗"))));
        }
    }
}

/// A cell 14 wide. Padded before it is painted, since colours take room in the text but not on the screen.
fn cell(terminal: Terminal, seen: Seen) -> String {
    let (sign, tone, text) = match seen {
        Seen::NotOwed => ("–", Tone::Faint, String::new()),
        Seen::Missing => ("✗", Tone::Bad, "missing".to_owned()),
        Seen::Unsigned => ("✗", Tone::Bad, "signature".to_owned()),
        Seen::After(time) => ("✓", Tone::Good, duration(time)),
    };
    format!("{} {text:<12}", terminal.paint(tone, sign))
}

/// Right-aligned, so that the column can be read down.
fn duration(time: TimeDelta) -> String {
    match time.num_milliseconds() {
        // The clocks were set between; a number would say nothing.
        ms if ms < 0 => String::new(),
        ms if ms < 10_000 => format!("{ms:>5} ms"),
        ms => format!("{:>5} s", ms / 1000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named_and_counted() {
        let ms = |n| Seen::After(TimeDelta::milliseconds(n));
        let row = |kind: &str, webhook, mail, warehouse| Row { kind: kind.to_owned(), webhook, mail, warehouse };
        let whole = Arrivals { rows: vec![row("a", ms(1), Seen::NotOwed, ms(2)), row("b", ms(1), ms(2), ms(3))], repeats: 0 };
        assert!(whole.missing().is_empty());
        assert_eq!(whole.totals(), "2 of 2 webhooks with a valid signature, 1 of 1 e-mails, 2 of 2 events in the warehouse");
        let torn = Arrivals { rows: vec![row("a", Seen::Unsigned, Seen::Missing, ms(2))], repeats: 1 };
        assert_eq!(torn.missing(), ["webhook: a, came without a valid signature", "e-mail: a"]);
        assert!(torn.totals().starts_with("0 of 1 webhooks with a valid signature (1 more than once), 0 of 1 e-mails"));
    }

    #[test]
    fn durations_are_short_and_never_negative() {
        assert_eq!(duration(TimeDelta::milliseconds(7)), "    7 ms");
        assert_eq!(duration(TimeDelta::milliseconds(12_345)), "   12 s");
        assert_eq!(duration(TimeDelta::milliseconds(-5)), "");
    }
}
