//! Validation of bodies and parameters: every violation is named, and long input is not quoted.

use billwire_api::{Options, openapi};
use serde_json::{Value, json};

use crate::{document::operations, rig::Rig};

fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
    let mut list: Vec<_> = list.iter().map(|(place, code)| ((*place).to_owned(), (*code).to_owned())).collect();
    list.sort();
    list
}

#[tokio::test]
async fn every_violation_of_a_body_is_named() {
    let rig = Rig::new().await;
    let long = "x".repeat(201);
    for (path, body, expected) in [
        ("bill-cycles", json!({}), vec![("/name", "missing"), ("/period", "missing")]),
        (
            "bill-cycles",
            json!({ "name": 5, "period": "fortnight", "length": 53, "individual": "yes", "billingDay": 1.5, "billingMonth": 0, "a/b~c": 1, "externalId": null }),
            vec![
                ("/a~1b~0c", "unknown_field"),
                ("/billingDay", "wrong_type"),
                ("/billingMonth", "out_of_range"),
                ("/externalId", "wrong_type"),
                ("/individual", "wrong_type"),
                ("/length", "out_of_range"),
                ("/name", "wrong_type"),
                ("/period", "not_in_enum"),
            ],
        ),
        (
            "accounts",
            json!({ "name": long, "currency": "eur", "billCycle": "", "externalId": "a\nb", "status": "suspended" }),
            vec![
                ("/billCycle", "too_short"),
                ("/currency", "pattern"),
                ("/externalId", "pattern"),
                ("/name", "too_long"),
                ("/status", "not_in_enum"),
            ],
        ),
        ("accounts", json!([]), vec![("", "wrong_type")]),
        ("accounts/x/status", json!({ "reason": "x".repeat(501) }), vec![("/reason", "too_long"), ("/status", "missing")]),
        (
            "accounts/x/bill-cycle",
            json!({ "billCycle": "x", "validFrom": "tomorrow", "billingDay": 0 }),
            vec![("/billingDay", "out_of_range"), ("/validFrom", "format")],
        ),
        ("accounts/x/bill-cycle-change/cancel", json!({ "force": true }), vec![("/force", "unknown_field")]),
        ("accounts/x/bill-cycle-change/perform", json!([]), vec![("", "wrong_type")]),
        (
            "queues",
            json!({ "name": "q\u{0}", "mode": "inOrder", "eventTypes": [], "partitions": 1 }),
            vec![("/mode", "not_in_enum"), ("/name", "pattern"), ("/partitions", "unknown_field")],
        ),
        (
            "queues",
            json!({ "name": "q", "mode": "in_order", "eventTypes": ["a", 1, "a"] }),
            vec![("/eventTypes", "not_unique"), ("/eventTypes/1", "wrong_type")],
        ),
        (
            "subscriptions",
            json!({ "queueId": "q", "action": { "type": "webhook", "to": ["a@example.com"], "smtpAccountId": "x", "retries": 3 } }),
            vec![
                ("/action/retries", "unknown_field"),
                ("/action/smtpAccountId", "not_allowed"),
                ("/action/to", "not_allowed"),
                ("/action/webhookEndpointId", "missing"),
                ("/name", "missing"),
            ],
        ),
        (
            "subscriptions",
            json!({ "name": "s", "queueId": "q", "action": { "type": "email", "webhookEndpointId": "w", "to": [] } }),
            vec![("/action/notificationTemplateId", "missing"), ("/action/to", "too_few"), ("/action/webhookEndpointId", "not_allowed")],
        ),
        ("subscriptions", json!({ "name": "s", "queueId": "q", "action": { "type": "fax" } }), vec![("/action/type", "not_in_enum")]),
        ("subscriptions", json!({ "name": "s", "queueId": "q", "action": {} }), vec![("/action/type", "missing")]),
        (
            "webhook-endpoints",
            json!({ "name": "e", "url": "https://x.example\n", "path": "in", "secret": "whsec_ä" }),
            vec![("/path", "pattern"), ("/secret", "pattern"), ("/url", "pattern")],
        ),
        (
            "smtp-accounts",
            json!({ "name": "s", "server": "http://mail", "port": 65536, "security": "ssl", "fromName": "a\r\nBcc: x", "fromAddress": "Acme <a@b.c>" }),
            vec![
                ("/fromAddress", "pattern"),
                ("/fromName", "pattern"),
                ("/port", "out_of_range"),
                ("/security", "not_in_enum"),
                ("/server", "pattern"),
            ],
        ),
        (
            "notification-templates",
            json!({ "name": "t", "subject": "a\nb", "text": "x".repeat(100_001), "html": "\u{1}" }),
            vec![("/html", "pattern"), ("/subject", "pattern"), ("/text", "too_long")],
        ),
        ("test-clock", json!({ "now": 5 }), vec![("/now", "wrong_type")]),
    ] {
        let answer = rig.post(&format!("/v1/{path}"), body.clone()).await;
        assert_eq!(answer.violations("schema_violation"), pairs(&expected), "{path} {body}");
    }
    assert_eq!(rig.get("/v1/accounts").await.expect(200), json!({ "items": [] }));
}

#[tokio::test]
async fn three_point_zero_is_a_whole_number_and_big_ones_are_out_of_range() {
    let rig = Rig::new().await;
    rig.post("/v1/bill-cycles", json!({ "name": "c", "period": "month", "billingDay": 3.0 })).await.expect(201);
    for huge in ["1e300", "-1e300", "18446744073709551616", "99999999999999999999999"] {
        let body = format!(r#"{{"name":"c","period":"month","billingDay":{huge}}}"#);
        let answer = rig.call("POST", "/v1/bill-cycles", &[], Some(&serde_json::from_str(&body).expect("JSON"))).await;
        assert_eq!(answer.violations("schema_violation"), pairs(&[("/billingDay", "out_of_range")]), "{huge}");
    }
}

#[tokio::test]
async fn nothing_is_echoed_at_length_and_not_without_end() {
    let rig = Rig::new().await;
    let long = "y".repeat(100_000);
    let answer = rig.post("/v1/bill-cycles", json!({ "name": "c", "period": long, (long.as_str()): 1 })).await;
    assert!(answer.text.len() < 2_000, "{}", answer.text.len());
    let many: serde_json::Map<String, Value> = (0..20_000).map(|number| (format!("m{number}"), json!(1))).collect();
    let answer = rig.post("/v1/bill-cycles", Value::Object(many)).await;
    assert_eq!(answer.json()["errors"].as_array().map(Vec::len), Some(200));
    let answer = rig.get(&format!("/v1/accounts?{}=1", "z".repeat(2_000))).await;
    assert!(answer.text.len() < 2_000);
    answer.refused(400, "unknown_parameter");
    let secret = rig.post("/v1/smtp-accounts", json!({ "name": "s", "password": "hunter2\u{7}" })).await;
    assert!(!secret.text.contains("hunter2"));
}

/// Every operation with a body: id, method, an example path, and whether the body is optional.
fn with_bodies() -> Vec<(String, String, String, bool)> {
    let document = openapi();
    let taking = operations(&document).into_iter().filter(|(.., operation)| operation.get("requestBody").is_some());
    let taken = taking.map(|(id, method, path, operation)| {
        let path = path.replace(['{', '}'], "");
        (id, method, path, operation["requestBody"]["required"] != true)
    });
    taken.collect()
}

#[tokio::test]
async fn what_is_no_json_is_refused_by_every_operation() {
    let rig = Rig::with(Options { body_limit: 10_000, ..Rig::options() }, true).await;
    let bearer = format!("Bearer {}", rig.key);
    for (id, method, path, optional) in with_bodies() {
        let send = |path: String, media_type: &'static str, body: Vec<u8>| {
            let (rig, bearer, method) = (&rig, bearer.as_str(), method.as_str());
            async move { rig.raw(method, &path, &[("authorization", bearer), ("content-type", media_type)], body).await }
        };
        let refused = send(path.clone(), "application/json", b"{\"name\": }".to_vec()).await.refused(400, "malformed_json");
        assert!(refused["detail"].as_str().is_some_and(|detail| detail.contains("line 1 column 10")), "{id} {refused}");
        send(path.clone(), "application/json; charset=utf-8", b"{\"a\":1,\"a\":2}".to_vec()).await.refused(400, "duplicate_key");
        for media_type in ["text/plain", "application/xml", "application/jsonx", "multipart/form-data"] {
            send(path.clone(), media_type, b"{}".to_vec()).await.refused(415, "unsupported_media_type");
        }
        rig.raw(&method, &path, &[("authorization", &bearer)], b"{}".to_vec()).await.refused(415, "unsupported_media_type");
        for charset in
            ["application/json; charset=iso-8859-1", "application/json;Charset=\"UTF-16\"", "application/json;v=1;charset=us-ascii"]
        {
            send(path.clone(), charset, b"{}".to_vec()).await.refused(415, "unsupported_media_type");
        }
        for coding in ["gzip", "br", "identity, gzip", "x-anything"] {
            let headers = [("authorization", bearer.as_str()), ("content-type", "application/json"), ("content-encoding", coding)];
            let refused = rig.raw(&method, &path, &headers, b"{}".to_vec()).await;
            assert_eq!(refused.header("accept-encoding"), "identity");
            refused.refused(415, "unsupported_media_type");
        }
        let marked = send(path.clone(), "application/json", b"\xef\xbb\xbf{}".to_vec()).await.refused(400, "malformed_json");
        assert!(marked["detail"].as_str().is_some_and(|detail| detail.contains("byte-order mark")), "{marked}");
        send(path.clone(), "application/json", vec![b' '; 10_001]).await.refused(413, "body_too_large");
        let deep = [b"[".repeat(5_000), b"]".repeat(5_000)].concat();
        send(path.clone(), "application/json", deep).await.refused(400, "malformed_json");
        if !optional {
            send(path.clone(), "application/json", Vec::new()).await.refused(400, "malformed_json");
            send(path, "application/json", b"null".to_vec()).await.refused(400, "schema_violation");
        }
    }
}

#[tokio::test]
async fn a_body_that_announces_too_much_is_not_read() {
    let rig = Rig::new().await;
    let bearer = format!("Bearer {}", rig.key);
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json"), ("content-length", "999999999")];
    rig.raw("POST", "/v1/accounts", &headers, b"{}".to_vec()).await.refused(413, "body_too_large");
}

#[tokio::test]
async fn a_body_that_never_comes_is_not_waited_for() {
    let rig = Rig::with(Options { body_timeout: std::time::Duration::from_millis(20), ..Options::default() }, true).await;
    let bearer = format!("Bearer {}", rig.key);
    let never = poem::Body::from_bytes_stream(futures::stream::pending::<Result<Vec<u8>, std::io::Error>>());
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    rig.raw("POST", "/v1/accounts", &headers, never).await.refused(408, "request_timeout");
}

#[tokio::test]
async fn parameters_are_held_against_their_schemas() {
    let rig = Rig::new().await;
    for (query, code, expected) in [
        ("limit=0", "invalid_parameter", vec![("limit", "out_of_range")]),
        ("limit=201", "invalid_parameter", vec![("limit", "out_of_range")]),
        ("limit=ten", "invalid_parameter", vec![("limit", "wrong_type")]),
        ("limit=1&limit=2", "invalid_parameter", vec![("limit", "repeated")]),
        (
            "status=gone&limit=-1&page=2",
            "invalid_parameter",
            vec![("limit", "out_of_range"), ("page", "unknown_parameter"), ("status", "not_in_enum")],
        ),
        ("page=2&Limit=3", "unknown_parameter", vec![("Limit", "unknown_parameter"), ("page", "unknown_parameter")]),
        ("status=", "invalid_parameter", vec![("status", "not_in_enum")]),
    ] {
        assert_eq!(rig.get(&format!("/v1/accounts?{query}")).await.violations(code), pairs(&expected), "{query}");
    }
    let uuid = rig.get("/v1/deliveries?eventId=x&state=late").await.violations("invalid_parameter");
    assert_eq!(uuid, pairs(&[("eventId", "format"), ("state", "not_in_enum")]));
    for (path, name) in [("/v1/accounts/a%00b", "account"), ("/v1/bill-cycles/%0A", "billCycle"), ("/v1/queues/%FF", "queue")] {
        let found = rig.get(path).await.violations("invalid_parameter");
        assert_eq!(found[0].0, name);
    }
    rig.get(&format!("/v1/accounts/{}", "x".repeat(129))).await.refused(400, "invalid_parameter");
    let with_query = rig.call("POST", "/v1/bill-cycles?dry=1", &[], Some(&json!({ "name": "c", "period": "day" }))).await;
    with_query.refused(400, "unknown_parameter");
    assert_eq!(rig.get("/v1/bill-cycles?").await.expect(200), json!({ "items": [] }), "nothing was made");
}
