//! The sample tenant: what the examples of the API's document name, so that most of them work as they stand.

use serde::Deserialize;
use serde_json::Value;

use crate::{client::Api, terminal};

/// The objects, in an order in which they can be made; `{mailbox port}` stands for a number.
const SAMPLE: &str = include_str!("sample.json");

/// An object of the sample.
#[derive(Debug, Deserialize)]
struct Object {
    /// The operation that makes it.
    operation: String,
    /// Its path; the folder of the path takes `body`.
    at: String,
    /// The request.
    body: Value,
}

/// Makes the objects that are not there. What a user has done with the others may forbid one: that is told, and no fault.
///
/// # Errors
/// When there is no response.
pub async fn fill(api: &Api, mailbox_port: u16) -> Result<(), String> {
    let objects = objects(mailbox_port)?;
    let mut made = 0;
    for object in &objects {
        if api.get(&object.at).await?.status != 404 {
            continue;
        }
        let folder = object.at.rsplit_once('/').map_or("", |(folder, _)| folder);
        match api.post(folder, &object.body).await?.success(&object.operation) {
            Ok(_) => made += 1,
            Err(refused) => terminal::line(&format!("  – {}: {refused}", object.at)),
        }
    }
    let there = if made == 0 { "as it was left".to_owned() } else { format!("{made} objects made") };
    terminal::done("sample tenant", &format!("what the examples in Swagger UI name: {there}"));
    Ok(())
}

fn objects(mailbox_port: u16) -> Result<Vec<Object>, String> {
    let text = SAMPLE.replace("\"{mailbox port}\"", &mailbox_port.to_string());
    serde_json::from_str(&text).map_err(|e| format!("the sample tenant: {e}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_object_has_a_path_of_its_own_in_a_folder() {
        let objects = objects(25).unwrap();
        assert!(objects.iter().all(|object| object.at.matches('/').count() == 2), "{objects:?}");
        let mut paths: Vec<&str> = objects.iter().map(|object| object.at.as_str()).collect();
        paths.sort_unstable();
        paths.dedup();
        assert_eq!(paths.len(), objects.len());
    }
}
