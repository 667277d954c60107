//! Another tenant's id, in the path or in the body, is answered as one that nobody has: with the same bytes, after the same statements.

use std::{collections::BTreeMap, process::Command};

use billwire_schemas::ids::fresh;
use serde_json::Value;

use crate::{
    examples::{Example, play},
    rig::Rig,
};

/// The call with ids in place of names.
fn by_ids(example: &Example<'_>) -> (String, Option<Value>) {
    let (mut path, mut body) = (example.path.clone(), example.body.clone());
    let below = |named: &str| path.strip_prefix(named).filter(|rest| rest.is_empty() || rest.starts_with('/'));
    let found = example.named.iter().rev().find_map(|(named, id)| Some((named.rsplit_once('/')?.0, id, below(named)?)));
    if let Some((folder, id, rest)) = found {
        path = format!("{folder}/{id}{rest}");
    }
    body.iter_mut().for_each(|body| with_ids(body, "", &example.named));
    (path, body)
}

fn with_ids(value: &mut Value, member: &str, named: &[(String, String)]) {
    match value {
        Value::Object(members) => members.iter_mut().for_each(|(member, value)| with_ids(value, member, named)),
        Value::String(text) if member.ends_with("Id") => {
            if let Some((_, id)) = named.iter().rev().find(|(path, _)| path.ends_with(&format!("/{text}"))) {
                text.clone_from(id);
            }
        }
        _ => {}
    }
}

/// The call with another id in place of each that exists.
fn elsewhere((path, body): &(String, Option<Value>), ids: &[String]) -> (String, Option<Value>, Vec<(String, String)>) {
    let ids: Vec<(String, String)> = ids.iter().map(|id| (id.clone(), fresh().to_string())).collect();
    let changed = |text: String| ids.iter().fold(text, |text, (id, other)| text.replace(id, other));
    let body = body.as_ref().map(|body| serde_json::from_str(&changed(body.to_string())).expect("JSON"));
    (changed(path.clone()), body, ids)
}

/// A response without what differs between any two.
fn plain(answer: &crate::rig::Answer, ids: &[(String, String)]) -> (u16, String) {
    let mut text = answer.text.replace(answer.header("x-request-id"), "");
    for (id, other) in ids {
        text = text.replace(other, id);
    }
    (answer.status, text)
}

/// How often each statement ran in a database of PostgreSQL, as the server counts them.
struct Statements {
    superuser: String,
    database: String,
}

impl Statements {
    /// Counts from the next connection on.
    fn of(rig: &Rig) -> Self {
        let (server, database) = rig.url().rsplit_once('/').expect("a database name");
        let superuser = format!("{}/postgres", server.replacen("billwire@", "postgres@", 1));
        let one = Self { superuser, database: database.to_owned() };
        one.ask(&format!("ALTER ROLE billwire IN DATABASE {database} SET pg_stat_statements.track = 'top'"));
        one
    }

    fn ask(&self, sql: &str) -> String {
        let asked = Command::new("psql").args([&self.superuser, "-tAqc", sql]).output().expect("psql");
        assert!(asked.status.success(), "{}", String::from_utf8_lossy(&asked.stderr));
        String::from_utf8(asked.stdout).expect("text")
    }

    fn counted(&self) -> BTreeMap<String, u64> {
        let counts = self.ask(&format!(
            "SELECT s.calls, translate(s.query, E'\\n', ' ') FROM pg_stat_statements s JOIN pg_database d ON d.oid = s.dbid \
             WHERE d.datname = '{}'",
            self.database
        ));
        let read = |line: &str| {
            let (calls, query) = line.split_once('|').expect("two columns");
            (query.to_owned(), calls.parse().expect("a number"))
        };
        counts.lines().map(read).collect()
    }
}

/// How often the calls are made of which the statements are counted: what runs beside them runs less often.
const CALLS: u64 = 3;
/// How often two different counts are taken again.
const TRIES: usize = 5;

/// The statements of each call, and how often it runs them.
fn of_each(before: &BTreeMap<String, u64>, after: &BTreeMap<String, u64>) -> BTreeMap<String, u64> {
    let each = |(query, calls): (&String, &u64)| (query.clone(), (calls - before.get(query).unwrap_or(&0)) / CALLS);
    after.iter().map(each).filter(|(_, calls)| *calls > 0).collect()
}

#[tokio::test]
async fn a_foreign_id_is_answered_as_one_that_does_not_exist() {
    for rig in Rig::everywhere().await {
        let statements = rig.url().starts_with("postgres").then(|| Statements::of(&rig));
        let rig = rig.beside().await;
        let stranger = rig.key_of("stranger", &["*"]).await;
        let (checked, counted) = (std::cell::Cell::new(0), std::cell::Cell::new(0));
        let by = async |method: &str, path: &str, body: &Option<Value>| {
            let bearer = format!("Bearer {stranger}");
            let mut headers = vec![("authorization", bearer.as_str())];
            headers.extend(body.as_ref().map(|_| ("content-type", "application/json")));
            rig.raw(method, path, &headers, body.as_ref().map(|body| body.to_string().into_bytes()).unwrap_or_default()).await
        };
        play(&rig, async |example| {
            let own = by_ids(example);
            let (path, body, ids) = elsewhere(&own, &example.ids);
            if path == own.0 && body == own.1 {
                return;
            }
            checked.set(checked.get() + 1);
            let foreign = by(example.method, &own.0, &own.1).await;
            let missing = by(example.method, &path, &body).await;
            assert_eq!(plain(&foreign, &ids), plain(&missing, &ids), "{}", example.id);
            let Some(statements) = &statements else { return };
            let mut of_both = (BTreeMap::new(), BTreeMap::new());
            // What the gateway does beside the calls may fall into one half as often as the calls.
            for _ in 0..TRIES {
                let before = statements.counted();
                for _ in 0..CALLS {
                    by(example.method, &own.0, &own.1).await;
                }
                let between = statements.counted();
                for _ in 0..CALLS {
                    by(example.method, &path, &body).await;
                }
                of_both = (of_each(&before, &between), of_each(&between, &statements.counted()));
                if of_both.0 == of_both.1 {
                    break;
                }
            }
            let (foreign, missing) = of_both;
            assert_eq!(foreign, missing, "{}", example.id);
            counted.set(counted.get() + foreign.len());
        })
        .await;
        assert!(checked.get() > 60, "{}", checked.get());
        assert!(statements.is_none() || counted.get() > 60, "{}", counted.get());
    }
}
