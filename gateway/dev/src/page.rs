//! One page that shows what arrived: webhooks and mails, newest first, and both as JSON.
//!
//! Its content comes from outside. The template therefore escapes everything, a mail's HTML is in a sandboxed frame, and the page may
//! load nothing but its own style and script.

use chrono::SecondsFormat;
use minijinja::{Environment, value::Serde};
use poem::{
    Endpoint, EndpointExt, IntoEndpoint, IntoResponse, Request, Response, Route, Server, get, handler,
    http::{StatusCode, header},
    listener::TcpAcceptor,
    web::{Data, Html, Json},
};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::{mail::Mail, receiver::Call, ring_buffer::RingBuffer};

/// Most entries of each kind on the page; the JSON has all that are kept.
const SHOWN_MAX: usize = 100;

const POLICY: &str = "default-src 'none'; style-src 'self' 'unsafe-inline'; script-src 'self'; connect-src 'self'; base-uri 'none'; \
                      form-action 'none'; frame-ancestors 'none'";

/// Serves on `listener` until `tasks` end.
///
/// # Errors
/// One line that says what is wrong.
pub fn start(
    tasks: &mut JoinSet<()>,
    listener: std::net::TcpListener,
    calls: RingBuffer<Call>,
    mails: RingBuffer<Mail>,
) -> Result<(), String> {
    let acceptor = TcpAcceptor::from_std(listener).map_err(|e| format!("the local page: {e}"))?;
    let service = service(calls, mails);
    tasks.spawn(async move {
        if let Err(error) = Server::new_with_acceptor(acceptor).run(service).await {
            tracing::error!(%error, "the local page ended");
        }
    });
    Ok(())
}

fn service(calls: RingBuffer<Call>, mails: RingBuffer<Mail>) -> impl Endpoint + 'static {
    // Exactly one content type: with `nosniff` a browser ignores a style or script that is labelled plain text.
    let fixed =
        |kind: &'static str, text: &'static str| poem::endpoint::make_sync(move |_| Response::builder().content_type(kind).body(text));
    Route::new()
        .at("/", get(whole))
        .at("/webhooks.json", get(webhooks_json))
        .at("/mails.json", get(mails_json))
        .at("/counts.json", get(counts_json))
        .at("/page.css", get(fixed("text/css", include_str!("page.css"))))
        .at("/page.js", get(fixed("text/javascript", include_str!("page.js"))))
        .data(calls)
        .data(mails)
        .around(guarded)
        .into_endpoint()
}

/// Answers only requests for this machine's own names, so that a foreign site whose name resolves to 127.0.0.1 (DNS rebinding) reads
/// nothing.
async fn guarded<E: Endpoint>(next: std::sync::Arc<E>, request: Request) -> poem::Result<Response> {
    let host = request.header(header::HOST).unwrap_or_default();
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    if name != "127.0.0.1" && name != "localhost" {
        return Ok(StatusCode::MISDIRECTED_REQUEST.into());
    }
    let response = next.call(request).await?.into_response();
    let headers =
        [(header::CONTENT_SECURITY_POLICY, POLICY), (header::CACHE_CONTROL, "no-store"), (header::X_CONTENT_TYPE_OPTIONS, "nosniff")];
    Ok(headers.into_iter().fold(response, |response, (name, value)| response.with_header(name, value).into_response()))
}

#[handler]
fn webhooks_json(calls: Data<&RingBuffer<Call>>) -> Json<Vec<Value>> {
    Json(calls.all().iter().map(|call| call.json()).collect())
}

#[handler]
fn mails_json(mails: Data<&RingBuffer<Mail>>) -> Json<Vec<Value>> {
    Json(mails.all().iter().map(|mail| mail.json()).collect())
}

#[handler]
fn counts_json(calls: Data<&RingBuffer<Call>>, mails: Data<&RingBuffer<Mail>>) -> String {
    totals(&calls, &mails)
}

fn totals(calls: &RingBuffer<Call>, mails: &RingBuffer<Mail>) -> String {
    format!("[{},{}]", calls.total(), mails.total())
}

#[handler]
fn whole(calls: Data<&RingBuffer<Call>>, mails: Data<&RingBuffer<Mail>>) -> poem::Result<Html<String>> {
    rendered(&calls, &mails).map(Html).map_err(poem::error::InternalServerError)
}

fn rendered(calls: &RingBuffer<Call>, mails: &RingBuffer<Mail>) -> Result<String, minijinja::Error> {
    let mut templates = Environment::new();
    // The extension turns HTML escaping on.
    templates.add_template("page.html", include_str!("page.html"))?;
    let content = json!({ "counts": totals(calls, mails), "calls_total": calls.total(), "mails_total": mails.total(),
                          "calls": newest(calls, webhook_entry), "mails": newest(mails, mail_entry) });
    templates.get_template("page.html")?.render(Serde(content))
}

/// The newest entries first, each with its number since the start: it stays the same when the page is loaded again.
fn newest<T>(arrivals: &RingBuffer<T>, entry: fn(&T) -> Value) -> Vec<Value> {
    let all = arrivals.all();
    let numbers = (0..arrivals.total()).rev();
    let entries = all.iter().rev().zip(numbers).take(SHOWN_MAX).map(|(arrival, number)| {
        let mut entry = entry(arrival);
        entry["number"] = number.into();
        entry
    });
    entries.collect()
}

fn webhook_entry(call: &Call) -> Value {
    let body = serde_json::from_str::<Value>(&call.body).ok().and_then(|body| serde_json::to_string_pretty(&body).ok());
    json!({ "kind": call.kind, "refused": call.verdict.as_ref().err().map(ToString::to_string), "received_at": time(call.received_at),
            "id": call.id, "body": body.as_ref().unwrap_or(&call.body), "headers": call.headers })
}

fn mail_entry(mail: &Mail) -> Value {
    json!({ "subject": mail.subject, "to": mail.to.join(", "), "received_at": time(mail.received_at), "text": mail.text,
            "html": mail.html, "headers": mail.headers, "raw": mail.raw })
}

fn time(at: billwire_schemas::clock::Timestamp) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use billwire_schemas::clock::Timestamp;

    #[tokio::test]
    async fn style_and_script_have_exactly_one_content_type() {
        let service = service(RingBuffer::default(), RingBuffer::default());
        for (path, kind) in [("/page.css", "text/css"), ("/page.js", "text/javascript")] {
            let request = Request::builder().uri(path.parse().expect("a path")).header(header::HOST, "localhost").finish();
            let response = service.get_response(request).await;
            let kinds: Vec<_> = response.headers().get_all(header::CONTENT_TYPE).iter().collect();
            assert_eq!(kinds, [kind], "{path}");
        }
    }

    #[test]
    fn content_from_outside_is_escaped() {
        let (calls, mails) = (RingBuffer::default(), RingBuffer::default());
        let evil = "\"'><script>alert(1)</script>";
        calls.push(
            Call {
                received_at: Timestamp::UNIX_EPOCH,
                id: evil.into(),
                kind: evil.into(),
                verdict: Ok(()),
                headers: vec![(evil.into(), evil.into())],
                body: evil.into(),
            },
            1,
        );
        let raw = format!("Subject: {evil}\r\nContent-Type: text/html\r\n\r\n{evil}");
        mails.push(Mail::read(evil.into(), vec![evil.into()], raw.as_bytes(), Timestamp::UNIX_EPOCH), 1);
        let html = rendered(&calls, &mails).unwrap();
        assert!(!html.contains("<script>") && !html.contains("\"'>"), "{html}");
        assert!(html.contains("sandbox") && html.contains("id=w0>") && html.contains("id=m0>"), "{html}");
    }
}
