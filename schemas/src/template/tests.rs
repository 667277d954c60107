use serde_json::json;

use super::*;

const OFFERED: &[&str] = &["account.name", "account.externalId", "account.status", "event.name", "current.date"];

fn text(source: &str) -> Template {
    Template { subject: "News".to_owned(), text: source.to_owned(), html: None }
}

fn html(source: &str) -> Template {
    Template { html: Some(source.to_owned()), ..text("") }
}

fn parameters(pairs: &[(&str, serde_json::Value)]) -> Parameters {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
}

fn acme() -> Parameters {
    parameters(&[("account.name", json!("Acme <b>&</b> Co")), ("event.name", json!("Account Created"))])
}

fn rendered_text(source: &str) -> Result<String, RenderError> {
    render(&text(source), &acme(), &Locale::default()).map(|r| r.text)
}

fn rendered_html(source: &str) -> String {
    render(&html(source), &acme(), &Locale::default()).unwrap().html.unwrap()
}

fn codes(template: &Template) -> Vec<(&'static str, &'static str, Option<usize>)> {
    check(template, OFFERED).err().unwrap_or_default().iter().map(|f| (f.part, f.code.as_str(), f.line)).collect()
}

#[test]
fn parameters_are_filled_in_and_escaped_in_html_only() {
    let template = Template {
        subject: "{{ event.name }}: {{ account.name }}".to_owned(),
        text: "Dear {{ account.name }}".to_owned(),
        html: Some("<p>Dear {{ account.name }}</p>".to_owned()),
    };
    assert_eq!(check(&template, OFFERED), Ok(()));
    let rendered = render(&template, &acme(), &Locale::default()).unwrap();
    assert_eq!(rendered.subject, "Account Created: Acme <b>&</b> Co");
    assert_eq!(rendered.text, "Dear Acme <b>&</b> Co");
    assert_eq!(rendered.html.unwrap(), "<p>Dear Acme &lt;b&gt;&amp;&lt;&#x2f;b&gt; Co</p>");
}

#[test]
fn a_typo_is_refused_with_its_line_and_the_nearest_name() {
    let faults = check(&text("Hello,\n\ndear {{ account.nmae }}"), OFFERED).unwrap_err();
    assert_eq!(faults.len(), 1);
    assert_eq!(
        (faults[0].part, faults[0].code.as_str(), faults[0].line, faults[0].column),
        ("text", "template_unknown_parameter", Some(3), Some(9))
    );
    assert_eq!(faults[0].near[0], "account.name");
    assert!(faults[0].message.contains("did you mean account.name"), "{}", faults[0].message);
}

#[test]
fn every_fault_of_every_part_is_named() {
    let template = Template {
        subject: "{{ invoice.total }}".to_owned(),
        text: "{{ account.nmae }} {{ acount.name }}\n{{ account.name|uper }}".to_owned(),
        html: Some("<p>\n{% if account.name %}".to_owned()),
    };
    assert_eq!(
        codes(&template),
        [
            ("subject", "template_unknown_parameter", Some(1)),
            ("text", "template_syntax", Some(2)),
            ("text", "template_unknown_parameter", Some(1)),
            ("text", "template_unknown_parameter", Some(1)),
            ("html", "template_syntax", Some(2)),
        ]
    );
    let uper = check(&text("{{ account.name|uper }}"), OFFERED).unwrap_err().remove(0);
    assert_eq!(uper.near[0], "upper");
}

#[test]
fn what_loads_or_unescapes_is_forbidden() {
    for source in [
        "{% include 'etc/passwd' %}",
        "{%- import 'x' as x %}",
        "{% from 'x' import y %}",
        "{% extends 'x' %}",
        "{{ account.name|safe }}",
        "{{ account.name | upper | safe }}",
        "{% filter safe %}x{% endfilter %}",
        "{% autoescape false %}{{ account.name }}{% endautoescape %}",
    ] {
        assert_eq!(codes(&html(source)), [("html", "template_forbidden", Some(1))], "{source}");
    }
    for harmless in ["{# {{ x|safe }} #}", "{% raw %}{{ x|safe }} {% include 'x' %}{% endraw %}", "{{ '|safe' }}", "{ % |safe"] {
        assert_eq!(codes(&html(harmless)), [], "{harmless}");
    }
}

#[test]
fn escaping_cannot_be_switched_off_even_without_the_check() {
    for source in [
        "{% autoescape false %}{{ account.name }}{% endautoescape %}",
        "{% autoescape false %}{% set x %}{{ account.name }}{% endset %}{{ x }}{% endautoescape %}",
        "{% set f %}%s{% endset %}{{ f|format(account.name) }}",
        "{% set x %}{{ account.name }}{% endset %}{{ x }}",
        "{% macro m(x) %}{{ x }}{% endmacro %}{{ m(account.name) }}",
        "{{ ('a' ~ account.name)|upper|lower }}",
        "{{ [account.name, account.name]|join(', ') }}",
        "{% set s %}-{% endset %}{{ [account.name, s]|join(s) }}",
        "{% set s %}-{% endset %}{{ s|replace('-', account.name) }}",
        "{% set s %}-{% endset %}{{ s ~ account.name }}",
    ] {
        let out = rendered_html(source).to_lowercase();
        assert!(!out.contains("<b>") && out.contains("acme"), "{source}: {out}");
    }
    assert!(render(&html("{{ account.name|safe }}"), &acme(), &Locale::default()).is_err());
    assert!(render(&html("{{ [account.name]|map('safe')|join }}"), &acme(), &Locale::default()).is_err());
}

#[test]
fn parameters_are_data_and_never_templates() {
    let sly = parameters(&[("account.name", json!("{{ 7 * 7 }}{% include 'x' %}"))]);
    assert_eq!(render(&text("{{ account.name }}"), &sly, &Locale::default()).unwrap().text, "{{ 7 * 7 }}{% include 'x' %}");
}

#[test]
fn an_absent_parameter_can_be_asked_for_but_not_printed() {
    for (source, expected) in [
        ("{% if account.externalId %}a{% else %}b{% endif %}", "b"),
        ("{{ account.externalId|default('none') }}", "none"),
        ("{{ account.externalId or 'none' }}", "none"),
        ("{% if account.externalId is defined %}a{% endif %}", ""),
        ("{% if account.externalId and account.externalId == 'x' %}a{% endif %}", ""),
        ("{% if account.externalId|default('') == 'x' %}a{% endif %}", ""),
        // The whole group is absent.
        ("{% if service.name %}a{% else %}b{% endif %}{{ service.name|default('c') }}", "bc"),
    ] {
        assert_eq!(rendered_text(source).unwrap(), expected, "{source}");
    }
    let error = rendered_text("Dear\n{{ account.externalId }}").unwrap_err();
    assert_eq!((error.part.as_ref(), error.line), ("text", Some(2)));
    assert!(error.to_string().contains("account.externalId"), "{error}");
    assert!(rendered_text("{% for x in account.externalId %}{% endfor %}").is_err());
    assert!(rendered_text("{% if account.externalId == 'x' %}{% endif %}").is_err());
}

#[test]
fn an_attribute_is_a_member_that_can_be_absent() {
    let attributes = parameters(&[("account.attributes", json!({ "region": "EMEA", "cost-center": "7" }))]);
    let rendered = |source: &str| render(&text(source), &attributes, &Locale::default()).map(|rendered| rendered.text);
    assert_eq!(rendered("{{ account.attributes.region }} {{ account.attributes['cost-center'] }}"), Ok("EMEA 7".to_owned()));
    assert_eq!(rendered("{% if account.attributes.tier %}x{% endif %}{{ account.attributes.tier|default('-') }}"), Ok("-".to_owned()));
    assert!(rendered("{{ account.attributes.tier }}").is_err(), "an absent parameter cannot be printed");
    let offered = ["account.name", "account.attributes"];
    assert_eq!(check(&text("{{ account.attributes.region }} {{ account.attributes['cost-center'] }}"), &offered), Ok(()));
    let refused = check(&text("{{ account.attributes }}"), &offered).expect_err("a group");
    assert_eq!(refused.iter().map(|fault| fault.code.as_str()).collect::<Vec<_>>(), ["template_unknown_parameter"]);
}

#[test]
fn json_values_print_as_people_expect() {
    let all = parameters(&[
        ("a.none", json!(null)),
        ("a.yes", json!(true)),
        ("a.no", json!(false)),
        ("a.count", json!(3)),
        ("a.amount", json!("12.50")),
    ]);
    let source = "[{{ a.none }}|{{ a.yes }}|{{ a.no }}|{{ a.count }}|{{ a.amount }}]";
    assert_eq!(render(&text(source), &all, &Locale::default()).unwrap().text, "[|true|false|3|12.50]");
    assert_eq!(render(&html(source), &all, &Locale::default()).unwrap().html.unwrap(), "[|true|false|3|12.50]");
    assert!(render(&text("{{ a }}"), &all, &Locale::default()).is_err());
    assert_eq!(render(&text("{% for k in a %}{{ k }} {% endfor %}"), &all, &Locale::default()).unwrap().text, "amount count no none yes ");
    assert_eq!(codes(&text("{{ account }}")), [("text", "template_unknown_parameter", Some(1))]);
    assert_eq!(codes(&text("{% for k, v in account|items %}{{ v }}{% endfor %}")), []);
}

#[test]
fn no_template_works_without_bound() {
    let doubling = format!("{{% set a = 'x' %}}{}{{{{ a|length }}}}", "{% set a = a ~ a %}".repeat(40));
    let nested = format!("{}x{}", "{% for i in range(1000) %}".repeat(5), "{% endfor %}".repeat(5));
    for source in [
        doubling.as_str(),
        nested.as_str(),
        "{% for i in range(100000) %}xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx{% endfor %}",
        "{{ 'x' * 1000000000 }}",
        "{{ '%1000000000d'|format(1) }}",
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
        "{{ (account.name * 1000)|replace('A', account.name * 1000)|length }}",
        "{{ 'x'|indent(1000000000, true) }}",
    ] {
        let error = rendered_text(source).unwrap_err();
        assert!(error.message.len() < 200, "{error}");
    }
    let long = parameters(&[("account.name", json!("x".repeat(PART_BYTES_MAX / 2)))]);
    assert!(render(&text("{{ account.name }}{{ account.name }}"), &long, &Locale::default()).is_ok());
    let error = render(&text("{{ account.name }}{{ account.name }}!"), &long, &Locale::default()).unwrap_err();
    assert_eq!(error.message, "the result must not be longer than 256 KiB");
}

#[test]
fn a_line_break_in_the_subject_is_an_error() {
    let subject = |s: &str| Template { subject: s.to_owned(), ..text("") };
    for evil in ["Acme\r\nBcc: everyone@example.com", "Acme\n", "Acme\0", "Acme\u{85}"] {
        assert!(
            render(&subject("{{ account.name }}"), &parameters(&[("account.name", json!(evil))]), &Locale::default()).is_err(),
            "{evil:?}"
        );
    }
    // The engine drops the trailing newline that editors add.
    assert_eq!(render(&subject("Hello\n"), &acme(), &Locale::default()).unwrap().subject, "Hello");
}

#[test]
fn hostile_sources_end_in_faults_and_not_in_a_crash() {
    for source in ["{{", "{%", "{{ 'x", "{% raw %}", "{#", "{{ a|", "{% filter %}", "{{ }} }}", "{{ ä.ö }}", "{% set x = \"\\", "{"] {
        let _ = check(&text(source), OFFERED);
        let _ = rendered_text(source);
    }
    let deep = format!("{{{{ {}1{} }}}}", "(".repeat(5000), ")".repeat(5000));
    assert_eq!(codes(&text(&deep)), [("text", "template_too_complex", Some(1))]);
}

#[test]
fn a_reader_gets_the_nearest_language_there_is() {
    let of = |text: &str| Template { subject: String::new(), text: text.to_owned(), html: None };
    let translations = BTreeMap::from([("de".to_owned(), of("de")), ("pt-BR".to_owned(), of("pt-BR"))]);
    let template = Translated { language: "en".to_owned(), parts: of("en"), translations };
    for (wanted, formats, text) in [
        (None, "en", "en"),
        (Some("en-GB"), "en-GB", "en"),
        (Some("de-CH-1996"), "de-CH-1996", "de"),
        (Some("PT-br"), "PT-br", "pt-BR"),
        (Some("pt"), "en", "en"),
        (Some("fr"), "en", "en"),
        (Some(""), "en", "en"),
    ] {
        let (language, parts) = template.lookup(wanted);
        assert_eq!((language, parts.text.as_str()), (formats, text), "{wanted:?}");
    }
}

#[test]
fn amounts_and_dates_are_formatted_for_the_reader_and_filters_are_known_when_saved() {
    let source = text("{{ invoice.total|money(invoice.currency) }}, {{ invoice.dueOn|date }}, {{ current.dateTime|datetime }}");
    assert_eq!(check(&source, &["invoice.total", "invoice.currency", "invoice.dueOn", "current.dateTime"]), Ok(()));
    let parameters = parameters(&[
        ("invoice.total", json!("1129.90")),
        ("invoice.currency", json!("EUR")),
        ("invoice.dueOn", json!("2027-02-15")),
        ("current.dateTime", json!("2027-02-01T09:30:00Z")),
    ]);
    let german = Locale::new("de", chrono_tz::Tz::Europe__Berlin);
    let rendered = render(&source, &parameters, &german).unwrap().text;
    assert_eq!(rendered, "1.129,90\u{a0}EUR, 15. Februar 2027, 1. Februar 2027 um 10:30 CET");
    let fault = &check(&text("{{ invoice.total|mony }}"), &["invoice.total"]).unwrap_err()[0];
    assert_eq!((fault.code.as_str(), fault.near[0].as_str()), ("template_syntax", "money"));
}

#[test]
fn each_kind_of_fault_tells_its_column() {
    for (source, line, column) in [
        ("ä {{ account.nmae }}", 1, 6),
        ("x\n  {{ account.name|uper }}", 2, 19),
        ("{% include 'x' %}", 1, 4),
        ("one\ntwo {{ account. }}", 2, 17),
    ] {
        let fault = &check(&text(source), OFFERED).unwrap_err()[0];
        assert_eq!((fault.line, fault.column), (Some(line), Some(column)), "{source:?}: {}", fault.message);
    }
}
