//! What monitors and load balancers ask: `/livez`, `/readyz` and `/metrics`.

use std::sync::Arc;

use billwire_app::App;
use billwire_monitoring::{
    metrics::{MEDIA_TYPE, METRICS},
    parts::{Part, Status},
};
use billwire_schemas::{
    clock::{Clock, SystemClock},
    refusal::Code,
};
use poem::{Endpoint, EndpointExt, Request, Response, Route, endpoint::make, get};
use serde_json::json;

use crate::http::{authorization::Shared, problem::Problem};

fn fixed(respond: fn() -> Response) -> impl Endpoint<Output = Response> + 'static {
    make(move |_: Request| async move { Ok::<_, poem::Error>(respond()) })
}

fn answer(body: impl Into<poem::Body>, media_type: &str) -> Response {
    Response::builder().content_type(media_type).body(body)
}

/// Liveness: the process answers.
pub(crate) fn livez() -> impl Endpoint<Output = Response> + 'static {
    fixed(|| answer(r#"{"status":"ok"}"#, "application/json"))
}

/// Readiness: 503 while operations are refused. The body names each part of the process, with its state.
pub(crate) fn readyz(shared: Arc<Shared>) -> impl Endpoint + 'static {
    make(move |_: Request| {
        let shared = shared.clone();
        async move {
            let (refusal, set_aside) = look(&shared.app).await;
            let parts = shared.app.parts().all();
            let status = parts.values().map(|state| state.status).max().unwrap_or(Status::Ok);
            let parts = serde_json::to_value(parts).unwrap_or_default();
            if let Some(problem) = refusal {
                return Err(poem::Error::from(problem.with_parts(parts)));
            }
            let mut body = json!({ "status": status, "parts": parts });
            if set_aside > 0 {
                body["setAsideEvents"] = set_aside.into();
            }
            Ok(answer(body.to_string(), "application/json"))
        }
    })
    .map_to_response()
}

/// Reports the parts that this process can look at now. Gives why operations are refused, if they are, and how many events are set aside.
async fn look(app: &App) -> (Option<Problem>, u64) {
    let (parts, now) = (app.parts(), SystemClock.now());
    let mut refusals = Vec::new();
    let mut report = |part: Part, refusal: Option<(Code, &str, Option<String>)>| match refusal {
        None => parts.ok(part, now),
        Some((code, detail, cause)) => {
            // Who found it has said more.
            if !parts.is_down(part) {
                parts.report(part, Status::Down, detail, now);
            }
            refusals.push(Problem::later(code, detail, cause));
        }
    };
    let unavailable = |error: String| (Code::Unavailable, "The database does not respond.", Some(error));
    let set_aside = match app.ping().await {
        Ok(()) => app.report_set_aside_events().await.map_err(|failure| failure.to_string()),
        Err(error) => Err(error.to_string()),
    };
    let restored = "The database was restored to an older moment than the stream; an operator must recover it.";
    let database = set_aside.as_ref().err().cloned().map(unavailable);
    report(Part::Database, database.or(app.restored().then_some((Code::RestoredDatabase, restored, None))));
    report(Part::Storage, app.storage_full().then_some((Code::StorageFull, "The storage is full, or nearly so.", None)));
    if app.backlog_full() {
        report(Part::Outbox, Some((Code::Overloaded, "The stream is unavailable and the outbox is full.", None)));
    }
    let first = if refusals.is_empty() { None } else { Some(refusals.swap_remove(0)) };
    (first, set_aside.unwrap_or_default())
}

/// What a monitor asks a process for, without a key: `/livez`, `/readyz` and `/metrics`.
pub(crate) fn monitoring(shared: &Arc<Shared>) -> Route {
    Route::new()
        .at("/livez", get(livez()))
        .at("/readyz", get(readyz(shared.clone())))
        .at("/metrics", get(fixed(|| answer(METRICS.text(), MEDIA_TYPE))))
}
