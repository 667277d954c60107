//! Another tenant's id, in the path or in the body, is answered as one that nobody has: with the same bytes.

use billwire_schemas::ids::fresh;
use serde_json::Value;

use crate::{
    examples::{Example, play},
    rig::Rig,
};

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
    for rig in Rig::everywhere().await {
        let stranger = rig.key_of("stranger", &["*"]).await;
        let checked = std::cell::Cell::new(0);
        let by = async |method: &str, path: &str, body: &Option<Value>| {
            let bearer = format!("Bearer {stranger}");
            let mut headers = vec![("authorization", bearer.as_str())];
            headers.extend(body.as_ref().map(|_| ("content-type", "application/json")));
            rig.raw(method, path, &headers, body.as_ref().map(|body| body.to_string().into_bytes()).unwrap_or_default()).await
        };
        play(&rig, async |example| {
            let (path, body, ids) = elsewhere(example);
            if path == example.path && body == example.body {
                return;
            }
            checked.set(checked.get() + 1);
            let foreign = by(example.method, &example.path, &example.body).await;
            let missing = by(example.method, &path, &body).await;
            assert_eq!(plain(&foreign, &ids), plain(&missing, &ids), "{}", example.id);
        })
        .await;
        assert!(checked.get() > 60, "{}", checked.get());
    }
}
