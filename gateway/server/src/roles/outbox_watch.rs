//! Keeps what this process knows of the database up to date: how full the outbox is, how far the readers of the stream are, the test clock,
//! and the largest message that the stream accepts.

use std::time::Duration;

use billwire_app::App;
use billwire_monitoring::{
    metrics::{METRICS, Reader as Labels},
    parts::{Part, Status},
};
use billwire_schemas::{
    clock::{Clock, SystemClock},
    delivery::Reader,
};
use billwire_store::Store;
use chrono::TimeDelta;
use tokio::{sync::watch, time::interval};

/// An event that has waited longer than this for the stream is reported.
const LATE: TimeDelta = TimeDelta::seconds(30);
/// A message that nobody has settled for longer than this is reported. Longer than a message that is lost on its way waits to come again.
const BEHIND: TimeDelta = TimeDelta::seconds(150);
/// How often the database is read.
const EVERY: Duration = Duration::from_secs(1);

/// Refuses operations while `outbox_max` events or more wait for the stream, and follows the test clock; until `stop` turns true.
pub async fn backlog(app: App, store: Store, outbox_max: u64, mut stop: watch::Receiver<bool>) {
    let mut tick = interval(EVERY);
    loop {
        tokio::select! {
            _ = stop.changed() => return,
            _ = tick.tick() => {}
        }
        match store.backlog(outbox_max).await {
            Ok(waiting) => {
                let full = waiting >= outbox_max;
                app.set_backlog_full(full);
                report(&app, &store, waiting, full).await;
            }
            Err(error) => tracing::warn!(%error, "cannot count the outbox"),
        }
        if let Err(error) = app.follow_test_clock().await {
            tracing::warn!(%error, "cannot read the test clock");
        }
    }
}

/// Reports the outbox: how full it is, and how long its oldest event has waited.
async fn report(app: &App, store: &Store, waiting: u64, full: bool) {
    let now = SystemClock.now();
    let oldest = if waiting == 0 { Ok(None) } else { store.oldest_unpublished().await };
    let age = oldest.ok().flatten().map_or(TimeDelta::zero(), |oldest| now - oldest);
    METRICS.outbox_events.set(i64::try_from(waiting).unwrap_or(i64::MAX));
    METRICS.outbox_oldest_age_seconds.set(age.as_seconds_f64());
    let seconds = age.num_seconds();
    if full {
        let detail =
            format!("{waiting} events wait for the stream, the oldest for {seconds} s; operations are refused until the relay catches up");
        app.parts().report(Part::Outbox, Status::Down, detail, now);
    } else if age > LATE {
        let detail =
            format!("the oldest of {waiting} events has waited for the stream for {seconds} s: is a relay running, and NATS reachable?");
        app.parts().report(Part::Outbox, Status::Degraded, detail, now);
    } else {
        app.parts().ok(Part::Outbox, now);
    }
}

/// How often it is read how far the readers of the stream are.
const LAG_EVERY: Duration = Duration::from_secs(10);

/// Reports how far the readers of the stream are, and what is set aside, until `stop` turns true.
pub async fn lag(app: App, store: Store, mut stop: watch::Receiver<bool>) {
    let mut tick = interval(LAG_EVERY);
    loop {
        tokio::select! {
            _ = stop.changed() => return,
            _ = tick.tick() => {}
        }
        if let Err(error) = app.report_set_aside_events().await {
            tracing::warn!(%error, "cannot count the events that are set aside");
        }
        let unsettled = match store.unsettled_since().await {
            Ok(unsettled) => unsettled,
            Err(error) => {
                tracing::warn!(%error, "cannot read how far the stream is settled");
                continue;
            }
        };
        let now = SystemClock.now();
        let oldest = |wanted: fn(&Reader) -> bool| {
            let ages = unsettled.iter().filter(|(reader, _)| wanted(reader)).map(|(_, since)| now - *since);
            ages.max().unwrap_or(TimeDelta::zero())
        };
        let readers = [
            ("slots", oldest(|reader| matches!(reader, Reader::Slot(_)))),
            ("warehouse", oldest(|reader| matches!(reader, Reader::Warehouse))),
        ];
        for (reader, age) in readers {
            METRICS.unsettled_oldest_age_seconds.get_or_create(&Labels { reader }).set(age.as_seconds_f64());
        }
        match readers.into_iter().max_by_key(|(_, age)| *age) {
            Some((reader, age)) if age > BEHIND => {
                let detail = format!("the oldest message that the {reader} has not settled is {} s old", age.num_seconds());
                app.parts().report(Part::Consumers, Status::Degraded, detail, now);
            }
            _ => app.parts().ok(Part::Consumers, now),
        }
    }
}

/// Follows the size of the largest message that the stream accepts, until `stop` turns true. The relay, here or in another process,
/// reads it from NATS.
pub async fn max_payload(store: Store, mut stop: watch::Receiver<bool>) {
    let mut tick = interval(EVERY);
    loop {
        tokio::select! {
            _ = stop.changed() => return,
            _ = tick.tick() => {}
        }
        if let Err(error) = store.learn_max_payload().await {
            tracing::warn!(%error, "cannot read the size of the largest message that the stream accepts");
        }
    }
}
