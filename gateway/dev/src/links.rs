//! Prints where to look and what to try next.

use std::path::Path;

use crate::{client::Api, ports::Ports, prepare::Secrets, terminal};

/// Prints the addresses, files and commands.
pub fn show(warehouse: &str, api: &Api, secrets: &Secrets, ports: Ports) {
    let base = api.base();
    let entry = |what: &str, value: &str| terminal::line(&format!("  {what:<14} {value}"));
    terminal::heading("Where to look");
    entry("API", &format!("{base}/v1"));
    entry("Console", &format!("{base}/console"));
    entry("Swagger UI", &format!("{base}/docs"));
    entry("What arrived", &format!("http://127.0.0.1:{}/ (webhooks and mails)", ports.page));
    match warehouse.strip_prefix("file://") {
        Some(folder) => {
            entry("Warehouse", folder);
            entry("", &duckdb(folder));
        }
        None => entry("Warehouse", warehouse),
    }
    let token = match &secrets.admin_key_file {
        Some(file) => {
            entry("Admin API key", &format!("in {}", file.display()));
            format!("$(cat {})", shell(&file.display().to_string()))
        }
        None => {
            entry("Admin API key", "as configured (BILLWIRE_ADMIN_KEY)");
            "$BILLWIRE_ADMIN_KEY".to_owned()
        }
    };
    entry(
        "Stream",
        "POST /v1/stream-subscriptions makes a subscription; `billwire stream credentials NAME` prints how to read it over NATS",
    );
    entry("Try", &format!("curl -H \"Authorization: Bearer {token}\" {base}/v1/accounts"));
}

/// A shell command that counts the events of each type with DuckDB.
fn duckdb(folder: &str) -> String {
    let files = Path::new(folder).join("events/*/*.parquet");
    let files = files.display().to_string().replace('\'', "''");
    let query = format!("SELECT event_type, count(*) AS events FROM read_parquet('{files}') GROUP BY ALL ORDER BY ALL");
    format!("duckdb -c {}", double_quoted(&query))
}

/// `text` as one word of a shell command.
fn shell(text: &str) -> String {
    let plain = text.chars().all(|c| c.is_ascii_alphanumeric() || "/._-".contains(c));
    if plain { text.to_owned() } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

/// `text` as one word of a shell command, in double quotes: for a text with many single quotes.
fn double_quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for character in text.chars() {
        if "\\\"$`".contains(character) {
            out.push('\\');
        }
        out.push(character);
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_with_special_characters_are_quoted() {
        assert_eq!(shell("/tmp/a_b"), "/tmp/a_b");
        assert_eq!(shell("/tmp/it's mine"), r"'/tmp/it'\''s mine'");
        assert!(duckdb("/tmp/it's $1").ends_with(r#"read_parquet('/tmp/it''s \$1/events/*/*.parquet') GROUP BY ALL ORDER BY ALL""#));
    }
}
