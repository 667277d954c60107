//! Tasks that run as long as the process: one that ends or panics is started again, and a person is told.

use std::{future::Future, sync::Arc, time::Duration};

use billwire_monitoring::{
    metrics::METRICS,
    parts::{Part, Parts, Status},
};
use billwire_schemas::clock::{Clock, SystemClock};
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{sleep, timeout},
};

/// The wait before a task is started again.
const AGAIN: Duration = Duration::from_secs(1);
/// A task that has run this long after a restart is as it should be.
const SETTLED: Duration = Duration::from_secs(60);

/// Runs what `start` gives until `stop` turns true; it is given `stop` too.
pub async fn run<F>(name: &'static str, parts: Arc<Parts>, mut stop: watch::Receiver<bool>, start: impl Fn(watch::Receiver<bool>) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let mut restarted = false;
    loop {
        // Dropped with this future, the set aborts the task.
        let mut task = JoinSet::new();
        task.spawn(start(stop.clone()));
        let mut ended = None;
        if restarted {
            match timeout(SETTLED, task.join_next()).await {
                Ok(early) => ended = early,
                Err(_) => parts.ok(Part::Tasks, SystemClock.now()),
            }
        }
        if ended.is_none() {
            ended = task.join_next().await;
        }
        if *stop.borrow() {
            return;
        }
        let how = if ended.is_some_and(|ended| ended.is_err()) { "panicked" } else { "ended" };
        METRICS.restarted(name);
        parts.report(Part::Tasks, Status::Degraded, format!("the task '{name}' {how} and was started again"), SystemClock.now());
        restarted = true;
        tokio::select! {
            _ = stop.changed() => return,
            () = sleep(AGAIN) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_task_that_panics_or_ends_is_started_again_and_told_of_until_it_has_run_for_a_while() {
        let (parts, started) = (Arc::new(Parts::default()), Arc::new(AtomicUsize::new(0)));
        let (stop, stopped) = watch::channel(false);
        let (counted, told) = (started.clone(), parts.clone());
        let running = tokio::spawn(run("clock", told, stopped, move |mut stopped| {
            let n = counted.fetch_add(1, Ordering::SeqCst);
            async move {
                assert!(n > 0, "the first one panics");
                if n > 1 {
                    let _ = stopped.changed().await;
                }
            }
        }));
        let status = || parts.all().get(&Part::Tasks).map(|state| state.status);
        sleep(AGAIN / 2).await;
        assert_eq!((started.load(Ordering::SeqCst), status()), (1, Some(Status::Degraded)));
        sleep(AGAIN * 3).await;
        assert_eq!((started.load(Ordering::SeqCst), status()), (3, Some(Status::Degraded)), "the second one ended");
        sleep(SETTLED).await;
        assert_eq!((started.load(Ordering::SeqCst), status()), (3, Some(Status::Ok)));
        stop.send_replace(true);
        running.await.expect("it ends with the process");
    }
}
