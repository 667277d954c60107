//! Another tenant's id, in the path or in the body, is answered as one that nobody has: the same bytes, for the same statements.

use std::sync::{Arc, Mutex, PoisonError};

use billwire_schemas::ids::fresh;
use serde_json::Value;
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{Layer, layer::Context, layer::SubscriberExt};

use crate::{
    examples::{Example, play},
    rig::Rig,
};

/// The statements that this thread sends, where the driver says so.
#[derive(Clone, Default)]
struct Statements(Arc<Mutex<Vec<String>>>);

/// The beginning of a statement, and the whole where that is more.
#[derive(Default)]
struct Text(String);

impl Visit for Text {
    fn record_str(&mut self, field: &Field, value: &str) {
        if ["summary", "db.statement"].contains(&field.name()) {
            self.0.push_str(value);
        }
    }
    fn record_debug(&mut self, _: &Field, _: &dyn std::fmt::Debug) {}
}

impl<S: Subscriber> Layer<S> for Statements {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if event.metadata().target() != "sqlx::query" {
            return;
        }
        let mut text = Text::default();
        event.record(&mut text);
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(text.0);
    }
}

impl Statements {
    /// What was sent since the last time, but for what the gateway does beside its calls.
    fn taken(&self) -> Vec<String> {
        let all = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        all.into_iter().filter(|sql| !sql.contains("pg_notify") && !sql.contains("('billwire.tenants', $1, false)")).collect()
    }
}

/// The call with another id in place of each that exists.
fn elsewhere(example: &Example<'_>) -> (String, Option<Value>, Vec<(String, String)>) {
    let ids: Vec<(String, String)> = example.ids.iter().map(|id| (id.clone(), fresh().to_string())).collect();
    let changed = |text: String| ids.iter().fold(text, |text, (id, other)| text.replace(id, other));
    let body = example.body.as_ref().map(|body| serde_json::from_str(&changed(body.to_string())).expect("JSON"));
    (changed(example.path.clone()), body, ids)
}

/// A response without what differs between any two.
fn plain(answer: &crate::rig::Answer, ids: &[(String, String)]) -> (u16, String) {
    let mut text = answer.text.replace(answer.header("x-request-id"), "");
    for (id, other) in ids {
        text = text.replace(other, id);
    }
    (answer.status, text)
}

#[tokio::test]
async fn a_foreign_id_is_answered_as_one_that_does_not_exist() {
    let statements = Statements::default();
    let _counted = tracing::subscriber::set_default(tracing_subscriber::registry().with(statements.clone()));
    for rig in Rig::everywhere().await {
        let stranger = rig.key_of("stranger", &["*"]).await;
        let checked = std::cell::Cell::new(0);
        let by = async |method: &str, path: &str, body: &Option<Value>| {
            let bearer = format!("Bearer {stranger}");
            let mut headers = vec![("authorization", bearer.as_str())];
            headers.extend(body.as_ref().map(|_| ("content-type", "application/json")));
            let answer = rig.raw(method, path, &headers, body.as_ref().map(|body| body.to_string().into_bytes()).unwrap_or_default()).await;
            (answer, statements.taken())
        };
        play(&rig, async |example| {
            let (path, body, ids) = elsewhere(example);
            if path == example.path && body == example.body {
                return;
            }
            checked.set(checked.get() + 1);
            let mut sent = Vec::new();
            // Beside a call, the gateway may do something else; not three times.
            for _ in 0..3 {
                statements.taken();
                let (foreign, theirs) = by(example.method, &example.path, &example.body).await;
                let (missing, nobodys) = by(example.method, &path, &body).await;
                assert_eq!(plain(&foreign, &ids), plain(&missing, &ids), "{}", example.id);
                sent = vec![theirs, nobodys];
                if sent[0] == sent[1] {
                    break;
                }
            }
            assert_eq!(sent[0], sent[1], "{}", example.id);
        })
        .await;
        assert!(checked.get() > 100, "{}", checked.get());
        if rig.url().starts_with("postgres") {
            statements.taken();
            let (answer, sent) = by("GET", "/v1/accounts/none", &None).await;
            answer.refused(404, "account_not_found");
            assert!(sent.iter().any(|sql| sql.contains("account")), "statements are seen: {sent:?}");
        }
    }
}
