//! People and programs that sign in through a certified OpenID Connect provider.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Stdio},
    time::Duration,
};

use billwire_tests::{
    api::Api,
    eventually,
    gateway::{BOTH, Database, Gateway, Setup},
    identity_provider::{HOST, IdentityProvider, PUBLIC, PUBLIC_PAGE},
    peers,
};
use serde_json::{Value, json};

/// A gateway that knows a provider with a key `k1` of this kind.
async fn with_provider(name: &str, database: Database, algorithm: &str, seconds: u32) -> (Setup, Gateway, IdentityProvider) {
    let mut setup = Setup::new(name, database);
    let provider = IdentityProvider::start(&setup, "k1", algorithm, seconds);
    provider.known_to(&mut setup);
    let gateway = setup.start().await;
    (setup, gateway, provider)
}

/// The API as the bearer of a token sees it.
fn bearing(setup: &Setup, token: &str) -> Api {
    Api::new(&setup.api().base, token)
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_of_a_certified_provider_work_with_keys_of_every_kind_and_through_rotations() {
    for (database, algorithm, next) in
        [(Database::Sqlite, "RS256", "ES256"), (Database::Postgres, "ES256", "EdDSA"), (Database::Sqlite, "EdDSA", "RS256")]
    {
        let (setup, gateway, mut provider) = with_provider("provider", database, algorithm, 300).await;
        let role = json!({ "name": "cycles", "scopes": ["bill_cycles:write", "bill_cycles:read"] });
        setup.api().post("/v1/roles", role).await.expect(201);
        setup.api().post("/v1/identity-providers", IdentityProvider::request("Staff", "cycles")).await.expect(201);
        let batch = bearing(&setup, &provider.token("batch").await);
        let cycle = json!({ "name": "c", "period": "month", "billingDay": 1 });
        let made = batch.post("/v1/bill-cycles", cycle).await.expect(201);
        assert_eq!(made["actor"], "Staff: batch");
        batch.get("/v1/queues").await.refused(403, "insufficient_scope");
        bearing(&setup, &provider.token("nobody").await).get("/v1/bill-cycles").await.refused(403, "no_role");
        // Its keys were read once, and are read again for a new one, but not within the minute.
        assert_eq!(provider.asked(), 1);
        provider.rotate(&[("k2", next), ("k1", algorithm)]);
        let rotated = bearing(&setup, &provider.token("batch").await);
        rotated.get("/v1/bill-cycles").await.refused(401, "unauthenticated");
        batch.get("/v1/bill-cycles").await.expect(200);
        assert_eq!(provider.asked(), 1);
        gateway.stop().await;
        // A new process knows none.
        let gateway = setup.start().await;
        rotated.get("/v1/bill-cycles").await.expect(200);
        batch.get("/v1/bill-cycles").await.expect(200);
        provider.away(true);
        tokio::time::sleep(Duration::from_millis(600)).await;
        rotated.get("/v1/bill-cycles").await.expect(200);
        gateway.stop().await;
        let gateway = setup.start().await;
        rotated.get("/v1/bill-cycles").await.refused(503, "identity_provider_unavailable");
        provider.away(false);
        eventually("the issuer to be asked again", async || (rotated.get("/v1/bill-cycles").await.status == 200).then_some(())).await;
        gateway.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_audit_has_people_under_a_pseudonym() {
    for database in BOTH {
        let (setup, gateway, provider) = with_provider("people", database, "ES256", 300).await;
        let api = setup.api();
        let made = api.post("/v1/identity-providers", IdentityProvider::request("Staff", "csr")).await.expect(201);
        let id = made["entities"][0]["id"].clone();
        let batch = bearing(&setup, &provider.token("batch").await);
        for _ in 0..3 {
            batch.get("/v1/queues").await.refused(403, "insufficient_scope");
        }
        batch.patch("/v1/accounts/none", json!({})).await.refused(404, "account_not_found");
        let account = json!({ "name": "A", "currency": "EUR", "billCycle": api.bill_cycle(1).await });
        batch.post("/v1/accounts", account).await.expect(201);
        let entries = async |kind: &str| {
            let path = format!("/v1/audit-entries?limit=200&kind={kind}");
            eventually("the entries", async || {
                let items = api.get(&path).await.expect(200)["items"].as_array().expect("items").clone();
                let found: Vec<Value> = items.into_iter().filter(|entry| entry.to_string().contains("pseudonym")).collect();
                (!found.is_empty()).then_some(found)
            })
            .await
        };
        let signed_in = entries("signIn").await;
        assert_eq!(signed_in.len(), 1, "{signed_in:?}");
        let person = signed_in[0]["person"].clone();
        assert_eq!((&person["identityProviderId"], person["pseudonym"].as_str().map(str::len)), (&id, Some(32)));
        let refusals = entries("refusals").await;
        let count: u64 = refusals
            .iter()
            .flat_map(|entry| entry["refusals"].as_array().expect("refusals"))
            .filter(|refusal| refusal["by"] == json!({ "person": person }) && refusal["operation"] == "listQueues")
            .filter_map(|refusal| refusal["count"].as_u64())
            .sum();
        assert_eq!(count, 3, "{refusals:?}");
        let changes = entries("changes").await;
        let by_person: Vec<&Value> = changes
            .iter()
            .flat_map(|entry| entry["changes"].as_array().expect("changes"))
            .filter(|change| change["by"]["person"] == person)
            .collect();
        assert_eq!(by_person.len(), 1, "{changes:?}");
        assert_eq!(by_person[0]["operation"], "createAccount");
        let whole = api.get("/v1/audit-entries?limit=200").await.expect(200).to_string();
        assert!(!whole.contains("batch"), "{whole}");
        gateway.stop().await;
        let log = std::fs::read_to_string(setup.folder.0.join("gateway.log")).expect("a log");
        assert!(!log.contains("Staff: batch"), "no person in the log");
        let verified = setup.command(&["audit", "verify"]).output().expect("a run");
        assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stdout));
    }
}

/// A `billwire login` that waits for its browser.
struct SigningIn {
    child: Child,
    url: String,
}

/// A setup whose commands reach the provider as through a company's proxy.
async fn behind_proxy(setup: &mut Setup, provider: &IdentityProvider) {
    setup.set("XDG_CONFIG_HOME", setup.folder.0.join("profiles").display().to_string());
    setup.set("HTTPS_PROXY", provider.proxy().await);
    setup.set("SSL_CERT_FILE", provider.authority().display().to_string());
}

impl SigningIn {
    fn start(setup: &Setup, more: &[&str]) -> Self {
        let (api, issuer) = (format!("http://{}", setup.address), IdentityProvider::url());
        let arguments = ["login", "--api", &api, "--issuer", &issuer, "--client-id", PUBLIC];
        let mut child = setup.command(&[&arguments, more].concat()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("started");
        let mut lines = BufReader::new(child.stderr.take().expect("a pipe")).lines();
        let url = lines.by_ref().map_while(Result::ok).find(|line| line.starts_with("https://"));
        // The pipe is read on, so that the program can write.
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(|line| println!("{line}")));
        Self { child, url: url.expect("the URL") }
    }

    fn ended(self) -> (bool, String) {
        let output = self.child.wait_with_output().expect("its end");
        (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

fn run(setup: &Setup, arguments: &[&str]) -> (bool, String) {
    let output = setup.command(arguments).output().expect("a run");
    (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr))
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_signs_in_on_the_command_line_and_stays_signed_in() {
    // Tokens that end within seconds, so that the command has to refresh them.
    let (mut setup, gateway, mut provider) = with_provider("login-issuer", Database::Sqlite, "ES256", 5).await;
    setup.api().post("/v1/identity-providers", IdentityProvider::request("Staff", "admin")).await.expect(201);
    behind_proxy(&mut setup, &provider).await;
    let signing_in = SigningIn::start(&setup, &["--profile", "work"]);
    assert!(signing_in.url.starts_with(&format!("https://{HOST}/auth?")), "{}", signing_in.url);
    for part in ["code_challenge_method=S256", "response_type=code", "redirect_uri=http%3A%2F%2F127.0.0.1%3A"] {
        assert!(signing_in.url.contains(part), "{}", signing_in.url);
    }
    let back = provider.sign_in(&format!("{}&login_hint=joe", signing_in.url)).await;
    // Whoever does not know the state is not heard.
    let port = back.split(['/', ':']).nth(4).expect("a port").to_owned();
    for wrong in ["/callback?code=abc&state=wrong", "/callback?error=access_denied&state=", "/", "/callback"] {
        let answer = reqwest::get(format!("http://127.0.0.1:{port}{wrong}")).await.expect("an answer");
        assert!([400, 404].contains(&answer.status().as_u16()), "{wrong}: {}", answer.status());
    }
    let page = reqwest::get(&back).await.expect("an answer");
    assert_eq!(page.status().as_u16(), 200, "{back}");
    let (done, said) = signing_in.ended();
    assert!(done && said.contains("--profile work"), "{said}");
    let file = setup.folder.0.join("profiles/billwire/work.json");
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&file).expect("a file").permissions());
    assert_eq!(mode & 0o777, 0o600);
    let kept = || std::fs::read_to_string(&file).expect("a file");
    let first = kept();
    let list = ["keys", "list", "--profile", "work"];
    let (done, said) = run(&setup, &list);
    assert!(done && said.contains("admin"), "{said}");
    // What the person makes has their name.
    let made = run(&setup, &["keys", "create", "k", "--scopes", "queues:read", "--profile", "work"]);
    assert!(made.0, "{}", made.1);
    let keys = setup.api().get("/v1/api-keys").await.expect(200);
    let made = keys["items"].as_array().expect("items").iter().find(|key| key["name"] == "k").expect("the key").clone();
    assert_eq!(made["createdBy"], "Name of joe (Staff: joe)");
    // The token ends, and is refreshed, again and again.
    for _ in 0..2 {
        let before = kept();
        eventually("the token to be replaced", async || {
            let (done, said) = run(&setup, &list);
            assert!(done, "{said}");
            tokio::time::sleep(Duration::from_millis(500)).await;
            (kept() != before).then_some(())
        })
        .await;
    }
    assert_ne!(kept(), first);
    provider.away(true);
    let failed = eventually("a refresh to fail", async || {
        let (done, said) = run(&setup, &list);
        (!done).then_some(said)
    })
    .await;
    assert!(failed.contains("--profile work"), "{failed}");
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_nobody_finishes_ends_and_a_refused_one_says_so() {
    let (mut setup, gateway, provider) = with_provider("login-refused", Database::Sqlite, "ES256", 300).await;
    behind_proxy(&mut setup, &provider).await;
    let abandoned = SigningIn::start(&setup, &["--timeout-seconds", "1"]);
    assert!(!abandoned.ended().0);
    // The gateway does not know the provider, so the token that comes is of no use, and nothing is kept.
    let useless = SigningIn::start(&setup, &[]);
    let back = provider.sign_in(&useless.url).await;
    reqwest::get(&back).await.expect("an answer");
    assert!(!useless.ended().0);
    assert!(!setup.folder.0.join("profiles/billwire/default.json").exists());
    // The person says no.
    let denied = SigningIn::start(&setup, &[]);
    let state = denied.url.split(['?', '&']).find_map(|part| part.strip_prefix("state=")).expect("a state").to_owned();
    let redirect = denied.url.split(['?', '&']).find_map(|part| part.strip_prefix("redirect_uri=")).expect("a redirect");
    let redirect = redirect.replace("%3A", ":").replace("%2F", "/");
    reqwest::get(format!("{redirect}?error=access_denied&state={state}")).await.expect("an answer");
    assert!(!denied.ended().0);
    let (done, said) = run(&setup, &["login", "--issuer", "http://login.provider.example", "--client-id", "x"]);
    assert!(!done && said.contains("https"), "{said}");
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_signs_in_on_the_page_of_the_api_with_a_browser() {
    let chromium = peers::chromium();
    let mut setup = Setup::new("docs-sign-in", Database::Sqlite);
    let provider = IdentityProvider::start(&setup, "k1", "ES256", 300);
    provider.known_to(&mut setup);
    setup.set("BILLWIRE_OIDC_ISSUER", IdentityProvider::url()).set("BILLWIRE_OIDC_CLIENT_ID", PUBLIC_PAGE);
    let gateway = setup.start().await;
    setup.api().post("/v1/identity-providers", IdentityProvider::request("Staff", "auditor")).await.expect(201);
    let wanted = json!({
        "chromium": chromium, "docs": format!("http://{}/docs", setup.address), "issuer": IdentityProvider::url(),
        "address": provider.address.to_string(), "folder": setup.folder.0.join("browser").display().to_string(), "operation": "listApiKeys",
    });
    let seen = tokio::task::spawn_blocking(move || peers::run("browser_sign_in.cjs", &[&wanted.to_string()])).await.expect("its end");
    assert_eq!(seen["status"].as_str().map(str::trim), Some("200"), "{seen}");
    assert!(seen["body"].as_str().is_some_and(|body| body.contains("items")), "{seen}");
    assert_eq!(seen["blocked"], json!([]), "{seen}");
    gateway.stop().await;
}
