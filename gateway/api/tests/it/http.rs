//! Authentication, idempotency, versions, routing, and static routes.

use billwire_api::{Options, SignIn, openapi, operations as registered};
use billwire_app::domain::access::scopes::CALLER;
use serde_json::json;

use crate::{document::operations, rig::Rig};

#[tokio::test]
async fn without_valid_credentials_nothing_is_answered() {
    let rig = Rig::with(Options { wrong_credentials_per_minute: 0, ..Options::default() }, false).await;
    for (_, method, path, _) in operations(&openapi()) {
        let none = rig.raw(&method, &path, &[], b"not JSON".to_vec()).await;
        assert_eq!(none.header("www-authenticate"), "Bearer realm=\"billwire\"");
        none.refused(401, "unauthenticated");
        for wrong in ["Bearer nobody", "bearer  ", "Basic Og==", rig.key.as_str()] {
            rig.raw(&method, &path, &[("authorization", wrong)], Vec::new()).await.refused(401, "unauthenticated");
        }
    }
    let lower = format!("bearer {}", rig.key);
    assert_eq!(rig.raw("GET", "/v1/accounts", &[("authorization", &lower)], Vec::new()).await.status, 200);
}

#[tokio::test]
async fn each_operation_needs_its_own_scope() {
    let rig = Rig::new().await;
    for (id, method, path, _) in operations(&openapi()) {
        let needed = registered().find(|operation| operation.id == id).expect("an entry").scope;
        // Every caller has it, and nobody can be given it.
        if needed == CALLER {
            continue;
        }
        let others: Vec<&str> = registered().map(|operation| operation.scope).filter(|scope| ![needed, CALLER].contains(scope)).collect();
        let without = format!("Bearer {}", rig.key_of("default", &others).await);
        let refused = rig.raw(&method, &path, &[("authorization", &without)], b"not JSON".to_vec()).await;
        let challenge = format!("Bearer realm=\"billwire\", error=\"insufficient_scope\", scope=\"{needed}\"");
        assert_eq!(refused.header("www-authenticate"), challenge, "{id}");
        refused.refused(403, "insufficient_scope");
        let with = format!("Bearer {}", rig.key_of("default", &[needed]).await);
        let allowed = rig.raw(&method, &path, &[("authorization", &with)], Vec::new()).await;
        assert!(![401, 403].contains(&allowed.status), "{id}: {}", allowed.text);
    }
}

#[tokio::test]
async fn a_repeat_under_the_same_key_answers_the_same_bytes() {
    let rig = Rig::new().await;
    let key = [("idempotency-key", "k-1")];
    let body = json!({ "name": "c", "period": "day" });
    let first = rig.call("POST", "/v1/bill-cycles", &key, Some(&body)).await;
    assert_eq!(first.header("idempotency-replayed"), "");
    let bearer = format!("Bearer {}", rig.key);
    let spaced = b"{ \"period\" : \"day\",\n \"name\" : \"c\" }".to_vec();
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json"), ("idempotency-key", "\"k-1\"")];
    let again = rig.raw("POST", "/v1/bill-cycles", &headers, spaced).await;
    assert_eq!((again.status, &again.text, again.header("location")), (201, &first.text, first.header("location")));
    assert_eq!(again.header("idempotency-replayed"), "true");
    rig.call("POST", "/v1/bill-cycles", &key, Some(&json!({ "name": "d", "period": "day" }))).await.refused(422, "idempotency_key_reused");
    rig.call("POST", "/v1/queues", &key, Some(&json!({ "name": "q", "mode": "in_order", "eventTypes": ["account.created"] })))
        .await
        .refused(422, "idempotency_key_reused");
    assert_eq!(rig.get("/v1/bill-cycles").await.expect(200)["items"].as_array().map(Vec::len), Some(1));

    for bad in ["", "a b", &"x".repeat(256)] {
        rig.call("POST", "/v1/bill-cycles", &[("idempotency-key", bad)], Some(&body)).await.refused(400, "bad_idempotency_key");
    }
    let twice = [("idempotency-key", "a"), ("idempotency-key", "b")];
    rig.call("POST", "/v1/bill-cycles", &twice, Some(&body)).await.refused(400, "bad_idempotency_key");
}

#[tokio::test]
async fn a_refusal_does_not_use_the_key_up_and_a_secret_is_replayed() {
    let rig = Rig::new().await;
    let key = [("idempotency-key", "k")];
    let endpoint = |url: &str| json!({ "name": "e", "url": url });
    rig.call("POST", "/v1/webhook-endpoints", &key, Some(&endpoint("http://x.example.com"))).await.refused(422, "url_not_https");
    let first = rig.call("POST", "/v1/webhook-endpoints", &key, Some(&endpoint("https://x.example.com"))).await;
    let again = rig.call("POST", "/v1/webhook-endpoints", &key, Some(&endpoint("https://x.example.com"))).await;
    assert_eq!((first.status, &first.text), (201, &again.text));
    let id = first.json()["entities"][0]["id"].as_str().expect("an id").to_owned();
    let path = format!("/v1/webhook-endpoints/{id}");
    let delete = [("idempotency-key", "gone")];
    let gone = rig.call("DELETE", &path, &delete, None).await;
    assert_eq!(rig.call("DELETE", &path, &delete, None).await.text, gone.text);
    rig.call("DELETE", "/v1/webhook-endpoints/other", &delete, None).await.refused(422, "idempotency_key_reused");
}

#[tokio::test]
async fn a_stale_version_is_refused() {
    let rig = Rig::new().await;
    let cycle = rig.cycle(1).await;
    let path = format!("/v1/accounts/{}", rig.account(&cycle).await);
    let change = |version: &'static str| {
        let (rig, path) = (&rig, format!("{path}/bill-cycle"));
        let body = json!({ "billCycle": cycle });
        async move { rig.call("POST", &path, &[("if-match", version)], Some(&body)).await }
    };
    change("\"2\"").await.refused(412, "stale_version");
    change("\"1\"").await.expect(200);
    change("1").await.refused(412, "stale_version");
    change("2").await.expect(200);
    change("*").await.expect(200);
    let document = openapi();
    let parameters = &document["paths"]["/v1/accounts/{account}/bill-cycle"]["post"]["parameters"];
    let told = parameters.as_array().and_then(|all| all.iter().find(|one| one["name"] == "If-Match")).expect("the header");
    let documented = jsonschema::validator_for(&told["schema"]).expect("a schema");
    for good in ["\"2\"", "1", "*"] {
        assert!(documented.is_valid(&json!(good)), "{good}");
    }
    for bad in ["W/\"4\"", "\"4\", \"5\"", "four", "\"\"", "-1", "+1", "0000000000000000001", "9223372036854775808"] {
        change(bad).await.refused(400, "bad_if_match");
        assert!(!documented.is_valid(&json!(bad)), "{bad}");
    }
    let queue = format!("/v1/queues/{}", rig.queue("q", &["account.created"]).await);
    rig.call("DELETE", &queue, &[("if-match", "\"2\"")], None).await.refused(412, "stale_version");
    rig.call("DELETE", &queue, &[("if-match", "\"1\"")], None).await.expect(200);
}

#[tokio::test]
async fn what_two_parties_could_read_differently_is_refused() {
    let rig = Rig::new().await;
    let bearer = format!("Bearer {}", rig.key);
    let post = async |more: &[(&str, &str)]| {
        let headers = [&[("authorization", bearer.as_str()), ("content-type", "application/json")], more].concat();
        rig.raw("POST", "/v1/bill-cycles", &headers, json!({ "name": "c", "period": "day" }).to_string()).await
    };
    for twice in [("authorization", bearer.as_str()), ("content-type", "application/json"), ("content-type", "text/plain")] {
        post(&[twice]).await.refused(400, "bad_request");
    }
    post(&[("host", "a.example"), ("host", "b.example")]).await.refused(400, "bad_request");
    post(&[("host", "a.example"), ("content-encoding", "identity")]).await.expect(201);
    for unclear in ["+5", "%2B5", "5%20", "0x5", "5.0", "1e1", "-", ""] {
        rig.get(&format!("/v1/accounts?limit={unclear}")).await.refused(400, "invalid_parameter");
    }
    let path = format!("/v1/bill-cycles/{}", rig.cycle(1).await);
    let known = async |values: &[&str]| {
        let headers: Vec<_> = values.iter().map(|value| ("if-none-match", *value)).collect();
        rig.call("GET", &path, &headers, None).await
    };
    for nothing in [&[""][..], &[" , "], &["", ""]] {
        known(nothing).await.refused(400, "bad_request");
    }
    known(&["\"1\"", &"x".repeat(1_021)]).await.refused(400, "bad_request");
    for (listed, status) in [(&["\"7\"", "W/\"1\""][..], 304), (&["", "\"1\""], 304), (&["*"], 304), (&["\"7\""], 200), (&["\"ü\""], 200)]
    {
        assert_eq!(known(listed).await.status, status, "{listed:?}");
    }
}

#[tokio::test]
async fn events_belong_to_the_trace_of_the_call_if_it_has_a_valid_one() {
    let rig = Rig::new().await;
    let caused = async |trace: &[(&str, &str)]| {
        let made = rig.call("POST", "/v1/bill-cycles", trace, Some(&json!({ "name": "c", "period": "day" }))).await.expect(201);
        let id = made["events"][0]["id"].as_str().expect("an event").to_owned();
        (id.replace('-', ""), rig.get(&format!("/v1/events/{id}")).await.expect(200)["traceparent"].clone())
    };
    let (id, told) = caused(&[("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")]).await;
    assert_eq!(told, format!("00-4bf92f3577b34da6a3ce929d0e0e4736-{}-01", &id[16..]));
    for none in [&[][..], &[("traceparent", "00-4bf9-00f0-01")], &[("traceparent", "x"), ("traceparent", "y")]] {
        assert_eq!(caused(none).await.1, json!(null), "{none:?}");
    }
}

#[tokio::test]
async fn no_answer_is_stored_by_a_cache_or_read_as_another_type() {
    let rig = Rig::new().await;
    for (path, caching) in [
        ("/v1/accounts", "no-store"),
        ("/v1/accounts/nobody", "no-store"),
        ("/v1/nothing", "no-store"),
        ("/livez", "no-store"),
        ("/readyz", "no-store"),
        ("/openapi.json", "no-cache"),
        ("/openapi-3.1.json", "no-cache"),
        ("/schemas/account.created/v1.json", "no-cache"),
        ("/docs", "no-cache"),
    ] {
        let answer = rig.get(path).await;
        assert_eq!((answer.header("x-content-type-options"), answer.header("cache-control")), ("nosniff", caching), "{path}");
    }
}

#[tokio::test]
async fn wrong_addresses_and_methods() {
    let rig = Rig::new().await;
    for path in ["/", "/v1", "/v2/accounts", "/v1/nothing", "/v1/accounts/", "/v1/accounts/a/b", "/docs/../x", "/docs/LICENSE"] {
        rig.raw("GET", path, &[], Vec::new()).await.refused(404, "route_not_found");
    }
    for (method, path, allow) in [
        ("PUT", "/v1/accounts", "GET, HEAD, POST"),
        ("PUT", "/v1/queues/x", "DELETE, GET, HEAD, PATCH"),
        ("DELETE", "/v1/accounts/x/status", "POST"),
        ("PATCH", "/v1/notification-templates/predefined", "GET, HEAD"),
        ("DELETE", "/v1/notification-templates/predefined", "GET, HEAD"),
        ("PUT", "/v1/notification-templates/x", "DELETE, GET, HEAD, PATCH"),
        ("GET", "/v1/test-clock", "POST"),
        ("POST", "/livez", "GET, HEAD"),
        ("OPTIONS", "/v1/accounts/x", "DELETE, GET, HEAD, PATCH"),
    ] {
        let answer = rig.raw(method, path, &[], Vec::new()).await;
        assert_eq!(answer.header("allow"), allow, "{method} {path}");
        answer.refused(405, "method_not_allowed");
    }
}

#[tokio::test]
async fn a_callers_request_id_is_kept_if_it_is_fit_for_logs() {
    let rig = Rig::new().await;
    assert_eq!(rig.raw("GET", "/livez", &[("x-request-id", "abc-1")], Vec::new()).await.header("x-request-id"), "abc-1");
    for unfit in ["a b", &"x".repeat(129)] {
        let answer = rig.raw("GET", "/v1/nothing", &[("x-request-id", unfit)], Vec::new()).await;
        assert_ne!(answer.header("x-request-id"), unfit);
        answer.refused(404, "route_not_found");
    }
}

#[tokio::test]
async fn documents_health_and_swagger_ui_are_served() {
    let rig = Rig::new().await;
    let get = |path: &'static str| rig.raw("GET", path, &[], Vec::new());
    assert_eq!(get("/openapi.json").await.expect(200), openapi());
    assert_eq!(get("/openapi-3.1.json").await.expect(200), billwire_api::openapi_31());
    assert_eq!(get("/livez").await.expect(200), json!({ "status": "ok" }));
    let ready = get("/readyz").await.expect(200);
    assert_eq!(ready["status"], "ok", "{ready}");
    for part in ["database", "storage", "setAside"] {
        assert!(ready["parts"][part]["status"] == "ok" && ready["parts"][part]["since"].is_string(), "{ready}");
    }
    for path in [
        "/openapi.json",
        "/openapi-3.1.json",
        "/asyncapi.json",
        "/asyncapi",
        "/asyncapi/page.css",
        "/schemas/account.created/v1.json",
        "/docs",
        "/docs/swagger-ui.css",
    ] {
        let with = async |name, value: &str| rig.raw("GET", path, &[(name, value)], Vec::new()).await;
        let etag = get(path).await.header("etag").to_owned();
        assert!(etag.starts_with("W/\"") && with("if-none-match", "\"x\"").await.status == 200, "{path}: {etag}");
        let known = with("if-none-match", &etag).await;
        assert_eq!((known.status, known.text.as_str(), known.header("etag")), (304, "", etag.as_str()), "{path}");
    }
    let packed = rig.raw("GET", "/openapi.json", &[("accept-encoding", "br, gzip")], Vec::new()).await;
    assert_eq!((packed.header("content-encoding"), packed.header("vary")), ("gzip", "accept-encoding"));
    let page = get("/docs").await;
    assert!(page.text.contains("/docs/swagger-ui-bundle.js") && !page.text.contains("://"), "nothing from elsewhere");
    for (path, media_type, encoding) in [
        ("/docs", "text/html; charset=utf-8", ""),
        ("/docs/initializer.js", "text/javascript; charset=utf-8", ""),
        ("/docs/swagger-ui-bundle.js", "text/javascript; charset=utf-8", "gzip"),
        ("/docs/swagger-ui.css", "text/css; charset=utf-8", "gzip"),
        ("/docs/favicon-32x32.png", "image/png", ""),
        ("/docs/oauth2-redirect.html", "text/html; charset=utf-8", ""),
        ("/docs/oauth2-redirect.js", "text/javascript; charset=utf-8", ""),
    ] {
        let asset = get(path).await;
        assert_eq!((asset.status, asset.header("content-type"), asset.header("content-encoding")), (200, media_type, encoding), "{path}");
        assert!(asset.header("content-security-policy").contains("default-src 'none'"), "{path}");
        assert!(!asset.header("content-security-policy").contains("unsafe"), "{path}");
    }
}

#[tokio::test]
async fn the_page_of_the_api_knows_the_identity_provider_that_is_configured_and_may_call_no_other() {
    let get = async |rig: &Rig, path: &str| rig.raw("GET", path, &[], Vec::new()).await;
    let without = Rig::new().await;
    assert_eq!(get(&without, "/docs/sign-in.json").await.expect(200), json!({}));
    assert!(get(&without, "/docs").await.header("content-security-policy").contains("connect-src 'self';"));
    assert_eq!(get(&without, "/openapi.json").await.json(), billwire_api::openapi());
    let (issuer, origin) = ("https://login.example.com/realms/staff/".to_owned(), "https://login.example.com".to_owned());
    let sign_in = SignIn { issuer: issuer.clone(), origin, client_id: "docs".to_owned(), resource: Some("urn:billing".to_owned()) };
    let with = Rig::with(Options { sign_in: Some(sign_in), ..Options::default() }, false).await;
    let told = json!({ "issuer": issuer, "clientId": "docs", "resource": "urn:billing" });
    assert_eq!(get(&with, "/docs/sign-in.json").await.expect(200), told);
    for path in ["/docs", "/docs/initializer.js", "/docs/oauth2-redirect.html"] {
        let policy = get(&with, path).await.header("content-security-policy").to_owned();
        assert!(policy.contains("connect-src 'self' https://login.example.com;"), "{policy}");
    }
    for path in ["/openapi.json", "/openapi-3.1.json"] {
        let document = get(&with, path).await.json();
        let scheme = &document["components"]["securitySchemes"]["identityProvider"];
        let url = "https://login.example.com/realms/staff/.well-known/openid-configuration";
        assert_eq!((&scheme["type"], &scheme["openIdConnectUrl"]), (&json!("openIdConnect"), &json!(url)));
        let security = json!([{ "bearer": [] }, { "identityProvider": [] }]);
        assert_eq!(document["paths"]["/v1/accounts"]["get"]["security"], security, "{path}");
    }
}

#[tokio::test]
async fn a_full_outbox_is_not_ready_and_accepts_nothing() {
    let rig = Rig::new().await;
    rig.app.set_backlog_full(true);
    let refused = rig.raw("GET", "/readyz", &[], Vec::new()).await.refused(503, "overloaded");
    let parts = &refused["parts"];
    assert_eq!((&parts["outbox"]["status"], &parts["database"]["status"]), (&json!("down"), &json!("ok")), "{refused}");
    assert!(parts["outbox"]["detail"].as_str().is_some_and(|detail| detail.contains("outbox is full")), "{refused}");
    let answer = rig.post("/v1/bill-cycles", json!({ "name": "c", "period": "day" })).await;
    assert_eq!(answer.header("retry-after"), "1");
    answer.refused(503, "unavailable");
    rig.app.set_backlog_full(false);
    assert_eq!(rig.get("/v1/bill-cycles").await.expect(200), json!({ "items": [] }));
}

#[tokio::test]
async fn a_restored_database_is_read_and_accepts_nothing() {
    let rig = Rig::new().await;
    rig.post("/v1/bill-cycles", json!({ "name": "c", "period": "day" })).await.expect(201);
    rig.store.refuse_as_restored();
    rig.raw("GET", "/readyz", &[], Vec::new()).await.refused(503, "restored_database");
    rig.raw("GET", "/livez", &[], Vec::new()).await.expect(200);
    let answer = rig.post("/v1/bill-cycles", json!({ "name": "d", "period": "day" })).await;
    assert_eq!(answer.header("retry-after"), "1");
    answer.refused(503, "restored_database");
    assert_eq!(rig.get("/v1/bill-cycles").await.expect(200)["items"].as_array().map(Vec::len), Some(1));
}
