use serde_json::json;

use super::*;

fn event() -> Json {
    json!({
        "id": "e1", "type": "invoice.posted", "time": "2027-01-15T09:30:00Z", "subject": "i1", "sequence": "00000000000000000007",
        "data": {
            "object": { "type": "invoice", "id": "i1", "version": 1, "action": "created" },
            "after": { "status": "open", "lines": [{ "kind": "fee", "amount": { "amount": "9.90" } }, { "kind": "charges" }] },
            "parameters": { "invoice.total": "120.50", "invoice.currency": "EUR", "account.id": "a1", "service.billable": true, "bucket.tier": 2 }
        }
    })
}

fn holds(source: &str) -> Result<bool, String> {
    Expression::compile(source).map_err(|fault| fault.message)?.holds(&Scope::of(&event()))
}

#[test]
fn parameters_and_the_envelope_can_be_asked() {
    for source in [
        "account.id == 'a1'",
        "invoice.currency in ['EUR', 'USD'] && service.billable",
        "bucket.tier >= 2 && bucket.tier < 2.5",
        "event.type.startsWith('invoice.') && event.object.version == 1",
        "event.after.status == \"open\"",
        "event.after.lines.exists(line, line.kind == 'fee')",
        "size(event.after.lines.filter(line, has(line.amount))) == 1",
        "timestamp(event.time) > timestamp('2027-01-01T00:00:00Z')",
        "!has(account.name) && has(account.id)",
        "account.name == null",
        "account.name != 'Acme'",
    ] {
        assert_eq!(holds(source), Ok(true), "{source}");
    }
}

#[test]
fn amounts_are_compared_and_summed_exactly() {
    assert_eq!(holds("decimal(invoice.total) == decimal('120.5')"), Ok(true));
    assert_eq!(holds("decimal(invoice.total) + decimal('0.1') > decimal('120.599999')"), Ok(true));
    let value = |source: &str| Expression::compile(source).expect("compiles").value(&Scope::of(&event()), &mut Budget::default());
    assert_eq!(value("amount(decimal(invoice.total) - decimal('20.25'))"), Ok(json!("100.25")));
    assert!(value("decimal(account.id)").unwrap_err().contains("a1"));
    assert_eq!(value("{'total': invoice.total, 'tiers': [bucket.tier, 1]}"), Ok(json!({ "total": "120.50", "tiers": [2, 1] })));
}

#[test]
fn what_does_not_go_together_is_an_error_with_a_reason() {
    assert!(holds("account.id > 5").is_err());
    assert!(holds("invoice.total").unwrap_err().contains("string"));
    assert!(holds("nowhere(1)").is_err());
}

#[test]
fn names_are_held_against_what_is_offered() {
    let offered: Vec<String> = ["account.id", "account.name", "invoice.total"].map(str::to_owned).to_vec();
    let check = |source: &str| Expression::compile(source).expect("compiles").check("invoice.posted", &offered);
    assert_eq!(check("account.id == 'a' && event.after.whatever.deep == 1 && event.type == 'x'"), Ok(()));
    assert_eq!(check("event.after.lines.all(line, line.kind == account.name)"), Ok(()), "an element's name is no parameter");
    let faults = check("account.nam == 'x' && has(invoice.totl)").unwrap_err();
    assert_eq!(faults.iter().map(|fault| fault.code.as_str()).collect::<Vec<_>>(), ["expression_unknown_parameter"; 2]);
    assert!(faults[0].message.contains("'account.nam'") && faults[0].message.contains("account.name"), "{}", faults[0].message);
    assert!(faults[1].message.contains("invoice.total"), "{}", faults[1].message);
    for wrong in ["event.nothing == 1", "event.id.deeper == 1", "account == 1", "account.id.deeper == 1", "x"] {
        assert!(check(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn an_attribute_is_a_text_and_null_where_the_object_does_not_have_it() {
    let event = json!({ "data": { "parameters": { "account.attributes": { "region": "EMEA", "cost-center": "7" } } } });
    let value = |source: &str| Expression::compile(source).expect("compiles").value(&Scope::of(&event), &mut Budget::default());
    assert_eq!(value("account.attributes.region + account.attributes['cost-center']"), Ok(json!("EMEA7")));
    assert_eq!(value("[account.attributes.tier, service.attributes.tier]"), Ok(json!([null, null])));
    assert_eq!(value("[has(account.attributes.region), has(account.attributes.tier)]"), Ok(json!([true, false])));
}

#[test]
fn what_could_cost_without_bound_is_refused() {
    let code = |source: &str| Expression::compile(source).map(|_| ()).map_err(|fault| fault.code.as_str());
    assert_eq!(code("1 +"), Err("expression_syntax"));
    assert_eq!(code(""), Err("expression_syntax"));
    assert_eq!(code(&format!("'{}' == account.id", "x".repeat(SOURCE_CHARS_MAX))), Err("expression_too_complex"));
    assert_eq!(code("event.after.lines.all(a, event.after.lines.all(b, a == b))"), Err("expression_too_complex"));
    assert_eq!(
        code("account.id.matches('(a+)+b')").and_then(|()| holds("account.id.matches('(a+)+b')").map(drop).map_err(|_| "")),
        Err("")
    );
    for (open, close) in [("(", ")"), ("[", "]"), ("{1:", "}"), ("!(", ")"), ("-(", ")"), ("size(", ")")] {
        let deep = format!("{}1{}", open.repeat(400), close.repeat(400));
        assert!(code(&deep).is_err(), "{open}");
    }
    assert!(code(&format!("1{}", "+1".repeat(900))).is_err());
    assert!(code(&format!("a{}", ".b".repeat(900))).is_err());
    assert!(code(&format!("true{}", "?true:true".repeat(180))).is_err());
}

#[test]
fn the_largest_that_is_taken_runs_on_a_small_stack() {
    let wide = format!("account.id == 'b'{}", " || account.id == 'a1'".repeat(20));
    let deep = format!("{}account.id == 'a1'{}", "(".repeat(14), ")".repeat(14));
    let run = move || [wide, deep].map(|source| holds(&source));
    let done = thread::Builder::new().stack_size(1024 * 1024).spawn(run).expect("a thread").join().expect("no overflow");
    assert_eq!(done, [Ok(true), Ok(true)]);
}

#[test]
fn a_required_text_is_found_where_all_must_hold() {
    let required = |source: &str| {
        Expression::compile(source).expect("compiles").required_text().map(|(name, text)| (name.to_owned(), text.to_owned()))
    };
    let found = Some(("account.id".to_owned(), "a1".to_owned()));
    assert_eq!(required("account.id == 'a1'"), found);
    assert_eq!(required("bucket.tier > 1 && 'a1' == account.id && service.billable"), found);
    assert_eq!(required("account.id == 'a1' || service.billable"), None);
    assert_eq!(required("bucket.tier == 2"), None);
}

#[test]
fn functions_that_do_not_exist_are_found_before_an_event_comes_and_all_that_are_listed_exist() {
    let known = |source: &str| Expression::compile(source).expect("compiles").ensure_known_functions().map_err(|fault| fault.message);
    for unknown in ["now()", "account.id.matches('a')", "max(1, 2)", "false && now() > 1", "event.after.lines.all(l, f(l))", "Foo{}.a == 1"]
    {
        assert!(known(unknown).is_err(), "{unknown}");
    }
    assert!(known("account.id.startWith('a')").unwrap_err().contains("startsWith"));
    let value = |source: &str| {
        assert_eq!(known(source), Ok(()), "{source}");
        Expression::compile(source).expect("compiles").value(&Scope::of(&event()), &mut Budget::default())
    };
    for name in names::FUNCTIONS {
        let argument = match *name {
            "amount" | "double" | "string" | "uint" => "1",
            "bool" => "'true'",
            "decimal" | "int" => "'1'",
            "duration" => "'1s'",
            "timestamp" => "event.time",
            _ => "'a'",
        };
        assert!(value(&format!("{name}({argument}) == {name}({argument})")).is_ok(), "{name}");
    }
    for name in names::METHODS {
        let call = match *name {
            "contains" | "endsWith" | "startsWith" => format!("account.id.{name}('a')"),
            "size" => format!("account.id.{name}()"),
            _ => format!("timestamp(event.time).{name}()"),
        };
        assert!(value(&call).is_ok(), "{name}: {:?}", value(&call));
    }
}

/// The result for an event of this size, and the work of it.
fn of_large(source: &str, after: Json) -> Result<usize, String> {
    let mut event = event();
    event["data"]["after"] = after;
    let value = Expression::compile(source).expect("compiles").value(&Scope::of(&event), &mut Budget::default())?;
    Ok(value.to_string().len())
}

#[test]
fn what_would_copy_or_compare_too_much_is_refused_for_that_event_and_runs_for_a_small_one() {
    let lines =
        |count: usize| json!({ "text": "x".repeat(count * 20), "lines": (0..count).map(|n| json!({ "n": n })).collect::<Vec<_>>() });
    let copies = format!("[{}]", ["event.after"; 150].join(","));
    let text = ["event.after.text"; 40].join("+");
    for source in [
        copies.as_str(),
        &text,
        &format!("size({text})"),
        "event.after.lines.map(l, event.after.lines)",
        "event.after.lines.map(l, event.after.lines + event.after.lines)",
        "event.after.lines.exists(l, event.after.lines == [l])",
        "event.after.lines.filter(l, l in event.after.lines)",
        "event.after.lines.map(l, string(event.after.text) + 'x')",
        "{'a': [event.after.lines.map(l, {'b': event.after})]}",
    ] {
        assert!(of_large(source, lines(10_000)).is_err_and(|error| error.contains("read and copy")), "{source}");
        assert!(of_large(source, lines(3)).is_ok(), "{source}: {:?}", of_large(source, lines(3)));
    }
    // What reads the event once or twice goes on.
    for source in [
        "event.after.lines.exists(l, l.n == 9999)",
        "size(event.after.lines.filter(l, l.n > 5000)) > 10",
        "event.after.lines.map(l, l.n)",
        "event.after.text.contains('y') || size(event.after.text) > 3",
        "event.after == event.before",
    ] {
        assert!(of_large(source, lines(10_000)).is_ok(), "{source}: {:?}", of_large(source, lines(10_000)));
    }
    assert!(of_large("event.after", lines(20_000)).is_err_and(|error| error.contains("bytes of JSON")));
}

#[test]
fn the_expressions_of_a_subscription_share_their_budget() {
    let mut event = event();
    event["data"]["after"] = json!({ "text": "x".repeat(200_000) });
    let (scope, mut budget) = (Scope::of(&event), Budget::default());
    let expression = Expression::compile("event.after.text").expect("compiles");
    let results: Vec<bool> = (0..8).map(|_| expression.value(&scope, &mut budget).is_ok()).collect();
    assert_eq!(results, [true, true, true, true, true, false, false, false], "five are a megabyte");
}

#[test]
fn an_error_does_not_quote_the_event() {
    let mut event = event();
    event["data"]["after"] = json!({ "text": "x".repeat(500_000), "list": [["x".repeat(1000)]] });
    let scope = Scope::of(&event);
    for source in ["decimal(event.after.text)", "event.after.list + 1", "timestamp(event.after.text)", "event.after.text - 1"] {
        let error = Expression::compile(source).expect("compiles").value(&scope, &mut Budget::default()).expect_err(source);
        assert!(error.len() <= 4 * ERROR_CHARS_MAX, "{source}: {} bytes", error.len());
    }
}

#[test]
fn what_is_absent_is_null_and_can_be_tested_whatever_else_is_used() {
    for (source, expected) in [
        ("has(account.id) && !has(account.name)", Some(true)),
        ("account.name == null && account.id == 'a1'", Some(true)),
        ("has(event.after.status) && event.after.lines.size() == 2", Some(true)),
        ("event.after.status == 'open' && event.after.nothing == null && has(event.after.lines)", Some(true)),
        ("event.after.lines[0].kind == 'fee' && event.object.version == 1", Some(true)),
        ("bucket.colour == null && bucket.tier == 2", Some(true)),
        ("account.id.deeper == 1", None),
        ("has(nowhere.at)", None),
    ] {
        assert_eq!(holds(source).ok(), expected, "{source}");
    }
}
