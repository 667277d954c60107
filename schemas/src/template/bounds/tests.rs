use std::{
    collections::BTreeMap,
    panic, thread,
    time::{Duration, Instant},
};

use crate::{
    events::envelope::Parameters,
    template::{Locale, Part, Template, check, environment, on_a_stack, predefined, render},
};

use super::{BLOCK_DEPTH_MAX, EXPRESSION_DEPTH_MAX, TOKENS_MAX};

fn text(source: String) -> Template {
    Template { subject: "News".to_owned(), text: source, html: None }
}

/// The code of the refusal when the source is stored, and the code and line when it is rendered.
fn refusal(source: &str) -> Option<(&'static str, Option<usize>)> {
    let template = text(source.to_owned());
    let fault = check(&template, &["account.name"]).err()?.remove(0);
    if fault.code == "template_too_complex" {
        let error = render(&template, &Parameters::new(), &Locale::default()).unwrap_err();
        assert_eq!((error.part.as_ref(), error.line), ("text", fault.line), "{error}");
    }
    Some((fault.code.as_str(), fault.line))
}

#[test]
fn what_would_overflow_the_stack_of_the_compiler_is_refused_with_its_place() {
    let chain = |before: &str, piece: &str, count: usize, after: &str| format!("\n{before}{}{after}", piece.repeat(count));
    for source in [
        chain("{{ ", "not ", 2_340, "true }}"),
        chain("{{ account", ".a", 1_346, " }}"),
        chain("{% if true %}", "{% elif false %}", 837, "{% endif %}"),
        chain("{{ ", "-", 5_000, "1 }}"),
        chain("{{ 'a'", "|upper", 5_000, " }}"),
        chain("{{ 1", "+1", 5_000, " }}"),
        chain("{{ a", "[0]", 5_000, " }}"),
        chain("{{ a", "(0)", 5_000, " }}"),
        chain("{{ ", "1 if a else ", 5_000, "1 }}"),
        chain("{{ 1", " if a", 5_000, " }}"),
        chain("{{ 1", " is odd", 5_000, " }}"),
        chain("{{ 1", " and 1", 5_000, " }}"),
        chain("{{ 1", " in a", 5_000, " }}"),
        chain("{{ 'a'", " ~ 'a'", 5_000, " }}"),
        chain("{% filter upper", "|upper", 5_000, "%}{% endfilter %}"),
        chain("{% set a", ".a", 5_000, " = 1 %}"),
        chain("", "{% if a %}", 5_000, ""),
        chain("", "{% set a %}", 5_000, ""),
        chain("", "{% for a in b %}", 5_000, ""),
        chain("", "{% call a() %}", 5_000, ""),
        chain("{{ ", "[", 5_000, ""),
        chain("{{ ", "{'a':", 5_000, ""),
        chain("{{ ", "f(a=", 5_000, ""),
        chain("{% for ", "(", 5_000, "a"),
        chain("", "{{ a }}", TOKENS_MAX, ""),
    ] {
        assert_eq!(refusal(&source), Some(("template_too_complex", Some(2))), "{}", &source[..40]);
    }
    let fault = check(&text(chain("{{ ", "not ", 2_340, "true }}")), &[]).unwrap_err().remove(0);
    assert_eq!(fault.column, Some(4 + 4 * EXPRESSION_DEPTH_MAX), "where it is too much");
    assert!(fault.message.contains("more than 128 operators"), "{}", fault.message);
}

#[test]
fn what_people_write_is_far_from_the_bounds() {
    let months = format!("{{% set m = [{}] %}}", "'January', ".repeat(2_000));
    let concatenated = format!("{{{{ {}'!' }}}}", "account.name ~ ' ' ~ ".repeat(30));
    let countries = format!("{{% if false %}}{}{{% endif %}}", "{% elif account.name == 'AT' %}x".repeat(90));
    let rows = "{% if account.name %}<tr><td>{{ account.name|upper }}</td></tr>{% endif %}\n".repeat(500);
    for source in [months, concatenated, countries, rows] {
        assert_eq!(refusal(&source), None, "{}", &source[..40]);
    }
    for one in predefined::all() {
        for (part, source) in one.template.parts() {
            assert_eq!(super::check(source), Ok(()), "{} {part:?}", one.event_type);
        }
    }
}

/// Reproducible pseudo-random numbers (Knuth's LCG).
struct Dice(u64);

impl Dice {
    fn throw(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) % sides as u64) as usize
    }

    fn of<'a>(&mut self, some: &[&'a str]) -> &'a str {
        some[self.throw(some.len())]
    }

    /// An expression wrapped repeatedly, sometimes in one way many times, sometimes in many ways.
    fn expression(&mut self) -> String {
        const AROUND: &[(&str, &str)] = &[
            ("not ", ""),
            ("-", ""),
            ("(", ")"),
            ("[", "]"),
            ("[1, ", ", 2]"),
            ("{'a': ", "}"),
            ("", ".a"),
            ("", ".0"),
            ("", "[0]"),
            ("", "[1:2:3]"),
            ("a[", "]"),
            ("a[:", "]"),
            ("", "()"),
            ("f(", ")"),
            ("f(1, b=", ")"),
            ("f(*", ")"),
            ("", "|upper"),
            ("", "|default(1)"),
            ("1|default(", ")"),
            ("", " is odd"),
            ("", " is not divisibleby 3"),
            ("1 is divisibleby ", ""),
            ("", " + 1"),
            ("1 + ", ""),
            ("2 ** ", ""),
            ("", " ~ 'a'"),
            ("", " == 1 == 2"),
            ("1 < ", ""),
            ("", " and a"),
            ("a or ", ""),
            ("", " not in a"),
            ("a in ", ""),
            ("", " if a else 1"),
            ("1 if a else ", ""),
            ("1 if ", " else 2"),
            ("", " if a"),
            ("(1, ", ",)"),
        ];
        let mut made = self.of(&["a", "1", "'x'", "a.b", "1.5", "none"]).to_owned();
        let most = 1 << (1 + self.throw(8));
        let mut layers = self.throw(most);
        while layers > 0 {
            let (before, after) = AROUND[self.throw(AROUND.len())];
            let most = 1 << self.throw(9);
            let times = (1 + self.throw(most)).min(layers);
            made = format!("{}{made}{}", before.repeat(times), after.repeat(times));
            layers -= times;
        }
        made
    }

    fn template(&mut self, depth: usize) -> String {
        let mut made = String::new();
        for _ in 0..=self.throw(3) {
            let expression = self.expression();
            let inner = if depth == 0 { String::new() } else { self.template(depth - 1) };
            made += &match self.throw(12) {
                0 => format!("{{% if {expression} %}}{inner}{{% else %}}x{{% endif %}}"),
                1 => {
                    let (piece, times) = (format!("{{% elif {expression} %}}x"), self.throw(200));
                    format!("{{% if a %}}{}{inner}{{% endif %}}", piece.repeat(times.min(20_000 / piece.len())))
                }
                2 => format!("{{% for i in {expression} %}}{inner}{{% else %}}{{% endfor %}}"),
                3 => format!("{{% set x = {expression} %}}"),
                4 => format!("{{% set x %}}{inner}{{% endset %}}"),
                5 => format!("{{% filter upper|default({expression}) %}}{inner}{{% endfilter %}}"),
                6 => format!("{{% macro m(a, b={expression}) %}}{inner}{{% endmacro %}}"),
                7 => format!("{{% call m({expression}) %}}{inner}{{% endcall %}}"),
                8 => format!("{{% with x = {expression}, y = 1 %}}{inner}{{% endwith %}}"),
                9 => {
                    let (open, close) = [("{% if a %}", "{% endif %}"), ("{% set x|upper %}", "{% endset %}")][self.throw(2)];
                    let times = self.throw(2 * BLOCK_DEPTH_MAX);
                    format!("{}{inner}{}", open.repeat(times), close.repeat(times))
                }
                10 => format!("{{% do f({expression}) %}}{}", self.of(&["{# c #}", "{% raw %}{{{% endraw %}", "}}", "{{ ", "{% end %}"])),
                _ => format!("{{{{ {expression} }}}}"),
            };
        }
        made
    }
}

/// Every source within the bounds compiles, and is dropped, within a quarter of its stack; otherwise the test process aborts. Unoptimized
/// builds, which tests use, need several times the stack of release builds.
#[test]
#[expect(clippy::print_stdout, reason = "how many templates of each kind there were")]
fn whatever_keeps_the_bounds_compiles_within_a_quarter_of_its_stack() {
    let (mut dice, begin) = (Dice(42), Instant::now());
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    // A busy machine needs more time to cover every kind.
    let few =
        |seen: &BTreeMap<&str, usize>| seen.get("compiles").is_none_or(|n| *n < 50) || seen.get("too complex").is_none_or(|n| *n < 20);
    while begin.elapsed() < Duration::from_secs(4) || few(&seen) {
        let source = dice.template(3);
        let kind = match super::check(&source) {
            Err(_) => "too complex",
            Ok(()) => {
                let compile = || {
                    let environment = environment(Part::Text, &Locale::default());
                    let compiled = environment.template_from_named_str("text", &source);
                    compiled.map(|compiled| compiled.undeclared_variables(true).len()).is_ok()
                };
                let small = super::super::COMPILER_STACK_BYTES / 4;
                let outcome = thread::scope(|scope| thread::Builder::new().stack_size(small).spawn_scoped(scope, compile).unwrap().join());
                if outcome.unwrap_or_else(|cause| panic::resume_unwind(cause)) { "compiles" } else { "does not parse" }
            }
        };
        *seen.entry(kind).or_default() += 1;
        // Storing a template uses the same code and must also terminate.
        let _ = on_a_stack(|| check(&text(source), &["a", "a.b"]));
    }
    println!("{seen:?}");
}

/// For each bound, a source that just respects it, so that the test above covers templates of maximum size.
#[test]
fn the_largest_that_keep_the_bounds_compile() {
    let expression = |before: &str, after: &str| {
        let times = EXPRESSION_DEPTH_MAX;
        format!("{{{{ {}1{} }}}}", before.repeat(times), after.repeat(times))
    };
    let blocks = |inner: &str| {
        let times = BLOCK_DEPTH_MAX - 1;
        format!("{{% if a %}}{}{inner}{{% endif %}}", "{% elif a %}".repeat(times))
    };
    for inner in [expression("not ", ""), expression("", "|upper"), expression("", ".a"), expression("", "+1"), expression("-", "")] {
        let codes: Vec<&str> =
            check(&text(blocks(&inner)), &["a"]).err().unwrap_or_default().iter().map(|fault| fault.code.as_str()).collect();
        assert!(!codes.contains(&"template_too_complex"), "{codes:?}");
        assert!(!codes.contains(&"template_syntax"), "{codes:?}");
    }
}

#[test]
fn a_line_of_any_length_and_any_number_of_lines_are_read() {
    for filler in ["e", "\n"] {
        let filler = filler.repeat(70_000);
        assert_eq!(refusal(&format!("{filler}{{{{ account.name }}}}{filler}")), None);
        assert_eq!(refusal(&format!("{filler}{{{{ €")).map(|(code, _)| code), Some("template_syntax"));
    }
}
