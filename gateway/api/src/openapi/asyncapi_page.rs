//! The AsyncAPI document as a page, without scripts.

use std::fmt::Write;

use billwire_schemas::events::{catalogue, envelope::schema_path};
use serde_json::Value;

use crate::openapi::{asyncapi::DESCRIPTION, schema::pascal};

/// The style sheet's path.
pub(crate) const STYLE: &str = "/asyncapi/page.css";

/// Text between tags or in an attribute.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// Escaped text with `code` and **strong** words, and paragraphs.
fn prose(text: &str) -> String {
    let marked = |text: String, mark: &str, tag: &str| {
        let mut parts = text.split(mark);
        let first = parts.next().unwrap_or_default().to_owned();
        parts.enumerate().fold(first, |all, (index, part)| format!("{all}<{}{tag}>{part}", if index % 2 == 0 { "" } else { "/" }))
    };
    let paragraph = |text: &str| format!("<p>{}</p>", marked(marked(escape(text), "**", "strong"), "`", "code"));
    text.split("\n\n").map(paragraph).collect()
}

/// The page of `document`, which is [`crate::openapi::asyncapi::asyncapi`]'s.
pub(crate) fn page(document: &Value) -> String {
    let mut html = format!(
        "<!DOCTYPE html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <title>Billwire events</title><link rel=\"stylesheet\" href=\"{STYLE}\"></head><body><h1>Billwire events</h1>{}\
         <p>This page shows <a href=\"/asyncapi.json\">/asyncapi.json</a>, for generators. Operations are at <a href=\"/docs\">/docs</a>.</p>\
         <nav aria-label=\"Event types\"><ul>",
        prose(DESCRIPTION)
    );
    let mut written = Ok(());
    for event in catalogue::all() {
        written = written.and_then(|()| write!(html, "<li><a href=\"#{0}\">{0}</a></li>", event.name));
    }
    html.push_str("</ul></nav><main>");
    for event in catalogue::all() {
        let id = pascal(event.name);
        let (channel, message) = (&document["channels"][&id], &document["components"]["messages"][&id]);
        let example = serde_json::to_string_pretty(&message["examples"][0]["payload"]).unwrap_or_default();
        let rows: String = event
            .offers()
            .filter(|(_, email_only)| !email_only)
            .map(|(parameter, _)| {
                let (name, kind, meaning) = (escape(parameter.name), parameter.kind.name(), escape(parameter.meaning));
                format!("<tr><td><code>{name}</code></td><td>{kind}</td><td>{meaning}</td></tr>")
            })
            .collect();
        written = written.and_then(|()| {
            write!(
                html,
                "<section id=\"{name}\"><h2>{name}</h2>{description}<p>Subject: <code>{address}</code></p>\
                 <p><a href=\"{schema}\">JSON Schema</a></p>\
                 <details><summary>Parameters</summary><div class=\"wide\"><table><thead><tr><th>Name</th><th>Type</th><th>Meaning</th></tr></thead>\
                 <tbody>{rows}</tbody></table></div></details><details><summary>Example</summary><pre>{example}</pre></details></section>",
                name = event.name,
                description = prose(&event.description()),
                address = escape(channel["address"].as_str().unwrap_or_default()),
                schema = schema_path(event.name, 1),
                example = escape(&example),
            )
        });
    }
    html.push_str("</main></body></html>");
    // Writing to a text does not fail.
    written.map_or_else(|_| String::new(), |()| html)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_become_tags_and_other_characters_stay_text() {
        assert_eq!(prose("a `<b>` **c**\n\nd & e"), "<p>a <code>&lt;b&gt;</code> <strong>c</strong></p><p>d &amp; e</p>");
    }
}
