//! One page that shows what arrived: webhooks and mails, newest first, and both as JSON.
//!
//! Everything on it came from outside, so everything is escaped, a mail's HTML stands in a sandboxed frame, and the page
//! itself may load nothing but its own style and script.

use std::fmt::Write;

use chrono::SecondsFormat;
use poem::{
    Endpoint, EndpointExt, IntoEndpoint, IntoResponse, Request, Response, Route, Server, get, handler,
    http::{StatusCode, header},
    listener::TcpAcceptor,
    web::{Data, Html, Json},
};
use serde_json::Value;
use tokio::task::JoinSet;

use crate::{mail::Mail, receiver::Call, ring_buffer::RingBuffer};

/// Most of each kind on the page; the JSON has all that is kept.
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
    // One content type and no other: with `nosniff` a browser uses no style or script that calls itself plain text.
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

/// Answers only who asks for this machine by its own name: a foreign site whose name is pointed at 127.0.0.1 reads nothing.
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
fn whole(calls: Data<&RingBuffer<Call>>, mails: Data<&RingBuffer<Mail>>) -> Html<String> {
    Html(rendered(&calls, &mails))
}

fn rendered(calls: &RingBuffer<Call>, mails: &RingBuffer<Mail>) -> String {
    let mut html = String::from(concat!(
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content=\"width=device-width\">",
        "<title>Billwire: what arrived</title><link rel=stylesheet href=/page.css><script src=/page.js defer></script>"
    ));
    let _ = write!(
        html,
        "<body data-counts=\"{}\"><h1>What arrived</h1><nav>On this machine, since `billwire dev` was started. Newest first. \
         As JSON: <a href=/webhooks.json>webhooks</a>, <a href=/mails.json>mails</a>.</nav>",
        totals(calls, mails)
    );
    let all = calls.all();
    let _ = write!(html, "<h2>Webhooks ({})</h2>", calls.total());
    for (index, call) in all.iter().enumerate().rev().take(SHOWN_MAX) {
        webhook_entry(&mut html, call, calls.total() - (all.len() - index) as u64);
    }
    let all = mails.all();
    let _ = write!(html, "<h2>E-mails ({})</h2>", mails.total());
    for (index, mail) in all.iter().enumerate().rev().take(SHOWN_MAX) {
        mail_entry(&mut html, mail, mails.total() - (all.len() - index) as u64);
    }
    html
}

fn webhook_entry(html: &mut String, call: &Call, number: u64) {
    let (class, verdict) = match call.verdict {
        Ok(()) => ("good", "✓ signature valid".to_owned()),
        Err(refused) => ("bad", format!("✗ {refused}")),
    };
    let body = serde_json::from_str::<Value>(&call.body).ok().and_then(|body| serde_json::to_string_pretty(&body).ok());
    let _ = write!(
        html,
        "<details id=w{number}><summary><b>{}</b><span class={class}>{}</span><span class=faint>{}</span><code class=faint>{}</code></summary>\
         <pre>{}</pre>",
        escaped(&call.kind),
        escaped(&verdict),
        time(call.received_at),
        escaped(&call.id),
        escaped(body.as_deref().unwrap_or(&call.body)),
    );
    headers(html, &format!("w{number}h"), &call.headers);
    html.push_str("</details>");
}

fn mail_entry(html: &mut String, mail: &Mail, number: u64) {
    let _ = write!(
        html,
        "<details id=m{number}><summary><b>{}</b><span>to {}</span><span class=faint>{}</span></summary>",
        escaped(&mail.subject),
        escaped(&mail.to.join(", ")),
        time(mail.received_at),
    );
    if let Some(text) = &mail.text {
        let _ = write!(html, "<pre>{}</pre>", escaped(text));
    }
    if let Some(part) = &mail.html {
        // No `allow-…`: no scripts, no forms, no way out of the frame; the page's policy holds in it too.
        let _ = write!(html, "<iframe sandbox title=\"HTML part\" srcdoc=\"{}\"></iframe>", escaped(part));
    }
    headers(html, &format!("m{number}h"), &mail.headers);
    let _ = write!(html, "<details id=m{number}r><summary>Raw</summary><pre>{}</pre></details></details>", escaped(&mail.raw));
}

fn headers(html: &mut String, id: &str, headers: &[(String, String)]) {
    let _ = write!(html, "<details id={id}><summary>Headers</summary><table>");
    for (name, value) in headers {
        let _ = write!(html, "<tr><td><code>{}</code><td><code>{}</code>", escaped(name), escaped(value));
    }
    html.push_str("</table></details>");
}

fn time(at: billwire_schemas::clock::Timestamp) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// Text that stays text, in an element and in a quoted attribute.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use billwire_schemas::clock::Timestamp;

    #[tokio::test]
    async fn style_and_script_have_one_content_type_or_no_browser_would_use_them() {
        let service = service(RingBuffer::default(), RingBuffer::default());
        for (path, kind) in [("/page.css", "text/css"), ("/page.js", "text/javascript")] {
            let request = Request::builder().uri(path.parse().expect("a path")).header(header::HOST, "localhost").finish();
            let response = service.get_response(request).await;
            let kinds: Vec<_> = response.headers().get_all(header::CONTENT_TYPE).iter().collect();
            assert_eq!(kinds, [kind], "{path}");
        }
    }

    #[test]
    fn what_comes_from_outside_stays_text() {
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
        let html = rendered(&calls, &mails);
        assert!(!html.contains("<script>") && !html.contains("\"'>"), "{html}");
        assert!(html.contains("sandbox") && html.contains("id=w0>") && html.contains("id=m0>"), "{html}");
    }
}
